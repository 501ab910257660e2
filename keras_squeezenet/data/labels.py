"""The labels of a set of images, and the checks that they can be learned."""

import dataclasses
from collections.abc import Callable
from typing import Any
from typing import NoReturn

import numpy as np

# How far the sum of an image's probabilities may be from 1.
TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """The labels of a set.

    Args:
        read: a function without arguments that returns all of them: integers
            of shape `(images,)`, or rows of shape `(images, classes)`.
        is_checked: whether they are known to be numbers of the classes.
    """

    read: Callable[[], np.ndarray]
    is_checked: bool = False

    def count(self, classes: int) -> np.ndarray:
        """Return the number of images of each class."""
        return count(self.read(), classes)

    def require_classes(self, name: str, classes: int) -> None:
        """Raise a `ValueError` unless the labels are of so many classes."""
        if not self.is_checked:
            require_classes(name, self.read(), classes)


UNKNOWN = Labels(lambda: np.zeros(0, "int64"), is_checked=True)


def count(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the number of images of each class; of rows, their sum."""
    if labels.ndim == 1:
        return np.bincount(labels, minlength=classes)
    return labels.sum(axis=0)


def require_classes(name: str, labels: np.ndarray, classes: int) -> None:
    """Raise a `ValueError` unless labels are of so many classes.

    Args:
        name: the name of the set, for the error.
        labels: what `normalized` returned.
        classes: the number of classes.
    """
    if labels.ndim == 2:
        if labels.shape[1] != classes:
            raise ValueError(
                f"the labels of `{name}` must have a column for each of the "
                f"{classes} classes. Received: labels of shape {labels.shape}. "
                "Add the columns, or build the model with as many `classes` as "
                "there are"
            )
        return
    least, greatest = (int(labels.min()), int(labels.max())) * bool(len(labels))
    if least < 0 or greatest >= classes:
        raise ValueError(
            f"the labels of `{name}` must be from 0 to {classes - 1}, the "
            f"numbers of {classes} classes. Received: labels from {least} to "
            f"{greatest}. Number the classes from 0, or build the model with "
            "as many `classes` as there are"
        )


def normalized(labels: Any, name: str) -> np.ndarray:
    """Return labels as integers, or as float32 rows of probabilities.

    Args:
        labels: integers of shape `(images,)`; or one-hot or soft labels, rows
            of shape `(images, classes)` that sum to 1.
        name: the name of the set, for errors.

    Raises:
        ValueError: if they are neither.
    """
    labels = np.asarray(labels)
    is_rows = labels.ndim == 2 and labels.dtype.kind in "fiub"
    if not is_rows and (labels.ndim != 1 or labels.dtype.kind not in "iu"):
        raise ValueError(
            f"the labels of `{name}` must be integers of shape (images,), or "
            "one-hot or soft labels of shape (images, classes). Received: "
            f"labels of shape {labels.shape} of {labels.dtype}"
        )
    if not is_rows:
        return labels
    labels = labels.astype("float32")
    _require_rows(labels, name)
    return labels


def _require_rows(labels, name):
    if labels.shape[1] < 2:
        raise ValueError(
            f"one-hot or soft labels must have at least two classes. Received: "
            f"labels of `{name}` of shape {labels.shape}. Number the classes "
            "from 0, with labels of shape (images,)"
        )
    sums = labels.sum(axis=1)
    # NaN is not close to anything.
    bad = ~(np.abs(sums - 1) <= TOLERANCE) | (labels < 0).any(axis=1)
    if bad.any():
        first = int(bad.argmax())
        raise ValueError(
            f"one-hot or soft labels must be probabilities, at least 0, that "
            f"sum to 1. Received: image {first} of `{name}`, counted from 0, "
            f"with labels that sum to {sums[first]:.4g} and are at least "
            f"{labels[first].min():.4g}. Divide each row by its sum"
        )


def numbers(labels: np.ndarray) -> np.ndarray:
    """Return the number of the most probable class for each of the labels."""
    return labels.argmax(axis=1) if labels.ndim == 2 else labels


def refuse_weights(name: str) -> NoReturn:
    """Raise a `ValueError` for the sample weights of a set to measure on."""
    raise ValueError(
        f"`{name}` must have no sample weights: an accuracy counts every image "
        "once. Received: a third part beside images and labels; leave it out"
    )


def require_weights(weights: Any, images: int, name: str) -> np.ndarray:
    """Return sample weights as float32 of shape `(images,)`.

    Raises:
        ValueError: if they are not such numbers, at least 0, not all 0.
    """
    weights = np.asarray(weights)
    is_real = weights.dtype.kind in "fiub"
    if not is_real or weights.shape != (images,):
        raise ValueError(
            f"the sample weights of `{name}` must be numbers of shape "
            f"({images},), one for each image. Received: {weights.shape} of "
            f"{weights.dtype}"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(
            f"the sample weights of `{name}` must be finite and at least 0. "
            f"Received: weights from {weights.min():.4g} to "
            f"{weights.max():.4g}"
        )
    if not weights.any():
        raise ValueError(
            f"the sample weights of `{name}` must not all be 0. Received: "
            f"{images:,} weights of 0"
        )
    return weights.astype("float32")
