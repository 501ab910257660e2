import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import data
from keras_squeezenet import metadata
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import splits

IMAGES = np.arange(10 * 4 * 4 * 3, dtype="float32").reshape(10, 4, 4, 3)
LABELS = np.arange(10) % 3


def numbers(batches):
    """Which of the images are in batches, in their order."""
    return [
        int(image[0, 0, 0]) // 48 for images, _ in batches for image in images
    ]


def of_kind(kind, arrays):
    """Return arrays as they are, in batches, or in a list-like of batches."""
    batches = tf.data.Dataset.from_tensor_slices(arrays).batch(4)
    if kind == "arrays":
        return arrays
    return batches if kind == "batches" else Source(batches)


class Source:
    """Batches with a length."""

    def __init__(self, batches):
        self.batches = list(batches.as_numpy_iterator())

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def test_arrays_are_shuffled_in_every_epoch_and_the_same_again():
    split = splits.training_split((IMAGES, LABELS), batch_size=5, seed=3)
    assert (split.steps, split.size) == (2, 10)
    tf.random.set_seed(0)
    orders = [numbers(split.batches(epoch)) for epoch in (0, 1, 0)]
    assert sorted(orders[0]) == list(range(10))
    assert orders[0] == orders[2] != orders[1]


@pytest.mark.parametrize("batch_size, steps", [(4, 2), (64, 1)])
def test_smaller_last_batch_is_dropped_unless_it_is_the_only_one(
    batch_size, steps
):
    split = splits.training_split((IMAGES, LABELS), batch_size)
    assert split.steps == steps
    assert len(numbers(split.batches(0))) == min(10, batch_size * steps)


def test_evaluation_split_has_all_images_in_order():
    split = splits.evaluation_split((IMAGES, LABELS), 4, "test")
    assert (split.steps, split.size) == (3, 10)
    assert numbers(split.batches(0)) == list(range(10))


@pytest.mark.parametrize("make", ["training", "evaluation"])
def test_batches_are_taken_as_they_are(make):
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4)
    if make == "training":
        split = splits.training_split(batches, 99)
    else:
        split = splits.evaluation_split(batches, 99, "test")
    assert (split.steps, split.size) == (3, 10)
    assert numbers(split.batches(5)) == list(range(10))


def test_test_set_of_an_image_data_set_is_evaluated(dataset):
    split = splits.evaluation_split(dataset, 20, "test")
    assert (split.steps, split.size) == (2, 32)
    assert [len(labels) for _, labels in split.batches(0)] == [20, 12]


def test_test_set_is_not_trained_on(dataset):
    images = dataclasses.replace(dataset, train=None)
    with pytest.raises(ValueError, match="'quarters' has. Received: split='tr"):
        splits.training_split(images, 20)


def test_image_data_set_gives_its_epochs(dataset):
    split = splits.training_split(dataset, batch_size=20, seed=1)
    assert (split.steps, split.size) == (3, 64)
    (first, _), *_ = split.batches(2)
    (expected, _), *_ = dataset.epoch_batches(20, seed=1, epoch=2)
    np.testing.assert_array_equal(first, expected)


@pytest.mark.parametrize(
    "images,expected",
    [
        ((IMAGES, LABELS[:5]), r"Received: \(10, 4, 4, 3\) and \(5,\)"),
        ((IMAGES, np.eye(3)[LABELS] / 2), "image 0 of `validation`.*to 0.5"),
        ((IMAGES, LABELS / 2), r"\(10,\) of float64"),
        ((IMAGES, LABELS[:, None, None]), r"\(10, 1, 1\) of int64"),
        ((IMAGES, LABELS, np.ones(10)), "`validation` must have no sample w"),
        (itertools.repeat((IMAGES, LABELS)), "A generator has no length: make"),
        ((IMAGES[0], LABELS), "images, height, width, 3"),
        ((IMAGES[:0], LABELS[:0]), "must have images. Received: none"),
        (IMAGES, "arrays; a `tf.data.Dataset`.*Received: validation=array"),
        (None, "Received: validation=None"),
        (
            tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)),
            "`validation` must be batches of images",
        ),
        (
            tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
            .batch(4)
            .take(0),
            "`validation` must have images",
        ),
    ],
)
def test_other_data_are_refused(images, expected):
    with pytest.raises(ValueError, match=expected):
        splits.evaluation_split(images, 4, "validation")


@pytest.mark.parametrize("in_batches", [False, True])
def test_parts_of_workers_make_the_batches_of_one(in_batches):
    images = IMAGES, LABELS
    if in_batches:
        images = tf.data.Dataset.from_tensor_slices(images).batch(4).take(2)
    whole = splits.training_split(images, 4)
    parts = [
        splits.training_split(images, 4, shard=image_dataset.Shard(index, 2))
        for index in range(2)
    ]
    assert all(
        (part.steps, part.size) == (whole.steps, whole.size) for part in parts
    )
    for epoch in range(2):
        first, second = (numbers(part.batches(epoch)) for part in parts)
        assert len(first) == len(second) == 4
        mixed = [number for pair in zip(first, second) for number in pair]
        assert mixed == numbers(whole.batches(epoch))


@pytest.mark.parametrize("in_batches", [False, True])
def test_batches_that_workers_do_not_divide_are_refused(in_batches):
    images = IMAGES, LABELS
    if in_batches:
        images = tf.data.Dataset.from_tensor_slices(images).batch(4)
    with pytest.raises(ValueError, match="multiple of 4: 2 workers, with 2"):
        splits.training_split(images, 5, shard=image_dataset.Shard(0, 2, 2))


@pytest.mark.parametrize(
    "changes", [{"augmentation": "crop"}, {"rand_augment": 0.1}]
)
def test_arrays_are_not_augmented(changes):
    with pytest.raises(ValueError, match="are for an `ImageDataset`"):
        splits.training_split((IMAGES, LABELS), 4, **changes)


def test_description_is_that_of_the_data_set(dataset):
    found = metadata.Metadata("raw", class_names=dataset.class_names)
    assert splits.describe(dataset, None, found, 4) == {
        "name": "quarters",
        "classes": ["a", "b", "c", "d"],
        "skipped_images": [],
        "normalization": "raw",
        "channels": 3,
    }
    assert splits.describe(dataset, "other", found, 4)["name"] == "other"
    found = metadata.Metadata()
    assert splits.describe((IMAGES, LABELS), None, found, 2)["name"] == "images"
    assert splits.describe((IMAGES, LABELS), "mine", found, 2) == {
        "name": "mine",
        "classes": ["0", "1"],
        "skipped_images": [],
        "normalization": "caffe",
        "channels": 3,
    }


@pytest.mark.parametrize("kind", ["arrays", "batches", "source"])
def test_labels_of_all_images_are_known(kind):
    images = of_kind(kind, (IMAGES, LABELS))
    for split in (
        splits.training_split(images, 4),
        splits.evaluation_split(images, 4, "test"),
    ):
        np.testing.assert_array_equal(split.labels.count(4), [4, 3, 3, 0])
        split.labels.require_classes("train", 3)
        with pytest.raises(ValueError, match="`train` must be from 0 to 1"):
            split.labels.require_classes("train", 2)


def test_labels_of_an_image_data_set_are_counted(dataset):
    split = splits.training_split(dataset, 20)
    np.testing.assert_array_equal(split.labels.count(4), [16, 16, 16, 16])


def test_endless_batches_are_refused_at_once():
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4)
    with pytest.raises(ValueError, match=r"`train` must end.*take\(steps\)"):
        splits.training_split(batches.repeat(), 4)


@pytest.mark.parametrize("kind", ["arrays", "batches", "source"])
def test_soft_labels_and_weights_are_learned_from(kind):
    soft = np.full((10, 3), 0.2)
    soft[np.arange(10), LABELS] = 0.6
    weights = np.arange(10)
    images = of_kind(kind, (IMAGES, soft, weights))
    split = splits.training_split(images, 4)
    assert split.is_weighted
    np.testing.assert_allclose(split.labels.count(3), [3.6, 3.2, 3.2], 1e-6)
    for x, labels, w in split.batches(0):
        assert (labels.dtype, w.dtype) == (tf.float32, tf.float32)
        order = numbers([(x, labels)])
        np.testing.assert_array_equal(labels, soft[order].astype("float32"))
        np.testing.assert_array_equal(w, order)


@pytest.mark.parametrize("kind", ["arrays", "batches", "source"])
def test_most_probable_class_of_soft_labels_is_measured(kind):
    images = of_kind(kind, (IMAGES, np.eye(3)[LABELS]))
    split = splits.evaluation_split(images, 4, "test")
    labels = np.concatenate([labels for _, labels in split.batches(0)])
    np.testing.assert_array_equal(labels, LABELS)
    with pytest.raises(ValueError, match="`test` must have no sample weights"):
        weighted = of_kind(kind, (IMAGES, LABELS, np.ones(10)))
        splits.evaluation_split(weighted, 4, "test")


def test_rows_have_a_column_for_each_class():
    split = splits.training_split((IMAGES, LABELS), 10).in_rows(4)
    ((images, rows),) = split.batches(0)
    np.testing.assert_array_equal(
        rows, np.eye(4)[LABELS[numbers([(images, rows)])]]
    )


def test_batches_of_integers_become_float32():
    pixels = IMAGES.astype("uint8")
    batches = tf.data.Dataset.from_tensor_slices((pixels, LABELS)).batch(4)
    split = splits.evaluation_split(batches, 4, "test")
    assert split.values.dtype == "uint8"
    (images, labels), *_ = split.batches(0)
    assert (images.dtype, labels.dtype) == (tf.float32, tf.int64)
    np.testing.assert_array_equal(images, pixels[:4])


@pytest.mark.parametrize("kind", ["arrays", "batches", "source"])
@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint32"])
def test_labels_of_any_integers_are_learned(kind, dtype):
    split = splits.training_split(
        of_kind(kind, (IMAGES, LABELS.astype(dtype))), 4
    )
    (_, labels), *_ = split.batches(0)
    assert labels.dtype == tf.int64
    assert split.labels.count(3).tolist() == [4, 3, 3]


@pytest.mark.parametrize("kind", ["arrays", "batches", "source"])
def test_labels_in_a_column_are_taken(kind):
    """Those of `keras.datasets.cifar10` are of shape `(images, 1)`."""
    column = LABELS.astype("uint8")[:, None]
    split = splits.training_split(of_kind(kind, (IMAGES, column)), 4)
    (_, labels), *_ = split.batches(0)
    assert (labels.shape, labels.dtype) == ((4,), tf.int64)
    assert split.labels.count(3).tolist() == [4, 3, 3]


def test_batches_of_arrays_have_one_size():
    arrays = splits.training_split((IMAGES, LABELS), 4)
    assert (arrays.batch_size, arrays.steps, arrays.size) == (4, 2, 10)
    assert splits.training_split((IMAGES, LABELS), 32).batch_size == 10
    batches = of_kind("batches", (IMAGES, LABELS))
    assert splits.training_split(batches, 32).batch_size is None


def test_labels_of_a_data_set_are_checked_unless_its_loader_did():
    x, y = np.zeros((4, 8, 8, 3), "uint8"), np.array([1, 2, 1, 2])
    train = data.Examples(tf.data.Dataset.from_tensor_slices((x, y)))
    found = data.ImageDataset("few", ("a", "b"), train=train, test=train)
    loaded = dataclasses.replace(found, are_labels_checked=True)
    for split in (splits.training_split, splits.evaluation_split):
        with pytest.raises(ValueError, match="`test` must be from 0 to 1"):
            split(found, 4, "test").labels.require_classes("test", 2)
        split(loaded, 4, "test").labels.require_classes("test", 2)


def weighted_dataset(weights):
    """Return a data set of as many images as there are weights."""
    size = len(weights)
    train = data.Examples(
        tf.data.Dataset.from_tensor_slices(
            (np.zeros((size, 8, 8, 3), "uint8"), np.arange(size) % 2)
        ),
        weights=weights,
    )
    return data.ImageDataset("few", ("a", "b"), train=train, test=train)


def test_weights_of_a_data_set_are_those_of_what_is_learned():
    weights = np.arange(4, dtype="float32")
    found = weighted_dataset(weights)
    split = splits.training_split(found, 4)
    assert split.is_weighted
    ((_, _, received),) = split.batches(0).as_numpy_iterator()
    assert sorted(received) == [*weights]
    # As `finetune` reads the features of the training images.
    learned = splits.evaluation_split(found, 4, "train", is_learned=True)
    assert learned.is_weighted
    ((_, _, received),) = learned.batches(0).as_numpy_iterator()
    assert [*received] == [*weights]
    measured = splits.evaluation_split(found, 4, "test")
    assert not measured.is_weighted
    assert len(next(iter(measured.batches(0)))) == 2


@pytest.mark.parametrize(
    "weights,message",
    [
        ([1, 1, -1, 1], "must be finite and at least 0"),
        ([1, np.nan, 1, 1], "must be finite and at least 0"),
        ([0, 0, 0, 0], "must not all be 0"),
    ],
)
def test_weights_of_a_data_set_that_cannot_be_learned_are_refused(
    weights, message
):
    found = weighted_dataset(weights)
    message = f"of `train` {message}"
    with pytest.raises(ValueError, match=message):
        splits.training_split(found, 4)
    with pytest.raises(ValueError, match=message):
        splits.evaluation_split(found, 4, "train", is_learned=True)
    assert not splits.evaluation_split(found, 4, "test").is_weighted
