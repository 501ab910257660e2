"""Metrics of arrays: hits, average precision, confusion matrix, divergence."""

import math
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
