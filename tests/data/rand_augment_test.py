import math

import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.data import rand_augment
from keras_squeezenet.data import warps

NAMES = [*rand_augment.GEOMETRIC, *rand_augment.COLORS]


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (6, 16, 16, 3), "uint8")


def numbers(*names):
    return tf.constant([[NAMES.index(name) for name in names]])


def test_operations_are_the_fourteen_of_the_paper_and_equally_probable():
    assert sorted(NAMES) == [
        *("auto_contrast", "brightness", "color", "contrast", "equalize"),
        *("identity", "posterize", "rotate", "sharpness", "shear_x"),
        *("shear_y", "solarize", "translate_x", "translate_y"),
    ]
    draws = tf.random.stateless_uniform((7000, 2, 2), (1, 2))
    operations, levels = rand_augment.choose(draws, 0.5)
    counts = np.bincount(np.ravel(operations), minlength=14)
    assert 900 < counts.min() <= counts.max() < 1100
    assert -0.5 <= levels.numpy().min() < -0.49
    assert 0.49 < levels.numpy().max() <= 0.5
    assert abs(levels.numpy().mean()) < 0.01


@pytest.mark.parametrize(
    "name,place",
    [
        # Where 20 pixels below the center come from, in an image of 100x200.
        ("rotate", (-20 * math.sin(math.pi / 6), 20 * math.cos(math.pi / 6))),
        ("shear_x", (6, 20)),
        ("shear_y", (0, 20)),
        ("translate_x", (90, 20)),
        ("translate_y", (0, 65)),
        ("color", (0, 20)),
    ],
)
def test_geometric_operations_go_as_far_as_the_papers(name, place):
    levels = tf.constant([[1.0, 1.0]])
    operations = numbers(name, "identity")
    (matrix,) = rand_augment.matrices(operations, levels, (100, 200))
    found = matrix.numpy() @ [0, 20, 1]
    np.testing.assert_allclose(found, (*place, 1), atol=1e-5)


def test_two_geometric_operations_follow_each_other():
    levels = tf.constant([[0.5, -0.8]])
    one, two = (
        rand_augment.matrices(numbers(name, "color"), levels, (16, 16))
        for name in ("shear_x", "rotate")
    )
    both = rand_augment.matrices(
        numbers("shear_x", "rotate"), tf.constant([[0.5, 0.5]]), (16, 16)
    )
    np.testing.assert_allclose(both, one @ two, atol=1e-6)


def test_each_image_has_its_operations_in_their_order(images):
    operations = tf.concat(
        [
            *(numbers("solarize", "posterize"), numbers("rotate", "identity")),
            *(numbers("posterize", "solarize"), numbers("equalize", "color")),
            *(numbers("identity", "equalize"), numbers("shear_x", "color")),
        ],
        axis=0,
    )
    levels = tf.fill(operations.shape, 0.5)
    changed = rand_augment.change_colors(
        tf.constant(images), operations, levels
    )
    for index, (first, second) in enumerate(operations.numpy()):
        expected = images[index : index + 1]
        for number in (first, second):
            if NAMES[number] in rand_augment.COLORS:
                expected = rand_augment.COLORS[NAMES[number]](
                    expected, tf.constant([0.5])
                )
        np.testing.assert_array_equal(changed[index], expected[0])


def test_matrices_are_those_of_each_image(images):
    operations = tf.concat(
        [numbers("translate_x", "color"), numbers("color", "color")], axis=0
    )
    levels = tf.constant([[1 / 0.45 / 16, 0.3]] * 2)
    matrices = rand_augment.matrices(operations, levels, (16, 16))
    moved = warps.warp(images[:2], matrices)
    np.testing.assert_array_equal(moved[0, :, :-1], images[0, :, 1:])
    np.testing.assert_array_equal(moved[1], images[1])
