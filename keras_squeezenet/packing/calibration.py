"""Calibration images from any kind of data."""

import itertools
import os
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from keras_squeezenet import classifier
from keras_squeezenet.data import catalog
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_files
from keras_squeezenet.data import image_folder
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import image_values
from keras_squeezenet.data import splits

# What `packing.pack` takes as data.
Data: TypeAlias = splits.Data | np.ndarray | str | os.PathLike


def load_images(
    data: Data,
    network: classifier.Classifier,
    count: int,
    seed: int = 0,
    is_stated: bool = False,
) -> np.ndarray:
    """Return at most `count` normalized images; see `load`."""
    images, _ = load(data, network, count, seed, is_stated)
    return images


def load(
    data: Data,
    network: classifier.Classifier,
    count: int,
    seed: int = 0,
    is_stated: bool = False,
    name: str = "data",
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return at most `count` normalized images, float32, and their labels.

    The labels are those of arrays and batches, otherwise `None`. The images
    are evenly spaced in the data, except for a `tf.data.Dataset` of unknown
    size: its first images are used. Of a folder with the sets of `data.load`
    only the training set is used. Arrays and batches must have the
    normalization of the network, unless the user states it; errors call them
    by `name`.
    """
    if isinstance(data, str | os.PathLike):
        if os.path.isdir(data):
            return _read_folder(data, network, count), None
        data = catalog.load(data, image_size=network.image_size, seed=seed)
    if isinstance(data, image_dataset.ImageDataset):
        train = data.split("train")
        mask = np.isin(np.arange(train.size), spread(train.size, count))
        squares = [image for image, _ in train.select(mask)]
        images = image_ops.normalize(tf.stack(squares), network.normalization)
        return images.numpy(), None
    if isinstance(data, tf.data.Dataset):
        images, labels = _from_batches(data, count)
    else:
        images, *labels = data if isinstance(data, tuple) else (data,)
        images, *labels = (
            subset(np.asarray(array), count) for array in (images, *labels)
        )
        labels = labels[0] if labels else None
    if images.size:
        values = image_values.Values.of(images)
        image_values.require(name, values, network.normalization, is_stated)
    return images.astype("float32", copy=False), labels


def subset(images: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` evenly spaced images."""
    return images[spread(len(images), count)]


def spread(size: int, count: int) -> np.ndarray:
    """Return at most `count` evenly spaced integers below `size`."""
    count = min(size, count)
    return np.linspace(0, size, count, endpoint=False).astype(int)


def _read_folder(folder, network, count):
    paths, _ = image_files.find(image_folder.training_folder(folder))
    if not paths:
        raise ValueError(
            "the folder must have photographs, in subfolders or not. "
            f"Received: {os.fspath(folder)}, which has none"
        )
    chosen = spread(len(paths), count)
    squares = np.stack([network.read(paths[index]) for index in chosen])
    return image_ops.normalize(squares, network.normalization).numpy()


def _from_batches(batches, count):
    if not isinstance(batches.element_spec, tuple):
        batches = batches.map(lambda images: (images,))
    size = int(batches.cardinality())
    chosen = range(count)
    if size > 0:
        # The last batch may be smaller than the first one.
        images, *_ = next(iter(batches))
        chosen = spread(size * len(images), count)
    wanted = set(map(int, chosen))
    examples = itertools.islice(batches.unbatch(), int(chosen[-1]) + 1)
    found = [
        example for index, example in enumerate(examples) if index in wanted
    ]
    images, *labels = map(np.stack, zip(*found))
    return images, labels[0] if labels else None
