"""How much each layer's pruning and weight sharing changes the outputs.

Reference:
- [Learning both Weights and Connections for Efficient Neural
  Networks](https://arxiv.org/abs/1506.02626) (Han et al., 2015), figure 6
"""

import keras
import numpy as np

from keras_squeezenet.compression import kmeans
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.utils.progress import Progress

DENSITIES = (0.75, 0.5, 0.33, 0.2, 0.1, 0.05)
BITS = (8, 6, 5, 4, 3, 2)


def scan(
    model,
    images,
    labels,
    densities=DENSITIES,
    bits=BITS,
    batch_size=64,
    progress=None,
):
    """Prunes each kernel by itself, and shares its weights, without training.

    Everything in front of a changed layer is computed once only.

    Args:
        model: `keras.Model`, a flat Functional SqueezeNet from preprocessed
            images to probabilities. Its weights are the same afterwards.
        images: float32 array of shape `(images, height, width, 3)`.
        labels: integer array of shape `(images,)`.
        densities: shares of weights to keep, by magnitude. Defaults to
            `DENSITIES`.
        bits: a kernel shares `2**bits` values, by k-means. Defaults to `BITS`.
        batch_size: int. Defaults to `64`.
        progress: `Progress`. Defaults to a silent one.

    Returns:
        A dict: `images`, their number; `accuracy`, the untouched model's; and
        `layers`, a list of dicts: `name`, `weights`, `densities` and `bits`,
        lists of a dict for each: `accuracy`, and `kl`, the mean
        Kullback-Leibler divergence from the untouched model's outputs, in
        nats.
    """
    progress = progress or Progress()
    kernels = tf_keras_twin.kernels(model)
    expected = model.predict(images, batch_size, verbose=0)
    changes = len(kernels) * (len(densities) + len(bits))
    layers, cut, rest, inputs = [], None, None, None
    with progress.task("sensitivity", changes) as advance:
        for name, kernel in kernels.items():
            bottleneck = _bottleneck(model, name)
            if bottleneck is not cut:
                cut = bottleneck
                rest, inputs = _rest_behind(model, cut, images, batch_size)
            layer = model.get_layer(name)

            def measure(
                changed, layer=layer, kernel=kernel, rest=rest, inputs=inputs
            ):
                try:
                    layer.kernel.assign(changed)
                    outputs = rest.predict(inputs, batch_size, verbose=0)
                finally:
                    layer.kernel.assign(kernel)
                advance()
                return {
                    "accuracy": _accuracy(outputs, labels),
                    "kl": metrics.divergence(expected, outputs),
                }

            layers.append(
                {
                    "name": name,
                    "weights": kernel.size,
                    "densities": [
                        {"density": density, **measure(prune(kernel, density))}
                        for density in densities
                    ],
                    "bits": [
                        {"bits": count, **measure(share(kernel, count))}
                        for count in bits
                    ],
                }
            )
    return {
        "images": len(images),
        "accuracy": _accuracy(expected, labels),
        "layers": layers,
    }


def choose(batches, size, count):
    """Returns images at equal distances in a data set, and their labels.

    Args:
        batches: `tf.data.Dataset` of `(images, labels)`; their order may be
            that of the classes.
        size: int, the number of images in it.
        count: int, how many to return, if there are so many.
    """
    chosen = batches.unbatch().shard(max(1, size // count), 0).take(count)
    images, labels = zip(*chosen.as_numpy_iterator())
    return np.stack(images), np.stack(labels)


def prune(kernel, density):
    """Returns a kernel with the smallest of its weights set to zero."""
    kept = max(1, round(density * kernel.size))
    order = np.argsort(np.abs(kernel), axis=None, kind="stable")
    pruned = kernel.copy().reshape(-1)
    pruned[order[: kernel.size - kept]] = 0
    return pruned.reshape(kernel.shape)


def share(kernel, bits):
    """Returns a kernel with `2**bits` shared values."""
    return kmeans.quantize(kernel, kmeans.kmeans(kernel, 2**bits))


def _rest_behind(model, tensor, images, batch_size):
    """Returns the model behind a tensor, and what it takes of the images."""
    if tensor is model.inputs[0]:
        return model, images
    front = keras.Model(model.inputs, tensor)
    return keras.Model(tensor, model.outputs), front.predict(
        images, batch_size, verbose=0
    )


def _bottleneck(model, name):
    """The last tensor before a layer that all behind it comes from."""
    operations = model.operations
    last_use = {}
    for index, operation in enumerate(operations):
        for tensor in _inputs(operation):
            last_use[id(tensor)] = index
    target = next(
        index
        for index, operation in enumerate(operations)
        if operation.name == name
    )
    found = model.inputs[0]
    alive = {}
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


def _inputs(operation):
    if isinstance(operation, keras.layers.InputLayer):
        return []
    return operation._inbound_nodes[0].input_tensors


def _accuracy(outputs, labels):
    return float(np.mean(outputs.argmax(axis=1) == labels))
