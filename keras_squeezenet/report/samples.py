"""What a report shows beside its numbers: samples, pictures, histograms."""

import numpy as np

from keras_squeezenet.data import image_ops

SAMPLES = 12
# Of these, at most so many that the compressed model sees otherwise.
DISAGREEMENTS = 4
BINS = 40


def choose_samples(before, after):
    """Returns the indices of test images to show, in their order.

    Args:
        before: `comparison.Evaluation` of the dense model.
        after: that of the compressed one, of the same images.
    """
    differs = np.flatnonzero(before.predicted != after.predicted)
    chosen = set(_spread(differs, DISAGREEMENTS))
    others = np.setdiff1d(np.arange(len(after.labels)), differs)
    return sorted(chosen | set(_spread(others, SAMPLES - len(chosen))))


def _spread(indices, count):
    """At most `count` of them, at equal distances."""
    places = np.linspace(0, len(indices) - 1, min(count, len(indices)))
    return indices[np.unique(places.round().astype(int))].tolist()


def sample(before, after, index):
    """Returns what both models say of an image, as the report has it."""

    def best(evaluation):
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


def pictures(batches, indices):
    """Returns the images of those indices as they were before preprocessing.

    Args:
        batches: iterable of `(images, labels)`, preprocessed.
        indices: sorted list of int.

    Returns:
        A list of uint8 RGB arrays.
    """
    found, start = [], 0
    for images, _ in batches:
        for index in indices:
            if start <= index < start + len(images):
                image = np.asarray(images[index - start])
                rgb = (image + image_ops.MEAN)[..., ::-1]
                found.append(np.clip(rgb.round(), 0, 255).astype("uint8"))
        start += len(images)
    return found


def histograms(before, after):
    """Returns histograms of kernels, dense and compressed, of equal bins.

    Args:
        before: dict of layer name to kernel.
        after: the same, compressed.
    """
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
