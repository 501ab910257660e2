"""The images of packing: some calibrate it, and others measure it."""

import dataclasses
import functools
import logging
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_squeezenet import classifier
from keras_squeezenet import imagenet
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_folder
from keras_squeezenet.data import labels as labels_lib
from keras_squeezenet.packing import calibration
from keras_squeezenet.packing import measurement

# How many calibrate unless told otherwise.
IMAGES = 500
# Without a validation set every fifth image measures.
VALIDATION_EVERY = 5
MIN_IMAGES = 2 * VALIDATION_EVERY
# Many files are measured on the validation set, and one on the test set.
MAX_VALIDATION, MAX_TEST = 2_000, 100_000
# The default of the training recipes.
VALIDATION_SHARE = 0.1
BATCH_SIZE = 32

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSets:
    """The images of packing, normalized.

    Attributes:
        calibration: float32 array.
        validation: function that returns batches, as `Measurer` takes it.
        is_held_out: whether they are kept from training too.
        test: the same of the test set, if there is one.
    """

    calibration: np.ndarray
    validation: Callable[[], measurement.Batches]
    is_held_out: bool
    test: Callable[[], measurement.Batches] | None = None


def load(
    data: calibration.Data,
    validation: calibration.Data | None,
    test: calibration.Data | None,
    network: classifier.Classifier,
    count: int,
    seed: int,
    is_stated: bool,
    needs_labels: bool = False,
    **reading: Any,
) -> ImageSets:
    """Return the images that `packing.pack` takes, at most `count` of `data`.

    `is_stated` is whether the user states the normalization of arrays;
    `needs_labels` is whether those of the validation set must be known;
    `reading` is as for `calibration.load_data_set`, of `data`. A folder or a
    list that cannot be divided by class is used without labels, unless they are
    needed.
    """
    options: dict[str, Any] = {
        "network": network,
        "seed": seed,
        "is_stated": is_stated,
    }
    if isinstance(data, str | os.PathLike) and _is_data_set(data, network):
        needs_labels = needs_labels and validation is None
        data = _load_data_set(data, network, seed, needs_labels, **reading)
    given = {}
    if validation is not None:
        given["validation"] = _labeled(
            validation, "validation", MAX_VALIDATION, **options
        )
        given["is_held_out"] = True
    if test is not None:
        given["test"] = _labeled(test, "test", MAX_TEST, **options)
    indices = _divided_outputs(network, data)
    if indices is not None:
        sets = _of_dataset(data, indices, count, **options)
        return dataclasses.replace(sets, **given)
    images, labels = calibration.load(data, count=count, **options, **reading)
    if validation is None:
        return dataclasses.replace(divide(images, labels, network), **given)
    return ImageSets(_require_enough(images), **given)


def divide(
    images: np.ndarray,
    labels: np.ndarray | None = None,
    network: classifier.Classifier | None = None,
) -> ImageSets:
    """Return sets of which every fifth image measures.

    Labels that are not numbers of the network's classes are ignored.
    """
    _require_enough(images)
    measures = np.arange(len(images)) % VALIDATION_EVERY == VALIDATION_EVERY - 1
    labels = _numbers(labels, network)
    return ImageSets(
        images[~measures],
        _batches(
            images[measures], None if labels is None else labels[measures]
        ),
        is_held_out=False,
    )


def in_batches(array: np.ndarray, size: int) -> list[np.ndarray]:
    """Return an array in parts of `size` rows, the last one perhaps smaller."""
    return np.split(array, range(size, len(array), size))


def _require_enough(images):
    if len(images) < MIN_IMAGES:
        raise ValueError(
            f"the data must have at least {MIN_IMAGES} images. Received: "
            f"{len(images)} images; add some, labels are not needed"
        )
    return images


def _load_data_set(name, network, seed, needs_labels, **reading):
    """Return a data set, or the name of files that are used without labels."""
    try:
        found = calibration.load_data_set(name, network, seed, **reading)
        if _divided_outputs(network, found) is not None:
            return _with_validation(found, seed)
        # All images of a list, as of a folder.
        return name if calibration.is_of_files(name) else found
    except image_dataset.SetError as error:
        if needs_labels or not calibration.is_of_files(name):
            raise
        logger.warning(
            "The images of %s are used without labels, because %s",
            os.fspath(name),
            error,
        )
        return name


def _with_validation(dataset, seed):
    """Return a data set with a validation set, and enough training images."""
    sizes = [dataset.train_size, dataset.validation_size, dataset.test_size]
    if dataset.validation is None:
        dataset = dataset.split_validation(VALIDATION_SHARE, seed)
    if dataset.train_size < MIN_IMAGES:
        raise image_dataset.SetError(
            f"the training set of {dataset.name!r} must have at least "
            f"{MIN_IMAGES} images. Received: {dataset.train_size} of its "
            f"{sum(sizes)} images; add some"
        )
    return dataset


def _of_dataset(dataset, indices, count, network, seed, is_stated):
    """Return the sets of an `ImageDataset` of the network's classes."""
    dataset = _with_validation(dataset, seed)
    dataset = dataclasses.replace(dataset, normalization=network.normalization)
    images = calibration.load_images(dataset, network, count, seed, is_stated)
    return ImageSets(
        _require_enough(images),
        _of_split(dataset, "validation", MAX_VALIDATION, indices),
        is_held_out=True,
        test=_of_split(dataset, "test", MAX_TEST, indices),
    )


def _of_split(dataset, split, count, indices):
    """Return a function that returns the batches of at most `count` images."""
    few = calibration.few(dataset.split(split), count)
    return functools.partial(
        _mapped, dataclasses.replace(dataset, test=few), indices
    )


def _mapped(dataset, indices):
    """Yield the batches of a test set, labeled by the network's outputs.

    Without `indices` the labels are `None`.
    """
    for images, labels in dataset.test_batches(BATCH_SIZE):
        if indices is None:
            yield images.numpy(), None
        else:
            yield images.numpy(), indices[labels_lib.numbers(labels.numpy())]


def _labeled(data, name, count, network, seed, is_stated):
    """Return a function that returns the batches of any data."""
    if isinstance(data, image_dataset.ImageDataset):
        data = dataclasses.replace(data, normalization=network.normalization)
        indices = _outputs(network, data.class_names)
        if indices is not None and data.several_labels:
            labels_lib.normalized(data.test.labels(), name, several=False)
        return _of_split(data, "test", count, indices)
    images, labels = calibration.load(
        data, network, count, seed, is_stated, name
    )
    if not len(images):
        raise ValueError(f"`{name}` must have images. Received: none")
    if labels is not None:
        labels, _ = labels_lib.normalized(labels, name, several=False)
        outputs = network.model.output_shape[-1]
        labels_lib.require_classes(name, labels, outputs)
        labels = labels_lib.numbers(labels)
    return _batches(images, labels)


def _batches(images, labels):
    parts = in_batches(images, BATCH_SIZE)
    known = [None] * len(parts)
    if labels is not None:
        known = in_batches(labels, BATCH_SIZE)
    pairs = list(zip(parts, known))
    return lambda: pairs


def _numbers(labels, network):
    """Return labels if they are numbers of the network's classes."""
    if labels is None or network is None:
        return None
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        return None
    outputs = network.model.output_shape[-1]
    return labels if 0 <= labels.min() and labels.max() < outputs else None


def _outputs(network, class_names):
    """Return the output of each class of the data; `None` if they differ."""
    if not class_names:
        return None
    if not network.classes:
        outputs = network.model.output_shape[-1]
        return np.arange(outputs) if len(class_names) == outputs else None
    ids, names = zip(*network.classes)
    try:
        return np.array(imagenet.match(class_names, names, ids))
    except ValueError:
        return None


def _divided_outputs(network, data):
    """Return what `_outputs` does, of a data set to divide by class."""
    if not isinstance(data, image_dataset.ImageDataset) or data.train is None:
        return None
    return None if data.several_labels else _outputs(network, data.class_names)


def _is_data_set(name, network):
    """Return whether a path or name is a data set, not just photographs."""
    if not calibration.is_folder(name):
        return True
    classes = set()
    for folder in image_folder.sub_folders(pathlib.Path(name)):
        is_set = image_folder.split_of(folder.name) is not None
        inside = image_folder.sub_folders(folder) if is_set else [folder]
        classes |= {each.name for each in inside}
    return len(classes) > 1 and _outputs(network, sorted(classes)) is not None
