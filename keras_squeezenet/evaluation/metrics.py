"""Accuracy, confusion matrix, and differences between two networks' outputs."""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# The smallest probability in a divergence, which keeps it finite.
EPSILON = 1e-12


class Comparison(NamedTuple):
    """The differences between the outputs of two networks."""

    # The share of images with the same most probable class.
    agreement: float
    # The largest difference of two probabilities; NaN if an output is.
    max_difference: float


def compare(expected: np.ndarray, received: np.ndarray) -> Comparison:
    """Compare two arrays of probabilities, of shape `(images, classes)`."""
    expected = np.asarray(expected, "float64")
    received = np.asarray(received, "float64")
    if expected.shape != received.shape or expected.ndim != 2:
        raise ValueError(
            "outputs to compare must have the same shape (images, classes). "
            f"Received: shapes {expected.shape} and {received.shape}"
        )
    if not expected.size:
        raise ValueError(
            "outputs to compare must have at least one image. "
            f"Received: shape {expected.shape}"
        )
    return Comparison(
        agreement=float(np.mean(expected.argmax(1) == received.argmax(1))),
        max_difference=float(np.max(np.abs(expected - received))),
    )


def divergence(expected: np.ndarray, received: np.ndarray) -> float:
    """Return the mean Kullback-Leibler divergence, in nats, of `received`.

    Both are probabilities of shape `(images, classes)`.
    """
    return float(np.mean(divergences(expected, received)))


def divergences(expected: np.ndarray, received: np.ndarray) -> np.ndarray:
    """Return the divergence of each image, as `divergence` takes the mean."""
    expected, received = (
        np.maximum(np.asarray(outputs, "float64"), EPSILON)
        for outputs in (expected, received)
    )
    ratio = np.log(expected) - np.log(received)
    return np.sum(expected * ratio, axis=1)


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of independent values.

    A single value has none: it is 0.
    """
    count = len(values)
    deviation = np.std(values, ddof=1) if count > 1 else 0.0
    return float(deviation / math.sqrt(count))


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """The outputs of a network for labeled images."""

    # Of shape `(images, classes)`.
    probabilities: np.ndarray
    # Integers of shape `(images,)`.
    labels: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image."""
        return self.probabilities.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """The top-1 accuracy, between 0 and 1."""
        return float(np.mean(self.predicted == self.labels))

    def top(self, count: int) -> float:
        """Return the top-k accuracy, where k is `count`."""
        return float(np.mean(hits(self.probabilities, self.labels, count)))


def evaluate(
    predict: Callable[[np.ndarray], np.ndarray],
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    advance: Callable[..., None] = lambda **metrics: None,
) -> Evaluation:
    """Run a network over batches of `(images, labels)`, in their order."""
    probabilities, labels = [], []
    correct = total = 0
    for images, expected in batches:
        probabilities.append(np.asarray(predict(np.asarray(images))))
        labels.append(np.asarray(expected))
        predicted = probabilities[-1].argmax(axis=1)
        correct += int(np.sum(predicted == labels[-1]))
        total += len(predicted)
        advance(accuracy=correct / total)
    if not total:
        raise ValueError(
            "the data must have at least one image to evaluate a network on. "
            "Received: none; check the path or the split"
        )
    return Evaluation(np.concatenate(probabilities), np.concatenate(labels))


def hits(
    probabilities: np.ndarray, labels: Sequence[int] | np.ndarray, count: int
) -> np.ndarray:
    """Return whether each label is among the `count` most probable classes.

    Of two classes with equal probabilities, the first ranks higher.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return np.any(best == np.asarray(labels)[:, np.newaxis], axis=1)


def confusion_matrix(
    labels: Sequence[int] | np.ndarray,
    predicted: Sequence[int] | np.ndarray,
    classes: int,
) -> np.ndarray:
    """Count images by true class (rows) and predicted class (columns)."""
    matrix = np.zeros((classes, classes), "int64")
    np.add.at(matrix, (np.asarray(labels), np.asarray(predicted)), 1)
    return matrix


def recalls(confusion: np.ndarray) -> np.ndarray:
    """Return the recall of each class, NaN for classes without images.

    The transpose of a confusion matrix gives the precisions.
    """
    totals = confusion.sum(axis=1)
    found = np.full(len(totals), np.nan)
    return np.divide(confusion.diagonal(), totals, out=found, where=totals > 0)
