"""How alike the outputs of two forms of a network are, and how right."""

import dataclasses
from typing import NamedTuple

import numpy as np

# Of a probability, so that a divergence is finite.
EPSILON = 1e-12


class Comparison(NamedTuple):
    """What was measured on the outputs of two forms of a network.

    `agreement` is the share of images with the same most probable class, and
    `max_difference` the largest difference of two probabilities.
    """

    agreement: float
    max_difference: float


def compare(expected, received):
    """Compares two arrays of probabilities of the same images.

    Args:
        expected: array of shape `(images, classes)`.
        received: array of the same shape.

    Returns:
        A `Comparison`. Its difference is NaN where an output is.

    Raises:
        ValueError: if the shapes differ, or there is no image.
    """
    expected = np.asarray(expected, "float64")
    received = np.asarray(received, "float64")
    if expected.shape != received.shape or expected.ndim != 2:
        raise ValueError(
            "two arrays of the same shape (images, classes) are expected. "
            f"Received: shapes {expected.shape} and {received.shape}"
        )
    if not expected.size:
        raise ValueError(
            "outputs for at least one image are expected. Received: shape "
            f"{expected.shape}"
        )
    return Comparison(
        agreement=float(np.mean(expected.argmax(1) == received.argmax(1))),
        max_difference=float(np.max(np.abs(expected - received))),
    )


def divergence(expected, received):
    """Returns the mean Kullback-Leibler divergence of outputs, in nats.

    Args:
        expected, received: arrays of probabilities of the same images, of
            shape `(images, classes)`.
    """
    expected, received = (
        np.maximum(np.asarray(outputs, "float64"), EPSILON)
        for outputs in (expected, received)
    )
    ratio = np.log(expected) - np.log(received)
    return float(np.mean(np.sum(expected * ratio, axis=1)))


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """What a network says about labeled images.

    Args:
        probabilities: array of shape `(images, classes)`.
        labels: integer array of shape `(images,)`.
    """

    probabilities: np.ndarray
    labels: np.ndarray

    @property
    def predicted(self):
        """The most probable class of each image."""
        return self.probabilities.argmax(axis=1)

    @property
    def accuracy(self):
        """The share of images whose most probable class is their label."""
        return float(np.mean(self.predicted == self.labels))

    def top(self, count):
        """The share of images whose label is among the most probable."""
        return float(np.mean(hits(self.probabilities, self.labels, count)))


def evaluate(predict, batches, advance=lambda **metrics: None):
    """Runs a network over labeled images, once.

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
            "at least one image is expected to evaluate a network on. "
            "Received: none"
        )
    return Evaluation(np.concatenate(probabilities), np.concatenate(labels))


def hits(probabilities, labels, count):
    """Returns whether the label of each image is among the most probable.

    Of equal probabilities the class that comes first is the more probable.

    Args:
        probabilities: array of shape `(images, classes)`.
        labels: integer array of shape `(images,)`.
        count: int, how many classes are looked at.

    Returns:
        A bool array of shape `(images,)`.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return np.any(best == np.asarray(labels)[:, np.newaxis], axis=1)


def confusion_matrix(labels, predicted, classes):
    """Counts how often each class was taken for each.

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


def recalls(confusion):
    """Returns the share of each class's images that are predicted to be it.

    Args:
        confusion: array that `confusion_matrix` returned; its transpose gives
            the precisions, the shares of each class's predictions that are
            right.

    Returns:
        A float64 array of shape `(classes,)`, NaN where there are no images.
    """
    totals = confusion.sum(axis=1)
    found = np.full(len(totals), np.nan)
    return np.divide(confusion.diagonal(), totals, out=found, where=totals > 0)
