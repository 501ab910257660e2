"""Training, validation and test sets from every kind of data."""

import dataclasses
from collections.abc import Callable
from typing import Any
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from keras_squeezenet import metadata
from keras_squeezenet import normalizations
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_values

Data: TypeAlias = (
    tuple[np.ndarray, np.ndarray] | tf.data.Dataset | image_dataset.ImageDataset
)
ONE_HOT = "`labels.argmax(axis=1)` makes integers of one-hot labels"


@dataclasses.dataclass(frozen=True)
class Split:
    """Labeled images in batches.

    Args:
        batches: a function from the number of an epoch, from 0, to its
            `(images, labels)`: normalized float32 images of shape `(batch,
            height, width, 3)` and integer labels. Those of a validation or test
            set are the same in every epoch.
        steps: the number of batches in an epoch.
        size: the number of images in an epoch.
        labels: the least and the greatest label; `None` for an `ImageDataset`,
            whose labels are those of its classes.
        values: the values of the first batch of images; `None` for an
            `ImageDataset`, which normalizes its images itself.
    """

    batches: Callable[[int], tf.data.Dataset]
    steps: int
    size: int
    labels: tuple[int, int] | None = None
    values: image_values.Values | None = None


def describe(
    images: Data, name: str, found: metadata.Metadata, classes: int
) -> dict:
    """Return `name`, `classes`, `skipped_images` and `normalization` of data.

    An `ImageDataset` has a name of its own. If the metadata of the network have
    no names of classes, the classes are numbered from 0.
    """
    skipped = []
    if isinstance(images, image_dataset.ImageDataset):
        name, skipped = images.name, list(images.skipped)
    return {
        "name": name,
        "classes": list(found.class_names or map(str, range(classes))),
        "skipped_images": skipped,
        "normalization": found.normalization,
    }


def of_dataset(
    train: Data,
    validation: Data | None,
    test: Data | None,
    recipe: Any,
    normalization: str = normalizations.CAFFE,
) -> tuple[Data, Data | None, Data | None]:
    """Return `(train, validation, test)`.

    Those of an `ImageDataset` are the defaults. If it has no validation set,
    `recipe.validation_share` of its training set is taken, chosen by
    `recipe.seed`. The `normalization` is applied to its images.
    """
    if isinstance(train, image_dataset.ImageDataset):
        if validation is None and train.validation is None:
            train = train.split_validation(recipe.validation_share, recipe.seed)
        if validation is None:
            validation = train.as_test("validation")
        if test is None:
            test = train.as_test("test")
    train, validation, test = (
        dataclasses.replace(images, normalization=normalization)
        if isinstance(images, image_dataset.ImageDataset)
        else images
        for images in (train, validation, test)
    )
    return train, validation, test


def of_run(
    data: Data,
    validation: Data | None,
    test: Data | None,
    recipe: Any,
    rand_augment: float = 0.0,
    shard: image_dataset.Shard = image_dataset.ALL,
    normalization: str = normalizations.CAFFE,
) -> tuple[Split, Split, Split | None]:
    """Return the training, validation and test set of a run.

    They are those of `of_dataset`; `rand_augment` and `shard` are as
    `training_split` takes them. The last one is `None` without a test set.
    """
    data, validation, test = of_dataset(
        data, validation, test, recipe, normalization
    )
    size, augmentation = recipe.batch_size, recipe.augmentation
    return (
        training_split(
            data, size, recipe.seed, augmentation, rand_augment, shard
        ),
        evaluation_split(validation, size, "validation"),
        None if test is None else evaluation_split(test, size, "test"),
    )


def training_split(
    images: Data,
    batch_size: int,
    seed: int = 0,
    augmentation: str | None = None,
    rand_augment: float = 0.0,
    shard: image_dataset.Shard = image_dataset.ALL,
) -> Split:
    """Return the `Split` of a training set.

    Args:
        images: `(images, labels)`, two arrays as `Model.fit` takes them, which
            are shuffled in every epoch; or a `tf.data.Dataset` of batches of
            them, whose order is kept; or a `data.ImageDataset`.
        batch_size: the images in each batch, except for batches.
        seed: of the order of the images. Defaults to `0`.
        augmentation, rand_augment: of a `data.ImageDataset`, as its
            `epoch_batches` takes them.
        shard: the part of each batch to return; `steps` and `size` are those of
            all parts. Batches must be the same for all workers. Defaults to
            whole batches.

    Raises:
        ValueError: if the data are not of such a kind, there are no images,
            or the workers cannot share a batch equally.
    """
    if isinstance(images, image_dataset.ImageDataset):
        size = images.split("train").size
        batch_size = min(batch_size, size)
        shard.part(batch_size)
        return Split(
            lambda epoch: images.epoch_batches(
                batch_size, seed, epoch, augmentation, rand_augment, shard
            ),
            size // batch_size,
            size,
        )
    if augmentation is not None or rand_augment:
        raise ValueError(
            "`augmentation` and `rand_augment` are for an `ImageDataset`; "
            "augment arrays and batches beforehand. Received: augmentation="
            f"{augmentation!r}, rand_augment={rand_augment}"
        )
    if isinstance(images, tf.data.Dataset):
        return _batched(images, "train", shard)
    x, y, values = _arrays(images, "train", batch_size)
    batch_size = min(batch_size, len(x))
    whole = tf.data.Dataset.from_tensor_slices((x, y))
    part, steps = shard.part(batch_size), len(x) // batch_size

    def batches(epoch):
        order = image_dataset.mix_seed(seed, epoch)
        examples = shard.take(whole.shuffle(len(x), seed=order))
        batches = examples.batch(part, drop_remainder=True).take(steps)
        return batches.prefetch(tf.data.AUTOTUNE)

    return Split(batches, steps, len(x), _range(y), values)


def evaluation_split(images: Data | None, batch_size: int, name: str) -> Split:
    """Return the `Split` of a validation or test set, in its order.

    The arguments are like those of `training_split`; the test set of a
    `data.ImageDataset` is used. Errors call the argument `name`.
    """
    if isinstance(images, image_dataset.ImageDataset):
        return Split(
            lambda epoch: images.test_batches(batch_size),
            -(-images.test_size // batch_size),
            images.test_size,
        )
    if isinstance(images, tf.data.Dataset):
        return _batched(images, name)
    x, y, values = _arrays(images, name, batch_size)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)
    steps = -(-len(x) // batch_size)
    return Split(lambda epoch: batches, steps, len(x), _range(y), values)


def _batched(batches, name, shard=image_dataset.ALL):
    spec = batches.element_spec
    shapes = [getattr(part, "shape", None) for part in tf.nest.flatten(spec)]
    types = [getattr(part, "dtype", None) for part in tf.nest.flatten(spec)]
    if (
        len(shapes) != 2
        or [shape.rank for shape in shapes] != [4, 1]
        or not types[1].is_integer
    ):
        raise ValueError(
            f"`{name}` must be batches of images (batch, height, width, 3) "
            f"and integer labels (batch,). Received: {spec}. {ONE_HOT}"
        )
    if batches.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            f"`{name}` must end, since an epoch is all of it. Received: an "
            "endless `tf.data.Dataset`; leave out `repeat()`, or bound it with "
            "`take(steps)`"
        )
    labels, values = [], None
    for images, found in batches.as_numpy_iterator():
        labels.append(found)
        if values is None and images.size:
            values = image_values.Values.of(images)
    sizes = [len(batch) for batch in labels]
    if not sum(sizes):
        raise ValueError(f"`{name}` must have images. Received: none")
    for size in sizes:
        shard.part(size)
    batches = as_float32(batches)
    if shard.count > 1:
        mine = slice(shard.index, None, shard.count)
        batches = batches.map(
            lambda images, labels: (images[mine], labels[mine])
        )
    found = _range(np.concatenate(labels))
    return Split(lambda epoch: batches, len(sizes), sum(sizes), found, values)


def as_float32(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Return batches whose images are float32, as every runtime takes them."""
    if batches.element_spec[0].dtype == tf.float32:
        return batches
    return batches.map(
        lambda images, labels: (tf.cast(images, tf.float32), labels)
    )


def _range(labels):
    return int(labels.min()), int(labels.max())


def require_labels(
    name: str, labels: tuple[int, int] | None, classes: int
) -> None:
    """Raise a `ValueError` unless `Split.labels` are numbers of classes."""
    least, greatest = labels or (0, 0)
    if least < 0 or greatest >= classes:
        raise ValueError(
            f"the labels of `{name}` must be from 0 to {classes - 1}, the "
            f"numbers of {classes} classes. Received: labels from {least} to "
            f"{greatest}. Number the classes from 0, or build the model with "
            "as many `classes` as there are"
        )


def _arrays(images, name, batch_size):
    try:
        x, y = (np.asarray(array) for array in images)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be `(images, labels)` arrays, a `tf.data.Dataset` "
            "of batches, or a `data.ImageDataset`; `data.load` loads files "
            f"and data sets. Received: {name}={images!r:.60}"
        ) from None
    if x.ndim != 4 or y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise ValueError(
            f"`{name}` must be images of shape (images, height, width, 3) "
            f"and integer labels of shape (images,). Received: {x.shape} and "
            f"{y.shape} of {y.dtype}. {ONE_HOT}"
        )
    if not len(x):
        raise ValueError(f"`{name}` must have images. Received: none")
    values = image_values.Values.of(x[:batch_size])
    return x.astype("float32", copy=False), y, values
