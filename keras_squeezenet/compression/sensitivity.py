"""The sensitivity of a network to the compression of single layers.

Reference:
- [Learning both Weights and Connections for Efficient Neural
  Networks](https://arxiv.org/abs/1506.02626) (Han et al., 2015), figure 6
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_squeezenet import flattening
from keras_squeezenet import models
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import kmeans
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.data import decode
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import labeled_outputs
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.packing import calibration
from keras_squeezenet.training import network
from keras_squeezenet.training import requirements
from keras_squeezenet.utils import backend
from keras_squeezenet.utils.progress import Progress

DENSITIES = compression_recipe.SCAN_DENSITIES
BITS = compression_recipe.SCAN_BITS
BATCH_SIZE = 64


@dataclasses.dataclass(frozen=True)
class SensitivityResult:
    """Accuracies and divergences as one layer at a time is compressed.

    Args:
        images: int, the number of images in the scan.
        accuracy: float in [0, 1], of the unchanged model.
        layers: list of a dict for each layer: `name`, `weights` (their
            number), and `densities` and `bits`, lists of a dict for each
            `density` or number of `bits`: `accuracy`, and `kl`, the mean
            Kullback-Leibler divergence from the outputs of the unchanged
            model, in nats.
    """

    images: int
    accuracy: float
    layers: list[dict]

    def to_json(self) -> dict:
        """Return every field."""
        return dict(vars(self))


@backend.channels_last()
@decode.named_errors()
def scan_sensitivity(
    model: keras.Model | str | os.PathLike,
    data: Any,
    *,
    densities: Sequence[float] = DENSITIES,
    bits: Sequence[int] = BITS,
    images: int = 256,
    seed: int = 0,
    normalization: str | None = None,
    progress: Progress | None = None,
) -> SensitivityResult:
    """Measure what pruning or weight sharing in one layer at a time costs.

    Each kernel alone is pruned to each density, and shares `2**bits` values.
    Nothing is trained.

    Args:
        model: `keras.Model`, a flat or nested SqueezeNet from normalized
            images to probabilities, which is left unchanged; or a path or the
            name of weights, as `models.load` takes them.
        data: the images of the scan: `(images, labels)`, two arrays; a
            `tf.data.Dataset` of batches of them; or a `data.ImageDataset`,
            whose validation set is used, the same as in `compress`.
        densities: shares of weights to keep, by magnitude.
        bits: numbers of bits of a code for a shared value.
        images: the maximum number of images, taken at equal distances.
        seed: the seed of the split of the validation set.
        normalization: as in `training.train`.
        progress: defaults to a silent one.

    Returns:
        A `SensitivityResult`.

    Raises:
        ValueError: if the model is not a SqueezeNet, or does not fit the
            images.
    """
    model = flattening.flatten(models.load(model, normalization=normalization))
    tf_keras_twin.require_squeezenet(model)
    requirements.require_one_label(model, "a sensitivity scan")
    recipe = compression_recipe.Recipe(batch_size=BATCH_SIZE, seed=seed)
    found = network.name_classes(model, getattr(data, "class_names", None))
    data, validation, _ = splits.of_dataset(
        data, None, None, recipe, found.normalization
    )
    validation = data if validation is None else validation
    split = splits.evaluation_split(validation, BATCH_SIZE, "data")
    chosen, labels = choose(split, images)
    dataset = splits.describe(data, None, found, model.output_shape[-1])
    requirements.require_fit(
        model, chosen[:BATCH_SIZE], dataset, normalization, data=split
    )
    found = scan(model, chosen, labels, densities, bits, progress=progress)
    return SensitivityResult(**found)


def scan(
    model,
    images,
    labels,
    densities=DENSITIES,
    bits=BITS,
    batch_size=BATCH_SIZE,
    progress=None,
):
    """Return the fields of `SensitivityResult` for arrays of labeled images.

    The weights are the same afterwards. The layers before a changed one are
    computed only once.
    """
    progress = progress or Progress()
    kernels = tf_keras_twin.kernels(model)
    expected = model.predict(images, batch_size, verbose=0)
    changes = len(kernels) * (len(densities) + len(bits))
    layers, cut, rest, inputs = [], None, None, None
    with progress.task("sensitivity", changes) as advance:

        def measure(name, changed):
            kernel = model.get_layer(name).kernel
            try:
                kernel.assign(changed)
                outputs = rest.predict(inputs, batch_size, verbose=0)
            finally:
                kernel.assign(kernels[name])
            advance()
            return {
                "accuracy": _accuracy(outputs, labels),
                "kl": metrics.divergence(expected, outputs),
            }

        for name, kernel in kernels.items():
            bottleneck = _bottleneck(model, name)
            if bottleneck is not cut:
                cut = bottleneck
                rest, inputs = _rest_behind(model, cut, images, batch_size)
            layers.append(
                {
                    "name": name,
                    "weights": kernel.size,
                    "densities": [
                        {"density": density}
                        | measure(name, prune(kernel, density))
                        for density in densities
                    ],
                    "bits": [
                        {"bits": count} | measure(name, share(kernel, count))
                        for count in bits
                    ],
                }
            )
    return {
        "images": len(images),
        "accuracy": _accuracy(expected, labels),
        "layers": layers,
    }


def choose(split, count):
    """Return up to `count` images at equal distances, and their labels.

    The images of a `splits.Split` may be sorted by class.
    """
    chosen = set(calibration.spread(split.size, count).tolist())
    examples = split.batches(0).unbatch().as_numpy_iterator()
    images, labels = zip(
        *(each for index, each in enumerate(examples) if index in chosen)
    )
    return np.stack(images), np.stack(labels)


def prune(kernel, density):
    kept = max(1, round(density * kernel.size))
    order = np.argsort(np.abs(kernel), axis=None, kind="stable")
    pruned = kernel.copy().reshape(-1)
    pruned[order[: kernel.size - kept]] = 0
    return pruned.reshape(kernel.shape)


def share(kernel, bits):
    return kmeans.quantize(kernel, kmeans.kmeans(kernel, 2**bits))


def _rest_behind(model, tensor, images, batch_size):
    """Return the model behind a tensor, and the tensor for the images."""
    if tensor is model.inputs[0]:
        return model, images
    front = keras.Model(model.inputs, tensor)
    return keras.Model(tensor, model.outputs), front.predict(
        images, batch_size, verbose=0
    )


def _bottleneck(model, name):
    """Return the last tensor before a layer that all later ones depend on."""
    operations = model.operations
    last_use = {
        id(tensor): index
        for index, operation in enumerate(operations)
        if not isinstance(operation, keras.layers.InputLayer)
        for tensor in keras.tree.flatten(operation.input)
    }
    target = operations.index(model.get_layer(name))
    found, alive = model.inputs[0], {}
    for index, operation in enumerate(operations[:target]):
        alive[id(operation.output)] = operation.output
        alive = {
            key: tensor
            for key, tensor in alive.items()
            if last_use.get(key, 0) > index
        }
        if len(alive) == 1:
            (found,) = alive.values()
    return found


def _accuracy(outputs, labels):
    return labeled_outputs.Evaluation(outputs, labels).accuracy
