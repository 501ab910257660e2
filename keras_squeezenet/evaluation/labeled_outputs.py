"""The outputs of a network for labeled images, and the metrics of them."""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np

from keras_squeezenet import metadata
from keras_squeezenet.evaluation import metrics

# A threshold that is chosen by fewer positive images is worse than
# `metadata.THRESHOLD`.
MIN_POSITIVE = 10


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
        return float(
            np.mean(metrics.hits(self.probabilities, self.labels, count))
        )


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
                metrics.average_precision(probabilities, labels)
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
            metrics.best_threshold(probabilities, labels)
            if labels.sum() >= least
            else metadata.THRESHOLD
            for probabilities, labels in zip(
                self.probabilities.T, self.labels.T
            )
        ]


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


def mean_f1(rows: list[dict]) -> float | None:
    """Return the mean F1 of what `SeveralLabels.by_class` returned."""
    known = [row["f1"] for row in rows if row["f1"] is not None]
    return float(np.mean(known)) if known else None
