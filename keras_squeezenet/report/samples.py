"""Sample images, their predictions, and histograms of kernels."""

import logging
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from keras_squeezenet import normalizations
from keras_squeezenet.evaluation import class_activation

if TYPE_CHECKING:
    import keras

    from keras_squeezenet.evaluation import labeled_outputs

SAMPLES = 12
# The largest number of samples on which the two models disagree.
DISAGREEMENTS = 4
BINS = 40

logger = logging.getLogger(__name__)


def choose_samples(
    before: "labeled_outputs.Evaluation", after: "labeled_outputs.Evaluation"
) -> list[int]:
    """Return the sorted indices of the test images to show."""
    differs = np.flatnonzero(before.predicted != after.predicted)
    chosen = set(_spread(differs, DISAGREEMENTS))
    others = np.setdiff1d(np.arange(len(after.labels)), differs)
    return sorted(chosen | set(_spread(others, SAMPLES - len(chosen))))


def _spread(indices: np.ndarray, count: int) -> list[int]:
    """Return at most `count` of the indices, equally spaced."""
    places = np.linspace(0, len(indices) - 1, min(count, len(indices)))
    return indices[np.unique(places.round().astype(int))].tolist()


def sample(
    before: "labeled_outputs.Evaluation",
    after: "labeled_outputs.Evaluation",
    index: int,
) -> dict[str, Any]:
    """Return the label and the two predictions of an image."""

    def best(evaluation: "labeled_outputs.Evaluation") -> dict[str, Any]:
        predicted = int(evaluation.predicted[index])
        return {
            "class": predicted,
            "probability": float(evaluation.probabilities[index, predicted]),
        }

    return {
        "label": int(after.labels[index]),
        "dense": best(before),
        "compressed": best(after),
    }


def sample_images(
    batches: Iterable[tuple[Any, Any]], indices: Sequence[int]
) -> np.ndarray:
    """Return the normalized images at sorted indices."""
    found, start = [], 0
    for images, _ in batches:
        for index in indices:
            if start <= index < start + len(images):
                found.append(np.asarray(images[index - start]))
        start += len(images)
    return np.stack(found)


def explain(
    model: "keras.Model",
    images: np.ndarray,
    classes: Sequence[int],
    normalization: str = normalizations.CAFFE,
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Return each image as uint8 RGB, without and with its heat map.

    The heat map is the class activation map of one class for each image. It is
    `None` if the network has a head that cannot be explained.
    """
    rgb = normalizations.get(normalization).to_rgb(images)
    try:
        explainer = class_activation.Explainer(model)
    except ValueError as error:
        logger.info("The samples have no heat maps: %s", error)
        return [(image, None) for image in rgb]
    maps = explainer.maps(images, np.reshape(classes, (-1, 1)), upsample=True)
    return [
        (image, class_activation.overlay(image, found[..., 0]))
        for image, found in zip(rgb, maps)
    ]


def histograms(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Return histograms of dense and compressed kernels with equal bins."""
    rows = []
    for name, dense in before.items():
        compressed = after[name]
        low = min(dense.min(), compressed.min())
        high = max(dense.max(), compressed.max())
        edges = np.linspace(low, high, BINS + 1)
        rows.append(
            {
                "name": name,
                "edges": edges.tolist(),
                "before": np.histogram(dense, edges)[0].tolist(),
                "after": np.histogram(compressed, edges)[0].tolist(),
            }
        )
    return rows
