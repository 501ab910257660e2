"""The images to train on and to measure on, whatever form they come in."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_squeezenet import data
from keras_squeezenet.data import image_dataset


@dataclasses.dataclass(frozen=True)
class Split:
    """Labelled images, in batches.

    Args:
        batches: function from the number of an epoch, from 0, to a
            `tf.data.Dataset` of `(images, labels)`: preprocessed float32
            images of shape `(batch, height, width, 3)` and integer labels.
            Images to measure on are the same in every epoch.
        steps: int, the batches in an epoch.
        size: int, the images in an epoch.
    """

    batches: Callable
    steps: int
    size: int


def describe(images, name="images", class_names=None, classes=None):
    """Returns the `name`, `classes` and `skipped_images` of images, a dict.

    Args:
        images: as `training_split` takes them.
        name: str, of images that are no `data.ImageDataset`. Defaults to
            `"images"`.
        class_names: list of str, of such images. Defaults to `None`: to
            numbers.
        classes: int, how many numbers. Defaults to `None`.
    """
    skipped = []
    if isinstance(images, data.ImageDataset):
        name, class_names = images.name, images.class_names
        skipped = list(images.skipped)
    return {
        "name": name,
        "classes": list(class_names or map(str, range(classes))),
        "skipped_images": skipped,
    }


def of_dataset(train, validation, test, batch_size, validation_share, seed=0):
    """Returns the images of every split, an `ImageDataset`'s own by default.

    Args:
        train: images to train on, as `training_split` takes them.
        validation, test: images to measure on, or `None`.
        batch_size: int, of the images to measure on.
        validation_share: float, the share of the training images that are
            held out where there are no others to validate on.
        seed: int, of that choice. Defaults to `0`.

    Returns:
        A tuple of images like these; where `train` is no `ImageDataset`, of
        these themselves.
    """
    if isinstance(train, data.ImageDataset):
        if validation is None and train.validation is None:
            train = train.hold_out(validation_share, seed)
        if validation is None:
            validation = train.validation_batches(batch_size)
        if test is None:
            test = train.test_batches(batch_size)
    return train, validation, test


def training_split(
    images,
    batch_size,
    seed=0,
    augmentation=None,
    rand_augment=0.0,
    shard=image_dataset.ALL,
):
    """Returns the `Split` of images to train on.

    Args:
        images: `(images, labels)`, two arrays as `Model.fit` takes them, which
            are shuffled anew in every epoch; or a `tf.data.Dataset` of batches
            of them, whose order is its own affair; or a `data.ImageDataset`.
        batch_size: int, for arrays and data sets that are not in batches.
        seed: int, of the order of the images. Defaults to `0`.
        augmentation: what is done to the images of a `data.ImageDataset`, see
            its `epoch_batches`. Defaults to `None`.
        rand_augment: float, the same. Defaults to `0.0`.
        shard: `dataset.Shard`, the part of each batch to return; the split's
            numbers are of all parts. Where the images come in batches, these
            should be the same for all workers. Defaults to all of it.

    Raises:
        ValueError: if the images are in no such form, there are none, or
            their batches cannot be divided so.
    """
    if isinstance(images, data.ImageDataset):
        batch_size = min(batch_size, images.train_size)
        shard.part(batch_size)
        return Split(
            lambda epoch: images.epoch_batches(
                batch_size, seed, epoch, augmentation, rand_augment, shard
            ),
            images.train_size // batch_size,
            images.train_size,
        )
    if augmentation is not None or rand_augment:
        raise ValueError(
            "`augmentation` and `rand_augment` are for an `ImageDataset`; "
            "augment other images beforehand. Received: augmentation="
            f"{augmentation!r}, rand_augment={rand_augment}"
        )
    if isinstance(images, tf.data.Dataset):
        return _batched(images, "train", shard)
    x, y = _arrays(images, "train")
    batch_size = min(batch_size, len(x))
    whole = tf.data.Dataset.from_tensor_slices((x, y))
    part, steps = shard.part(batch_size), len(x) // batch_size

    def batches(epoch):
        order = image_dataset.mix_seed(seed, epoch)
        examples = shard.take(whole.shuffle(len(x), seed=order))
        batches = examples.batch(part, drop_remainder=True).take(steps)
        return batches.prefetch(tf.data.AUTOTUNE)

    return Split(batches, steps, len(x))


def evaluation_split(images, batch_size, name):
    """Returns the `Split` of images to measure on, in their order.

    Args:
        images: arrays or batches, as `training_split` takes them.
        batch_size: int, for arrays.
        name: str, the argument's name in errors.

    Raises:
        ValueError: if the images are in no such form, or there are none.
    """
    if isinstance(images, tf.data.Dataset):
        return _batched(images, name)
    x, y = _arrays(images, name)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)
    return Split(lambda epoch: batches, -(-len(x) // batch_size), len(x))


def _batched(batches, name, shard=image_dataset.ALL):
    spec = batches.element_spec
    shapes = [getattr(part, "shape", None) for part in tf.nest.flatten(spec)]
    if len(shapes) != 2 or [shape.rank for shape in shapes] != [4, 1]:
        raise ValueError(
            f"`{name}` should be batches of images (batch, height, width, 3) "
            f"and integer labels (batch,). Received: {spec}"
        )
    sizes = [len(labels) for _, labels in batches.as_numpy_iterator()]
    if not sizes:
        raise ValueError(f"`{name}` should have images. Received: none")
    for size in sizes:
        shard.part(size)
    if shard.count > 1:
        mine = slice(shard.index, None, shard.count)
        batches = batches.map(
            lambda images, labels: (images[mine], labels[mine])
        )
    return Split(lambda epoch: batches, len(sizes), sum(sizes))


def _arrays(images, name):
    try:
        x, y = (np.asarray(array) for array in images)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` should be a `tf.data.Dataset` of batches, or images "
            f"and labels, two arrays. Received: {type(images).__name__}"
        ) from None
    if x.ndim != 4 or y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise ValueError(
            f"`{name}` should be images of shape (images, height, width, 3) "
            f"and integer labels of shape (images,). Received: {x.shape} and "
            f"{y.shape} of {y.dtype}"
        )
    if not len(x):
        raise ValueError(f"`{name}` should have images. Received: none")
    return x.astype("float32", copy=False), y
