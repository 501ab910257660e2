import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.data import stored

SIDE = 2


def counted(size):
    """Levels as `Stored`, and those that were decoded, in order."""
    decoded = []

    def decode(level):
        decoded.append(int(level))
        return np.full((SIDE, SIDE, 3), level, "uint8")

    def image(level):
        return tf.ensure_shape(
            tf.numpy_function(decode, [level], tf.uint8), (SIDE, SIDE, 3)
        )

    elements = tf.data.Dataset.range(size).map(lambda level: (level, level))
    return stored.Stored(elements, size, 8, SIDE, image), decoded


def labels(examples):
    return [int(label) for _, label in examples]


@pytest.mark.parametrize(
    "limit,decodings", [(4 * 3 * SIDE**2, 4), (4 * 3 * SIDE**2 - 1, 8)]
)
def test_images_are_decoded_once_only_within_the_limit(
    limit, decodings, monkeypatch
):
    monkeypatch.setattr(stored, "CACHE_LIMIT", limit)
    levels, decoded = counted(4)
    examples = levels.examples()
    for _ in range(2):
        assert labels(examples) == [0, 1, 2, 3]
    assert len(decoded) == decodings


def test_examples_that_are_decoded_already_are_not_kept_again():
    examples = tf.data.Dataset.from_tensor_slices(
        (np.zeros((4, SIDE, SIDE, 3), "uint8"), np.arange(4))
    )
    found = stored.decoded(examples, 4, SIDE)
    assert found.examples() is examples
    assert found.is_kept


def test_elements_are_shuffled_within_a_window(monkeypatch):
    window = 5
    monkeypatch.setattr(stored, "CACHE_LIMIT", 8 * window)
    levels, decoded = counted(100)
    seen = labels(levels.shuffled(0))
    assert sorted(seen) == list(range(100)) != seen
    assert all(level < place + window for place, level in enumerate(seen))
    assert not decoded


def test_elements_are_shuffled_as_the_seed_says():
    levels, _ = counted(20)
    assert labels(levels.shuffled(1)) == labels(levels.shuffled(1))
    assert labels(levels.shuffled(1)) != labels(levels.shuffled(2))


def test_chosen_elements_keep_their_order():
    levels, decoded = counted(5)
    chosen = levels.chosen(np.array([True, False, True, False, True]))
    assert chosen.size == 3
    assert labels(chosen.examples()) == decoded == [0, 2, 4]


def test_squares_are_rgb_of_one_size():
    square = stored.square_maker(4)(
        tf.fill((6, 9, 1), tf.constant(9, tf.uint8))
    )
    np.testing.assert_array_equal(square, np.full((4, 4, 3), 9))
