"""Batches that are reshuffled in every pass get one order."""

import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.data import pass_order
from keras_squeezenet.data import splits

IMAGES = np.zeros((40, 4, 4, 3), "float32")
IMAGES += np.arange(40)[:, None, None, None]
LABELS = np.arange(40) % 3


def batches_of(**shuffling):
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    return (batches.shuffle(40, **shuffling) if shuffling else batches).batch(8)


def order(batches):
    return [
        int(image[0, 0, 0]) for images, _ in batches for image in images.numpy()
    ]


class Noisy:
    """Batches with a length that are other ones in every pass."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        noise = np.random.default_rng().normal(size=(4, 4, 4, 3))
        return noise.astype("float32"), np.arange(4)


@pytest.mark.parametrize(
    "shuffling", [{}, {"seed": 0, "reshuffle_each_iteration": False}]
)
def test_batches_of_one_order_are_left_as_they_are(shuffling):
    batches = batches_of(**shuffling)
    assert splits.in_one_order(batches, "test") is batches


def test_data_that_are_no_batches_are_left_as_they_are(dataset):
    for images in (None, (IMAGES, LABELS), dataset, "folder"):
        assert splits.in_one_order(images, "test") is images


def test_batches_that_are_shuffled_anew_keep_the_order_of_one_pass():
    batches = batches_of(seed=0, reshuffle_each_iteration=True)
    assert order(batches) != order(batches)
    found = splits.in_one_order(batches, "test")
    split = splits.evaluation_split(found, 8, "test")
    orders = [order(split.batches(epoch)) for epoch in (0, 0, 1)]
    assert orders[0] == orders[1] == orders[2] != list(range(40))
    assert sorted(orders[0]) == list(range(40))
    np.testing.assert_array_equal(
        split.labels.read(), [number % 3 for number in orders[0]]
    )


def test_a_list_of_batches_that_are_others_in_every_pass_is_kept():
    found = splits.in_one_order(Noisy(), "test")
    one, other = ([*found.as_numpy_iterator()] for _ in range(2))
    assert len(one) == 2
    np.testing.assert_array_equal(one[0][0], other[0][0])


def test_passes_are_compared_in_their_first_images_alone(monkeypatch):
    read = []

    def note(number):
        read.append(int(number))
        return number

    monkeypatch.setattr(pass_order, "COMPARED_IMAGES", 10)
    numbers = tf.data.Dataset.range(100).map(
        lambda number: tf.numpy_function(note, [number], tf.int64)
    )
    assert pass_order.repeats(numbers.batch(5).map(lambda each: (each, each)))
    assert max(read) < 50


def test_batches_too_large_to_be_kept_are_refused(monkeypatch):
    monkeypatch.setattr(pass_order, "KEPT_LIMIT", 2**12)
    batches = batches_of(reshuffle_each_iteration=True)
    message = (
        "`test` must have the same batches in every pass.*Received: test=a "
        "`tf.data.Dataset` whose passes differ.*reshuffle_each_iteration=False"
        ".*shuffle=False"
    )
    with pytest.raises(ValueError, match=message):
        splits.in_one_order(batches, "test")


def test_batches_that_never_end_are_refused():
    endless = batches_of().repeat()
    with pytest.raises(ValueError, match="`test` must end"):
        splits.in_one_order(endless, "test")
