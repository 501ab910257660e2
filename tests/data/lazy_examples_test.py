import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.data import lazy_examples

SIDE = 2


def levels_of(elements):
    return [int(np.ravel(image)[0]) for image, _ in elements]


@pytest.mark.parametrize(
    "limit,decodings", [(4 * 3 * SIDE**2, 4), (4 * 3 * SIDE**2 - 1, 8)]
)
def test_images_are_decoded_once_only_within_the_limit(
    limit, decodings, counted_levels, monkeypatch
):
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", limit)
    levels, decoded = counted_levels(4)
    for _ in range(2):
        assert levels_of(levels) == [0, 1, 2, 3]
    assert len(decoded) == decodings


def test_decoded_examples_are_not_cached_again():
    examples = tf.data.Dataset.from_tensor_slices(
        (np.zeros((4, SIDE, SIDE, 3), "uint8"), np.arange(4))
    )
    found = lazy_examples.Examples(examples)
    assert found.decoded is examples
    assert (found.size, found.image_size) == (4, SIDE)


def test_examples_get_other_labels_and_are_decoded_as_before(
    counted_levels, monkeypatch
):
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 0)
    levels, decoded = counted_levels(4)
    levels.names = [*"abcd"]
    found = levels.relabel(np.array([3, 1, 0, 2]))
    assert not decoded
    assert levels_of(found) == [0, 1, 2, 3]
    assert [int(label) for _, label in found] == [3, 1, 0, 2]
    assert (found.size, found.names) == (4, [*"abcd"])
    odd = found.select(np.array([False, True, False, True]))
    assert [int(label) for _, label in odd] == [1, 2]


@pytest.mark.parametrize("weights", [[1, 2, 3], np.ones((4, 1)), 1.0])
def test_weights_that_are_not_one_for_each_image_are_refused(weights):
    examples = tf.data.Dataset.from_tensor_slices(
        (np.zeros((4, SIDE, SIDE, 3), "uint8"), np.arange(4))
    )
    with pytest.raises(ValueError, match=r"numbers of shape \(4,\), one for"):
        lazy_examples.Examples(examples, weights=weights)
    odd = lazy_examples.Examples(examples, weights=[1, 2, 3, 4]).select(
        np.array([False, True, False, True])
    )
    assert [float(weight) for _, _, weight in odd.weighted()] == [2, 4]
    assert odd.weights.dtype == "float32"


def test_elements_are_shuffled_within_a_window(counted_levels, monkeypatch):
    window = 5
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 0)
    monkeypatch.setattr(lazy_examples, "BUFFER_LIMIT", 8 * window)
    levels, decoded = counted_levels(100)
    seen = levels_of(levels.shuffled(0))
    assert sorted(seen) == list(range(100)) != seen
    assert all(level < place + window for place, level in enumerate(seen))
    assert not decoded


def test_elements_are_shuffled_as_the_seed_says(counted_levels):
    levels, _ = counted_levels(20)
    assert levels_of(levels.shuffled(1)) == levels_of(levels.shuffled(1))
    assert levels_of(levels.shuffled(1)) != levels_of(levels.shuffled(2))


def test_selected_examples_keep_their_order(counted_levels, monkeypatch):
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 0)
    levels, decoded = counted_levels(5)
    selected = levels.select(np.array([True, False, True, False, True]))
    assert selected.size == selected.elements.cardinality() == 3
    assert levels_of(selected) == sorted(decoded) == [0, 2, 4]
