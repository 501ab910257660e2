"""The classes of a run's sets: one order and one list of names."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_squeezenet.data import image_dataset
from keras_squeezenet.metadata import listed


def of_run(
    sets: Mapping[str, Any], stated: Sequence[str] | None
) -> dict[str, Any]:
    """Return the sets of a run with the classes of its training set.

    Args:
        sets: the `"train"`, `"validation"` and `"test"` set, with labels.
        stated: the names that the user gives the classes, which those of an
            `ImageDataset` then have.

    Raises:
        ValueError: if the stated names are not as many as the classes, or are
            their names in another order.
    """
    found, train = dict(sets), sets["train"]
    if stated and isinstance(train, image_dataset.ImageDataset):
        found["train"] = _renamed(train, tuple(map(str, stated)))
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
