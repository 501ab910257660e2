"""Images without labels: the classes that a teacher finds are their labels."""

import dataclasses
import logging
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_squeezenet.data import catalog
from keras_squeezenet.data import image_dataset
from keras_squeezenet.training import distillation
from keras_squeezenet.utils.progress import Progress

BATCH_SIZE = 32

logger = logging.getLogger(__name__)


def is_labeled(images: Any) -> bool:
    """Return whether data have labels; what is not data counts as labeled.

    Data without labels are an array of images, a `tf.data.Dataset` of batches
    of them, or a `data.ImageDataset` whose `is_labeled` is false.
    """
    if isinstance(images, image_dataset.ImageDataset):
        return images.is_labeled
    if isinstance(images, tf.data.Dataset):
        return len(tf.nest.flatten(images.element_spec)) > 1
    return getattr(images, "ndim", None) != 4


def label(
    teacher: distillation.Teacher | None,
    sets: Mapping[str, Any],
    progress: Progress,
) -> tuple[distillation.Teacher | None, dict[str, Any]]:
    """Return the data of a run with labels, by the names of their sets.

    The labels of images without any are the classes that the teacher finds.
    For a `tf.data.Dataset` they are computed in each pass.

    Returns:
        The teacher, which knows what it `labeled`, and the sets.

    Raises:
        ValueError: if labels are missing without a teacher, or it does not take
            such images.
    """
    missing = [name for name in sets if not is_labeled(sets[name])]
    if not missing:
        return teacher, dict(sets)
    if teacher is None:
        raise ValueError(
            "images without labels need a teacher, whose classes are their "
            f"labels. Received: no labels in the {_listed(missing)} set, "
            "teacher=None. Pass `teacher` (--teacher), or `(images, labels)`"
        )
    found = {
        name: _label(images, name, teacher, progress)
        if name in missing
        else images
        for name, images in sets.items()
    }
    train = sets["train"]
    if "train" in missing and isinstance(train, image_dataset.ImageDataset):
        # It has these sets too, perhaps after a split.
        missing += [name for name in sets if sets[name] is None]
    teacher = teacher.having_labeled(missing)
    logger.info("%s", describe(teacher))
    return teacher, found


def sets_of(teacher: distillation.Teacher | None) -> list[str]:
    """Return the names of the sets whose labels are a teacher's classes."""
    return [] if teacher is None else list(teacher.labeled)


def class_names(
    train: Any,
    stated: Sequence[str] | None,
    teacher: distillation.Teacher | None,
) -> Sequence[str] | None:
    """Return the names of the classes of a training set, if they are known.

    They are what the user has `stated`, or else those of the teacher that
    labeled it, or of an `ImageDataset`.
    """
    if stated:
        return stated
    if teacher is not None and "train" in teacher.labeled:
        return teacher.names or None
    return getattr(train, "class_names", None)


def count_classes(
    names: Sequence[str] | None, teacher: distillation.Teacher | None
) -> int | None:
    """Return the number of classes that a network is built for, if known."""
    if names:
        return len(names)
    return None if teacher is None else len(teacher.class_names)


def describe(teacher: distillation.Teacher) -> str:
    """Return a sentence on the sets that a teacher has labeled."""
    return (
        f"No labels in the {_listed(teacher.labeled)} set: the classes that "
        "the teacher finds take their place, and accuracy on them is agreement "
        "with the teacher."
    )


def _listed(names):
    *others, last = (catalog.SETS[name] for name in names)
    return f"{', '.join(others)} and {last}" if others else last


def _label(images, name, teacher, progress):
    if isinstance(images, tf.data.Dataset):
        (spec,) = tf.nest.flatten(images.element_spec)
        if spec.shape.rank != 4:
            # `splits` says what batches must be.
            return images
        teacher.require_channels(spec.shape[-1], name)
        return images.map(
            lambda *batch: (*batch, teacher.classify(*batch)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    with progress.task(f"labels, {catalog.SETS[name]}", None) as advance:

        def classify(batch):
            labels = teacher.classify(batch).numpy()
            advance()
            return labels

        if isinstance(images, image_dataset.ImageDataset):
            teacher.require_channels(3, images.name)
            return dataclasses.replace(
                images, normalization=teacher.normalization
            ).relabel(teacher.class_names, classify, BATCH_SIZE)
        images = np.asarray(images)
        teacher.require_channels(images.shape[-1], name)
        starts = range(0, len(images), BATCH_SIZE)
        labels = [
            classify(images[start : start + BATCH_SIZE]) for start in starts
        ]
        return images, np.concatenate([*labels, np.zeros(0, "int64")])
