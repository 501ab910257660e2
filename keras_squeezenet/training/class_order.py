"""The classes of a run's sets: one list of names, in one order."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_squeezenet import imagenet
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import labels as labels_lib
from keras_squeezenet.metadata import listed
from keras_squeezenet.training import distillation
from keras_squeezenet.training import network
from keras_squeezenet.training import unlabeled
from keras_squeezenet.utils.progress import Progress


def label(
    teacher: distillation.Teacher | None,
    sets: Mapping[str, Any],
    model: Any,
    stated: Sequence[str] | None,
    progress: Progress,
) -> tuple[distillation.Teacher | None, dict[str, Any]]:
    """Return the teacher and the sets of a run, as `unlabeled.label` does.

    Their classes are in the order of `of_run`, for a `model` as `train` takes
    it.
    """
    teacher, sets = unlabeled.label(teacher, sets, progress)
    known = network.class_names_of(model)
    return teacher, of_run(sets, stated, known, teacher)


def of_run(
    sets: Mapping[str, Any],
    stated: Sequence[str] | None = None,
    known: Sequence[str] = (),
    teacher: distillation.Teacher | None = None,
) -> dict[str, Any]:
    """Return the sets of a run with the classes of its training set.

    The classes of an `ImageDataset` for validation or test are matched by name.
    Without any names of the training set, labels stay as they are; so do those
    of arrays and batches.

    Args:
        sets: the `"train"`, `"validation"` and `"test"` set, with labels.
        stated: the names that the user gives the classes of the training set,
            instead of its own.
        known: the names of the network's classes, which are those of training
            arrays and batches, unless others are stated.
        teacher: the network that has labeled some of the sets, if there is one.

    Raises:
        ValueError: if the stated names are not as many as the classes, or are
            their names in another order; or a set has classes that the training
            set lacks.
    """
    found, by_teacher = dict(sets), unlabeled.sets_of(teacher)
    stated = tuple(map(str, stated or ()))
    own = stated or tuple(known)
    if isinstance(sets["train"], image_dataset.ImageDataset):
        own = sets["train"].class_names
        found["train"] = _renamed(sets["train"], stated or own)
    if teacher is not None and "train" in by_teacher:
        own = teacher.names or stated or tuple(known)
    for name, images in sets.items():
        is_matched = name != "train" and name not in by_teacher
        if is_matched and isinstance(images, image_dataset.ImageDataset):
            found[name] = _matched(images, name, own, stated or own)
    return found


def _renamed(train, stated):
    own = train.class_names
    if len(stated) != len(own):
        raise ValueError(
            f"`class_names` must be one for each of the {len(own)} classes of "
            f"{train.name!r}: {listed(own)}. Received: {len(stated)} names: "
            f"{listed(stated)}. Leave them out, or name every class"
        )
    if stated != own and sorted(stated) == sorted(own):
        raise ValueError(
            "`class_names` name the classes and do not sort them: they must "
            f"have the order of those of {train.name!r}: {listed(own)}. "
            f"Received: {listed(stated)}. Leave them out"
        )
    return dataclasses.replace(train, class_names=stated)


def _matched(images, name, own, stated):
    """Return a set with the classes `stated`, whose names may be its `own`."""
    names = images.class_names
    if not own or not names:
        return images
    if names in (own, stated):
        return dataclasses.replace(images, class_names=stated)
    if not any(set(names) <= set(key) for key in (own, stated)):
        unknown = [each for each in names if each not in own]
        raise ValueError(
            f"the classes of `{name}` must be classes of the training set: "
            f"{listed(own)}. Received: {listed(unknown)} in {images.name!r}, "
            "which the training set lacks. Give them its names, or leave their "
            "images out"
        )
    indices = imagenet.match(names, own, stated)
    if not images.are_labels_checked:
        labels_lib.require_classes(name, images.test.labels(), len(names))
    return images.in_classes(stated, indices)
