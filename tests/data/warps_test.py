import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_squeezenet.data import warps


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (4, 16, 16, 3), "uint8")


def test_identity_leaves_images_as_they_are(images):
    same = warps.affine(xx=[1.0] * 4)
    np.testing.assert_array_equal(warps.warp(images, same), images)


def test_each_image_has_its_own_matrix(images):
    turns = tf.constant([0.0, 0.5, 1.0, 1.5]) * math.pi
    turned = warps.warp(images, warps.rotation(turns))
    for index, image in enumerate(images):
        np.testing.assert_array_equal(turned[index], np.rot90(image, index))


def test_images_are_reflected_at_their_borders(images):
    shifted = warps.warp(images, warps.affine(x=[5.0] * 4, y=[-3.0] * 4))
    padded = np.pad(images, ((0, 0), (3, 0), (0, 5), (0, 0)), "reflect")
    np.testing.assert_array_equal(shifted, padded[:, :16, 5:])


@pytest.mark.parametrize("sides", [(1, 1), (2, 2), (5, 9)])
@pytest.mark.parametrize("distance", [-40.0, 40.0])
def test_no_shift_leads_out_of_the_image(sides, distance):
    images = np.ones((1, *sides, 1), "uint8")
    matrices = warps.affine(x=distance, y=distance)
    np.testing.assert_array_equal(warps.warp(images, matrices), images)


def test_product_is_the_second_transformation_after_the_first(images):
    first = warps.affine(x=[3.0] * 4)
    second = warps.affine(xx=[-1.0] * 4)
    np.testing.assert_array_equal(
        warps.warp(images, first @ second),
        warps.warp(warps.warp(images, first), second),
    )


def test_shear_agrees_with_pillow_within_the_image():
    image = np.random.default_rng(0).integers(0, 256, (33, 33, 3), "uint8")
    sheared = warps.warp(image[np.newaxis], warps.affine(xy=0.29))[0]
    # Pillow's places are of the corners of pixels.
    coefficients = (1, 0.29, -0.29 * 16.5, 0, 1, 0)
    expected = Image.fromarray(image).transform(
        (33, 33), Image.Transform.AFFINE, coefficients, fillcolor=None
    )
    np.testing.assert_array_equal(
        sheared[:, 6:-6], np.asarray(expected)[:, 6:-6]
    )


def test_images_of_one_channel_and_floats_are_moved_too():
    images = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    moved = warps.warp(images, warps.affine(x=1.0))
    expected = [[1, 2, 1], [4, 5, 4], [7, 8, 7]]
    np.testing.assert_array_equal(moved[0, ..., 0], expected)
