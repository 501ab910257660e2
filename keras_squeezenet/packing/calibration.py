"""Calibration images from any kind of data."""

import itertools
import os
from typing import Any
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from keras_squeezenet import classifier
from keras_squeezenet.data import catalog
from keras_squeezenet.data import csv_list
from keras_squeezenet.data import decode
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_files
from keras_squeezenet.data import image_folder
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import image_values
from keras_squeezenet.data import lazy_examples
from keras_squeezenet.data import splits

# What `packing.pack` takes as data.
Data: TypeAlias = splits.Data | np.ndarray | str | os.PathLike


def load_images(
    data: Data,
    network: classifier.Classifier,
    count: int,
    seed: int = 0,
    is_stated: bool = False,
    **reading: Any,
) -> np.ndarray:
    """Return at most `count` normalized images; see `load`."""
    images, _ = load(data, network, count, seed, is_stated, **reading)
    return images


def load(
    data: Data,
    network: classifier.Classifier,
    count: int,
    seed: int = 0,
    is_stated: bool = False,
    name: str = "data",
    **reading: Any,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return at most `count` normalized images, float32, and their labels.

    The labels are those of arrays and batches, otherwise `None`. The images
    are evenly spaced in the data, except for a `tf.data.Dataset` of unknown
    size: its first images are used. Of a folder or a CSV list with the sets of
    `data.load` only the training set is used. Arrays and batches must have the
    normalization of the network, unless the user states it; errors call them
    by `name`. `reading` is as for `load_data_set`.
    """
    if isinstance(data, str | os.PathLike):
        if is_of_files(data):
            return _read_files(data, network, count, **reading), None
        data = load_data_set(data, network, seed, **reading)
    if isinstance(data, image_dataset.ImageDataset):
        squares = [image for image, _ in few(data.split("train"), count)]
        images = image_ops.normalize(np.stack(squares), network.normalization)
        return images.numpy(), None
    if isinstance(data, tf.data.Dataset):
        images, labels = _from_batches(data, count)
    else:
        arrays = data if isinstance(data, tuple) else (data,)
        arrays = tuple(map(np.asarray, arrays))
        _require_labels(name, *arrays)
        images, *labels = (subset(array, count) for array in arrays)
        labels = labels[0] if labels else None
    if images.size:
        values = image_values.Values.of(images)
        image_values.require(name, values, network.normalization, is_stated)
    return images.astype("float32", copy=False), labels


def load_data_set(
    name: str | os.PathLike,
    network: classifier.Classifier,
    seed: int = 0,
    data_dir: str | os.PathLike | None = None,
    skip_bad_images: bool = False,
) -> image_dataset.ImageDataset:
    """Load a data set as `data.load` does, of the squares a network sees."""
    return catalog.load(
        name,
        data_dir=data_dir,
        image_size=network.image_size,
        skip_bad_images=skip_bad_images,
        seed=seed,
        shorter_side=network.shorter_side,
    )


def is_folder(name: str | os.PathLike) -> bool:
    """Return whether a name is a folder of photographs, with classes or not."""
    prepared = os.path.join(name, catalog.PREPARED)
    return os.path.isdir(name) and not os.path.isfile(prepared)


def is_of_files(name: str | os.PathLike) -> bool:
    """Return whether a name is a folder or a CSV list of photographs."""
    return catalog.is_csv(name) or is_folder(name)


def few(examples: lazy_examples.Examples, count: int) -> lazy_examples.Examples:
    """Return at most `count` evenly spaced examples."""
    mask = np.isin(np.arange(examples.size), spread(examples.size, count))
    return examples.select(mask)


def subset(images: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` evenly spaced images."""
    return images[spread(len(images), count)]


def spread(size: int, count: int) -> np.ndarray:
    """Return at most `count` evenly spaced integers below `size`."""
    count = min(size, count)
    return np.linspace(0, size, count, endpoint=False).astype(int)


def _read_files(name, network, count, data_dir=None, skip_bad_images=False):
    if data_dir is not None:
        catalog.require_tfds_name(name, data_dir)
    if catalog.is_csv(name):
        paths = csv_list.training_files(name)
    else:
        paths, _ = image_files.find(image_folder.training_folder(name))
    chosen = [paths[index] for index in spread(len(paths), count)]
    found, skipped = decode.read(
        chosen, network.image_size, network.shorter_side, skip_bad_images
    )
    # Those that do not fit in memory are not kept.
    read = network.read if found is None else found.get
    squares = [read(path) for path in chosen if path not in skipped]
    if not squares:
        raise ValueError(
            "the folder must have photographs that can be read, in subfolders "
            f"or not. Received: {os.fspath(name)}, which has none"
            if is_folder(name)
            else f"{os.fspath(name)} must list photographs that can be read. "
            "Received: none"
        )
    # TensorFlow converts a list of arrays value by value.
    return image_ops.normalize(np.stack(squares), network.normalization).numpy()


def _require_labels(name, images, *labels):
    for array in labels:
        if len(array) != len(images):
            raise ValueError(
                f"`{name}` must have a label for each image. Received: "
                f"{len(images)} images and {len(array)} labels. Give the "
                "labels of these images"
            )


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
    if not found:
        return np.zeros(0), None
    images, *labels = map(np.stack, zip(*found))
    return images, labels[0] if labels else None
