import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.data import stored_examples

SIDE = 2


def levels_of(elements):
    return [int(np.ravel(image)[0]) for image, _ in elements]


@pytest.mark.parametrize(
    "limit,decodings", [(4 * 3 * SIDE**2, 4), (4 * 3 * SIDE**2 - 1, 8)]
)
def test_images_are_decoded_once_only_within_the_limit(
    limit, decodings, counted_levels, monkeypatch
):
    monkeypatch.setattr(stored_examples, "CACHE_LIMIT", limit)
    levels, decoded = counted_levels(4)
    examples = levels.examples()
    for _ in range(2):
        assert levels_of(examples) == [0, 1, 2, 3]
    assert len(decoded) == decodings


def test_examples_that_are_decoded_already_are_not_kept_again():
    examples = tf.data.Dataset.from_tensor_slices(
        (np.zeros((4, SIDE, SIDE, 3), "uint8"), np.arange(4))
    )
    found = stored_examples.decoded(examples, 4, SIDE)
    assert found.examples() is examples
    assert found.is_kept


def test_elements_are_shuffled_within_a_window(counted_levels, monkeypatch):
    window = 5
    monkeypatch.setattr(stored_examples, "CACHE_LIMIT", 8 * window)
    levels, decoded = counted_levels(100)
    seen = levels_of(levels.shuffled(0))
    assert sorted(seen) == list(range(100)) != seen
    assert all(level < place + window for place, level in enumerate(seen))
    assert not decoded


def test_elements_are_shuffled_as_the_seed_says(counted_levels):
    levels, _ = counted_levels(20)
    assert levels_of(levels.shuffled(1)) == levels_of(levels.shuffled(1))
    assert levels_of(levels.shuffled(1)) != levels_of(levels.shuffled(2))


def test_chosen_elements_keep_their_order(counted_levels):
    levels, decoded = counted_levels(5)
    chosen = levels.chosen(np.array([True, False, True, False, True]))
    assert chosen.size == chosen.elements.cardinality() == 3
    assert levels_of(chosen.examples()) == decoded == [0, 2, 4]


def test_squares_are_rgb_of_one_size():
    square = stored_examples.square_maker(4)(
        tf.fill((6, 9, 1), tf.constant(9, tf.uint8))
    )
    np.testing.assert_array_equal(square, np.full((4, 4, 3), 9))
