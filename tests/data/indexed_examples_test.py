import collections

import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import data
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import indexed_examples
from keras_squeezenet.data import lazy_examples
from keras_squeezenet.data import path_array

SIDE = 2
SIZE = 20


@pytest.fixture
def counted(monkeypatch):
    """Return examples that do not fit in memory, and how often each is read.

    The label of an image is its index, and its pixels are 10 more.
    """
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 0)
    counts = collections.Counter()

    def decode(index):
        counts[int(index)] += 1
        return np.full((SIDE, SIDE, 3), index + 10, "uint8")

    def image(index):
        return tf.ensure_shape(
            tf.numpy_function(decode, [index], tf.uint8), (SIDE, SIDE, 3)
        )

    examples = indexed_examples.indexed(
        lambda index: (index, index),
        image,
        np.arange(SIZE),
        image_size=SIDE,
        names=path_array.PathArray(map(str, range(SIZE))),
    )
    return examples, counts


def pairs(examples):
    return [(int(image[0, 0, 0]), int(label)) for image, label in examples]


def labels_of(batches):
    return np.concatenate([labels for _, labels in batches]).tolist()


def make_dataset(examples):
    return data.ImageDataset("counted", ("0", "1"), examples, examples)


def test_images_are_read_in_every_pass(counted):
    examples, counts = counted
    for _ in range(2):
        assert pairs(examples) == [(i + 10, i) for i in range(SIZE)]
    assert counts == dict.fromkeys(range(SIZE), 2)


def test_labels_and_names_are_known_without_images(counted):
    examples, counts = counted
    assert examples.labels().tolist() == [*range(SIZE)]
    assert [*examples.names] == [*map(str, range(SIZE))]
    assert not examples.several_labels
    assert not counts


def test_selected_images_alone_are_read(counted):
    examples, counts = counted
    odd = examples.select(np.arange(SIZE) % 2 == 1)
    assert pairs(odd)[:2] == [(11, 1), (13, 3)]
    assert [*odd.names][:2] == ["1", "3"]
    assert set(counts) == {*range(1, SIZE, 2)}
    third = odd.relabel(np.arange(100, 110)).select(np.arange(10) == 2)
    assert pairs(third) == [(15, 102)]


def test_selected_images_are_kept_where_they_fit(counted, monkeypatch):
    examples, counts = counted
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 3 * SIDE**2)
    one = examples.select(np.arange(SIZE) == 4)
    for _ in range(2):
        assert pairs(one) == [(14, 4)]
    assert counts == {4: 1}


def test_epoch_has_each_image_once_in_an_order_of_its_own(counted):
    dataset = make_dataset(counted[0])
    first, again, second = (
        labels_of(dataset.epoch_batches(5, seed=1, epoch=epoch))
        for epoch in (0, 0, 1)
    )
    assert first == again != second
    assert sorted(first) == sorted(second) == [*range(SIZE)] != first


def test_epoch_begins_at_any_batch_without_reading_what_is_before(counted):
    examples, counts = counted
    dataset = make_dataset(examples)
    whole = labels_of(dataset.epoch_batches(5, seed=1))
    counts.clear()
    rest = labels_of(dataset.epoch_batches(5, seed=1, start=2))
    assert rest == whole[10:]
    assert set(counts) == set(rest)


def test_each_worker_reads_its_own_images(counted):
    examples, counts = counted
    shard = image_dataset.Shard(index=1, count=2)
    found = labels_of(
        make_dataset(examples).epoch_batches(10, seed=1, shard=shard)
    )
    assert len(found) == SIZE / 2
    assert set(counts) == set(found)


def test_endless_batches_have_each_image_once_in_each_pass(counted):
    batches = make_dataset(counted[0]).train_batches(10)
    first, second = (labels_of(batches.skip(start).take(2)) for start in (0, 2))
    assert sorted(first) == sorted(second) == [*range(SIZE)]
    assert first != second
