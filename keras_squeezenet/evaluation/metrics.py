"""Accuracy, confusion matrix, and differences between two networks' outputs."""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# The smallest probability in a divergence, which keeps it finite.
EPSILON = 1e-12


class Comparison(NamedTuple):
    """The differences between the outputs of two networks.

    Attributes:
        agreement: float, the share of images with the same most probable
            class.
        max_difference: float, the largest difference of two probabilities.
    """

    agreement: float
    max_difference: float


def compare(expected: np.ndarray, received: np.ndarray) -> Comparison:
    """Compare two arrays of probabilities of the same images.

    Args:
        expected: array of shape `(images, classes)`.
        received: array of the same shape.

    Returns:
        A `Comparison`. The difference is NaN if an output is.

    Raises:
        ValueError: if the shapes differ, or there is no image.
    """
    expected = np.asarray(expected, "float64")
    received = np.asarray(received, "float64")
    if expected.shape != received.shape or expected.ndim != 2:
        raise ValueError(
            "outputs to compare must have the same shape (images, classes). "
            f"Received: shapes {expected.shape} and {received.shape}"
        )
    if not expected.size:
        raise ValueError(
            "outputs to compare must be those of at least one image. "
            f"Received: shape {expected.shape}"
        )
    return Comparison(
        agreement=float(np.mean(expected.argmax(1) == received.argmax(1))),
        max_difference=float(np.max(np.abs(expected - received))),
    )


def divergence(expected: np.ndarray, received: np.ndarray) -> float:
    """Return the mean Kullback-Leibler divergence of outputs, in nats.

    Args:
        expected: array of probabilities of shape `(images, classes)`.
        received: array of probabilities of the same images and shape.
    """
    expected, received = (
        np.maximum(np.asarray(outputs, "float64"), EPSILON)
        for outputs in (expected, received)
    )
    ratio = np.log(expected) - np.log(received)
    return float(np.mean(np.sum(expected * ratio, axis=1)))


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """The outputs of a network for labeled images.

    Attributes:
        probabilities: array of shape `(images, classes)`.
        labels: integer array of shape `(images,)`.
    """

    probabilities: np.ndarray
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
        """Return the top-k accuracy for `count` classes."""
        return float(np.mean(hits(self.probabilities, self.labels, count)))


def evaluate(
    predict: Callable[[np.ndarray], np.ndarray],
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    advance: Callable[..., None] = lambda **metrics: None,
) -> Evaluation:
    """Run a network over labeled images, once.

    Args:
        predict: function from a batch of images to probabilities, both NumPy.
        batches: iterable of `(images, labels)`, at least one.
        advance: function called after each batch with the `accuracy` so far.
            Defaults to one that does nothing.

    Returns:
        An `Evaluation`, the images in the order of the batches.

    Raises:
        ValueError: if there is no batch.
    """
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
            "Received: none"
        )
    return Evaluation(np.concatenate(probabilities), np.concatenate(labels))


def hits(
    probabilities: np.ndarray, labels: Sequence[int] | np.ndarray, count: int
) -> np.ndarray:
    """Return whether the label of each image is among the most probable.

    Among equal probabilities, the class that comes first is taken for the
    more probable one.

    Args:
        probabilities: array of shape `(images, classes)`.
        labels: integer array of shape `(images,)`.
        count: int, the k of the top-k accuracy.

    Returns:
        A bool array of shape `(images,)`.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return np.any(best == np.asarray(labels)[:, np.newaxis], axis=1)


def confusion_matrix(
    labels: Sequence[int] | np.ndarray,
    predicted: Sequence[int] | np.ndarray,
    classes: int,
) -> np.ndarray:
    """Count the predictions of each class for each true class.

    Args:
        labels: integer array of shape `(images,)`, in `[0, classes)`.
        predicted: integer array of the same shape and range.
        classes: int, the number of classes.

    Returns:
        An int64 array of shape `(classes, classes)`: a row for each true
        class, a column for each predicted one.
    """
    matrix = np.zeros((classes, classes), "int64")
    np.add.at(matrix, (np.asarray(labels), np.asarray(predicted)), 1)
    return matrix


def recalls(confusion: np.ndarray) -> np.ndarray:
    """Return the recall of each class.

    Args:
        confusion: array that `confusion_matrix` returned; its transpose gives
            the precisions.

    Returns:
        A float64 array of shape `(classes,)`, NaN for classes without images.
    """
    totals = confusion.sum(axis=1)
    found = np.full(len(totals), np.nan)
    return np.divide(confusion.diagonal(), totals, out=found, where=totals > 0)
