"""Accuracy, confusion matrix, and differences between two networks' outputs.

Of several labels: average precision, F1, and the thresholds of the best F1.
"""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_squeezenet import metadata

# The smallest probability in a divergence, which keeps it finite.
EPSILON = 1e-12
# A threshold that is chosen by fewer positive images is worse than
# `metadata.THRESHOLD`.
MIN_POSITIVE = 10


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

    # An array of shape `(images, classes)`.
    probabilities: np.ndarray
    # An array of integers, of shape `(images,)`.
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


@dataclasses.dataclass(frozen=True, eq=False)
class SeveralLabels(Evaluation):
    """The outputs of a network for images with several labels.

    `labels` are rows of 0 and 1, of shape `(images, classes)`.
    """

    @property
    def accuracy(self) -> float:
        """The mean average precision of the classes that occur, from 0 to 1.

        NaN if no image has a label.
        """
        known = self.average_precisions
        known = known[~np.isnan(known)]
        return float(known.mean()) if len(known) else math.nan

    @property
    def average_precisions(self) -> np.ndarray:
        """The average precision of each class, NaN without positive images."""
        return np.array(
            [
                average_precision(probabilities, labels)
                for probabilities, labels in zip(
                    self.probabilities.T, self.labels.T
                )
            ]
        )

    def f1(self, thresholds: Sequence[float]) -> np.ndarray:
        """Return the F1 of each class, NaN where no label is or is predicted.

        A label is predicted where its probability is at least the threshold.
        """
        predicted = self.probabilities >= np.asarray(thresholds, "float32")
        labels = self.labels > 0
        right = np.sum(predicted & labels, axis=0)
        total = predicted.sum(axis=0) + labels.sum(axis=0)
        found = np.full(len(total), np.nan)
        return np.divide(2 * right, total, out=found, where=total > 0)

    def by_class(self, thresholds: Sequence[float]) -> list[dict]:
        """Return a dict for each class, with `None` for what is undefined.

        It has `images` with the label, the number of `predicted` ones,
        `threshold`, `average_precision` and `f1`.
        """
        predicted = self.probabilities >= np.asarray(thresholds, "float32")
        return [
            {
                "images": int(images),
                "predicted": int(count),
                "threshold": threshold,
                "average_precision": None if math.isnan(ap) else float(ap),
                "f1": None if math.isnan(f1) else float(f1),
            }
            for images, count, threshold, ap, f1 in zip(
                self.labels.sum(axis=0),
                predicted.sum(axis=0),
                thresholds,
                self.average_precisions,
                self.f1(thresholds),
            )
        ]

    def best_thresholds(self, least: int = MIN_POSITIVE) -> list[float]:
        """Return the threshold of each class with the best F1.

        It is `metadata.THRESHOLD` for a class with fewer than `least` positive
        images.
        """
        return [
            best_threshold(probabilities, labels)
            if labels.sum() >= least
            else metadata.THRESHOLD
            for probabilities, labels in zip(
                self.probabilities.T, self.labels.T
            )
        ]


def mean_f1(rows: list[dict]) -> float | None:
    """Return the mean F1 of what `SeveralLabels.by_class` returned."""
    known = [row["f1"] for row in rows if row["f1"] is not None]
    return float(np.mean(known)) if known else None


def average_precision(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the average precision of one class, NaN without positives.

    It is the sum of the precisions at the thresholds, each times the recall
    that the threshold adds, without interpolation.
    """
    _, right, positive = _by_threshold(probabilities, labels)
    if not right[-1]:
        return math.nan
    recall_added = np.diff(right, prepend=0) / right[-1]
    return float(np.sum(recall_added * right / positive))


def best_threshold(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the threshold with the best F1 of a class with positive images.

    It is in the middle between two probabilities.
    """
    values, right, positive = _by_threshold(probabilities, labels)
    best = int(np.argmax(2 * right / (positive + right[-1])))
    lower = values[best + 1] if best + 1 < len(values) else 0.0
    return float(np.clip((values[best] + lower) / 2, 1e-6, 1 - 1e-6))


def _by_threshold(probabilities, labels):
    """Return the distinct probabilities, from the highest.

    And the number of images of the class, and of all, with at least each.
    """
    order = np.argsort(-probabilities, kind="stable")
    values = np.asarray(probabilities, "float64")[order]
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    right = np.cumsum(np.asarray(labels)[order] > 0)
    return values[last], right[last], last + 1


def evaluate(
    predict: Callable[[np.ndarray], np.ndarray],
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    advance: Callable[..., None] = lambda **metrics: None,
) -> Evaluation:
    """Run a network over batches of `(images, labels)`, in their order.

    Labels in rows are several labels: the result is a `SeveralLabels`.
    """
    probabilities, labels = [], []
    correct = total = 0
    for images, expected in batches:
        probabilities.append(np.asarray(predict(np.asarray(images))))
        labels.append(np.asarray(expected))
        total += len(labels[-1])
        if labels[-1].ndim == 2:
            advance()
            continue
        predicted = probabilities[-1].argmax(axis=1)
        correct += int(np.sum(predicted == labels[-1]))
        advance(accuracy=correct / total)
    if not total:
        raise ValueError(
            "the data must have at least one image to evaluate a network on. "
            "Received: none; check the path or the split"
        )
    return of(np.concatenate(probabilities), np.concatenate(labels))


def of(probabilities: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Return the outputs for images; labels in rows are several labels."""
    kind = SeveralLabels if labels.ndim == 2 else Evaluation
    return kind(probabilities, labels)


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
