"""What packing costs, measured on images that take no part in it."""

import copy
import dataclasses
from collections.abc import Callable
from collections.abc import Iterable

import keras
import numpy as np

from keras_squeezenet.evaluation import metrics
from keras_squeezenet.packing import cached_features

# Pairs of images and their labels, or `None`.
Batches = Iterable[tuple[np.ndarray, np.ndarray | None]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """The difference of a packed network from the original one.

    Attributes:
        kl: the mean Kullback-Leibler divergence of the outputs, in nats.
        kl_error: its standard error.
        agreement: the share of the images whose most probable class is
            unchanged.
        agreement_error: its standard error.
        accuracy: of the packed network; `None` without labels.
        accuracy_before: of the original network; `None` without labels.
        accuracy_error: the standard error of their paired difference; `None`
            without labels.
    """

    kl: float
    kl_error: float
    agreement: float
    agreement_error: float
    accuracy: float | None = None
    accuracy_before: float | None = None
    accuracy_error: float | None = None

    @property
    def accuracy_drop(self) -> float | None:
        """The percentage points that are lost; `None` without labels."""
        if self.accuracy is None or self.accuracy_before is None:
            return None
        return 100 * (self.accuracy_before - self.accuracy)


class Measurer:
    """Measures packed networks against the original one on the same images.

    Args:
        model: the original network.
        batches: function that returns preprocessed images and their labels,
            which are `None` if they are not known.
        is_held_out: whether the original network was not trained on them.
        advance: function called after each batch.
    """

    def __init__(
        self,
        model: keras.Model,
        batches: Callable[[], Batches],
        is_held_out: bool = True,
        advance: Callable[..., None] = lambda **metrics: None,
    ):
        self.batches = batches
        self.is_held_out = is_held_out
        self.outputs, self.labels = self._predict(model, advance)

    def behind(
        self,
        front: keras.Model,
        advance: Callable[..., None] = lambda **metrics: None,
    ) -> "Measurer":
        """Return a measurer of networks that take the outputs of a front.

        Those are kept in memory, float16. `advance` is called after each batch.
        """
        found = []
        for images, labels in self.batches():
            features = front.predict_on_batch(np.asarray(images))
            found.append((cached_features.as_float16(features), labels))
            advance()
        measurer = copy.copy(self)
        measurer.batches = lambda: (
            (np.float32(features), labels) for features, labels in found
        )
        return measurer

    @property
    def accuracy(self) -> float | None:
        """The accuracy of the original network; `None` without labels."""
        if self.labels is None:
            return None
        return float(np.mean(metrics.hits(self.outputs, self.labels, 1)))

    @property
    def size(self) -> int:
        """The number of images."""
        return len(self.outputs)

    def measure(
        self,
        model: keras.Model,
        advance: Callable[..., None] = lambda **metrics: None,
    ) -> Measurement:
        """Measure a network; `advance` is called after each batch."""
        received, _ = self._predict(model, advance)
        divergences = metrics.divergences(self.outputs, received)
        same = self.outputs.argmax(1) == received.argmax(1)
        values = {}
        if self.labels is not None:
            before, after = (
                metrics.hits(outputs, self.labels, 1)
                for outputs in (self.outputs, received)
            )
            values = {
                "accuracy": float(np.mean(after)),
                "accuracy_before": float(np.mean(before)),
                "accuracy_error": metrics.standard_error(
                    after.astype("float64") - before
                ),
            }
        return Measurement(
            kl=float(np.mean(divergences)),
            kl_error=metrics.standard_error(divergences),
            agreement=float(np.mean(same)),
            agreement_error=metrics.standard_error(same),
            **values,
        )

    def _predict(self, model, advance):
        """Return the outputs for all images, and the labels, if known."""
        outputs, known = [], []
        for images, labels in self.batches():
            outputs.append(model.predict_on_batch(np.asarray(images)))
            if labels is not None:
                known.append(labels)
            advance()
        # All batches have labels, or none.
        return np.concatenate(outputs), np.concatenate(known) if known else None
