"""The labels of a set of images, and the checks that they can be learned.

An image has one label: the number of its class, or a row of probabilities. Or
it has several labels, any number of them: a row with 1 for each.
"""

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
        several: whether an image may have several labels.
    """

    read: Callable[[], np.ndarray]
    is_checked: bool = False
    several: bool = False

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
    if not len(labels):
        return
    least, greatest = int(labels.min()), int(labels.max())
    if least < 0 or greatest >= classes:
        raise ValueError(
            f"the labels of `{name}` must be from 0 to {classes - 1}, the "
            f"numbers of {classes} classes. Received: labels from {least} to "
            f"{greatest}. Number the classes from 0, or build the model with "
            "as many `classes` as there are"
        )


def normalized(
    labels: Any, name: str, several: bool | None = None
) -> tuple[np.ndarray, bool]:
    """Return labels as int64 or float32 rows, and whether they are several.

    Args:
        labels: integers of shape `(images,)`, or `(images, 1)` as in
            `keras.datasets.cifar10`; one-hot or soft labels, rows of shape
            `(images, classes)` that sum to 1; or several labels, rows of 0 and
            1.
        name: the name of the set, for errors.
        several: whether they must be several labels. Defaults to `None`: rows
            of 0 and 1 are, unless all of them sum to 1.

    Raises:
        ValueError: if they are none of these.
    """
    labels = np.asarray(labels)
    if is_column(labels):
        labels = labels[:, 0]
    is_rows = labels.ndim == 2 and labels.dtype.kind in "fiub"
    if not is_rows and (labels.ndim != 1 or labels.dtype.kind not in "iu"):
        raise ValueError(
            f"the labels of `{name}` must be integers of shape (images,), or "
            "one-hot, soft or several labels of shape (images, classes). "
            f"Received: labels of shape {labels.shape} of {labels.dtype}"
        )
    if not is_rows:
        _require_one(labels, name, several)
        return labels.astype("int64"), False
    labels = labels.astype("float32")
    if labels.shape[1] < 2:
        raise ValueError(
            "labels in rows must have at least two classes. Received: labels "
            f"of `{name}` of shape {labels.shape}. Two classes are numbered 0 "
            "and 1, in labels of shape (images,)"
        )
    is_binary = bool(np.isin(labels, (0, 1)).all())
    if several is None:
        several = is_binary and not np.all(labels.sum(axis=1) == 1)
    if several:
        _require_binary(labels, is_binary, name)
    elif is_binary:
        _require_one_hot(labels, name)
    else:
        _require_probabilities(labels, name)
    return labels, several


def is_column(labels: np.ndarray) -> bool:
    """Return whether labels are integers of shape `(images, 1)`."""
    return labels.shape[1:] == (1,) and labels.dtype.kind in "iu"


def _require_one(labels, name, several):
    if several:
        raise ValueError(
            f"the labels of `{name}` must be rows of 0 and 1, several labels "
            "for an image, as those of the training set or of the network. "
            f"Received: integers of shape {labels.shape}"
        )


def _require_binary(labels, is_binary, name):
    if not is_binary:
        bad = ~np.isin(labels, (0, 1)).all(axis=1)
        raise ValueError(
            "several labels must be rows of 0 and 1. Received: image "
            f"{int(bad.argmax())} of `{name}`, counted from 0, with the labels "
            f"{labels[bad.argmax()][:10].tolist()}"
        )


def _require_one_hot(labels, name):
    sums = labels.sum(axis=1)
    if np.any(sums != 1):
        first = int(np.argmax(sums != 1))
        raise ValueError(
            f"every image of `{name}` must have one label: several labels need "
            "a network that ends with a sigmoid. Received: image "
            f"{first}, counted from 0, with {sums[first]:g} labels. Build the "
            "network with `training.build(..., several_labels=True)`"
        )


def _require_probabilities(labels, name):
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
    """Return the number of the most probable class for one label an image."""
    return labels.argmax(axis=1) if labels.ndim == 2 else labels


def refuse_weights(name: str) -> NoReturn:
    """Raise a `ValueError` for the weights of a validation or test set."""
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
