"""Compare exported networks with the Keras model that they were made from."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_squeezenet import classifier
from keras_squeezenet import evaluation
from keras_squeezenet import normalizations
from keras_squeezenet.data import image_squares
from keras_squeezenet.evaluation import labeled_outputs
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.utils.progress import Progress

BATCH_SIZE = 32
# Without any image, networks are compared on this many random ones.
RANDOM_IMAGES = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The outputs of a Keras model, to compare those of others with.

    Attributes:
        kind: `"test"`, `"calibration"` or `"random"` images.
        probabilities: of the Keras model, of shape `(images, classes)`.
        labels: of the test images, of shape `(images,)`, or `(images, classes)`
            if an image may have several; `None` for others.
        run: returns the probabilities of a `Classifier` for the same images.
    """

    kind: str
    probabilities: np.ndarray
    labels: np.ndarray | None
    run: Callable[[classifier.Classifier], np.ndarray]

    @property
    def accuracy(self) -> float | None:
        """The accuracy of the Keras model; `None` without labels.

        It is top-1, or the mean average precision of several labels.
        """
        return self._accuracy(self.probabilities)

    def measure(self, network: classifier.Classifier) -> dict[str, Any]:
        """Return the differences and the accuracy of another network."""
        received = self.run(network)
        compared = metrics.compare(self.probabilities, received)
        return {
            "max_difference": compared.max_difference,
            "agreement": compared.agreement,
            "accuracy": self._accuracy(received),
        }

    def _accuracy(self, probabilities):
        if self.labels is None:
            return None
        return labeled_outputs.of(probabilities, self.labels).accuracy


def on_labeled(
    network: classifier.Classifier, progress: Progress, **options: Any
) -> Reference:
    """Return the outputs of a network for labeled images.

    `options` are arguments of `evaluation.evaluate`.
    """

    def evaluate(network):
        return evaluation.evaluate(
            network, batch_size=BATCH_SIZE, progress=progress, **options
        ).outputs

    found = evaluate(network)
    return Reference(
        "test",
        found.probabilities,
        found.labels,
        lambda network: evaluate(network).probabilities,
    )


def on_images(
    network: classifier.Classifier, progress: Progress, images: np.ndarray
) -> Reference:
    """Return the outputs of a network for normalized images, or random ones."""
    kind = "calibration" if len(images) else "random"
    images = images if len(images) else random_images(network)
    batches = np.split(images, range(BATCH_SIZE, len(images), BATCH_SIZE))

    def run(network):
        outputs = []
        with progress.task("compare", len(batches)) as advance:
            for batch in batches:
                outputs.append(network.probabilities(batch))
                advance()
        probabilities = np.concatenate(outputs)
        if not np.isfinite(probabilities).all():
            raise ValueError(
                f"the outputs of {network.name} must be finite. Received: NaN "
                "or infinity; train it again, at a lower learning rate"
            )
        return probabilities

    return Reference(kind, run(network), None, run)


def random_images(network: classifier.Classifier) -> np.ndarray:
    """Return normalized images of random colors."""
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (RANDOM_IMAGES, 4, 4, 3), "uint8")
    side = network.image_size
    squares = [image_squares.square(image, side) for image in colors]
    return normalizations.get(network.normalization).apply(np.stack(squares))
