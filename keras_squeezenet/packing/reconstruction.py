"""Layer-wise reconstruction: quantize a model one layer after the other.

Errors do not accumulate from layer to layer: before a layer is quantized, its
weights are fitted by least squares so that it reproduces its original outputs
from the inputs that the quantized layers give it. Its biases are then fitted to
the mean of its active outputs.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import graph
from keras_squeezenet.packing import image_sets
from keras_squeezenet.packing import linear_layers

# Added to the mean square of each input, as a fraction of their mean. It
# matters only if the images are few.
DAMPING = 0.1
# Added to the number of sampled positions where an output is active, so that
# its bias does not change if it never is.
INACTIVE = 20
BIAS_ROUNDS = 2
# The images whose patches are in memory at once.
BATCH_SIZE = 32


def run(
    model: keras.Model,
    images: np.ndarray,
    quantize_kernel: Callable[[str, np.ndarray], np.ndarray],
    quantize_bias: Callable[[str, np.ndarray], np.ndarray],
) -> None:
    """Quantize the layers with kernels, from the input to the output.

    Args:
        model: it is not changed.
        images: preprocessed.
        quantize_kernel: function of a layer's name and its fitted kernel. It
            returns the quantized kernel.
        quantize_bias: function of a layer's name and its biases, fitted to the
            quantized kernel, for layers that have some. It returns the
            quantized biases.
    """

    def call(description, *received):
        layer = model.get_layer(description["name"])
        batches = [[*map(graph.only, zip(*batch))] for batch in zip(*received)]
        if layer.weights:
            return _quantize(layer, batches, quantize_kernel, quantize_bias)
        return [(layer(x0), layer(x1)) for x0, x1 in batches]

    batches = [
        (tf.convert_to_tensor(batch),) * 2
        for batch in image_sets.in_batches(images, BATCH_SIZE)
    ]
    graph.run(graph.describe(model), batches, call)


def _quantize(layer, batches, quantize_kernel, quantize_bias):
    """Return the outputs of a layer before and after it is quantized.

    Args:
        layer: it is not changed.
        batches: pairs of its inputs, before and after the layers in front of it
            were quantized.
        quantize_kernel, quantize_bias: as `run` takes them.
    """
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    quantized = quantize_kernel(layer.name, _fit_kernel(layer, kernel, batches))
    outputs = [
        (
            linear_layers.linear_output(layer, x0),
            linear_layers.products(layer, x1, quantized),
        )
        for x0, x1 in batches
    ]
    bias = 0
    if layer.bias is not None:
        bias = keras.ops.convert_to_numpy(layer.bias).astype("float64")
        bias = quantize_bias(layer.name, _fit_bias(bias, outputs))
    return [
        (layer.activation(y0), layer.activation(y1 + bias))
        for y0, y1 in outputs
    ]


def _fit_kernel(layer, kernel, batches):
    """Return the weights with which `x1` gives the outputs of `x0`."""
    if all(x0 is x1 for x0, x1 in batches):
        return kernel
    moment = cross = 0.0
    for batch in batches:
        u0, u1 = (
            linear_layers.sample(linear_layers.input_columns(layer, x))
            for x in batch
        )
        moment += tf.matmul(u1, u1, True).numpy().astype("float64")
        cross += tf.matmul(u1, u0, True).numpy().astype("float64")
    weights = kernel.reshape(len(moment), -1).astype("float64")
    return fit(moment, cross @ weights, weights, DAMPING).reshape(kernel.shape)


def fit(
    moment: np.ndarray, cross: np.ndarray, weights: np.ndarray, damping: float
) -> np.ndarray:
    """Fit weights to outputs by least squares.

    Args:
        moment: float64 array of shape `(inputs, inputs)`, the sum over samples
            of the products of the inputs.
        cross: float64 array of shape `(inputs, outputs)`, the sum of their
            products with the outputs.
        weights: float64 array of shape `(inputs, outputs)`, which the result
            stays close to where the samples say little.
        damping: what is added to the diagonal of the moment, as a fraction of
            its mean.
    """
    size = len(moment)
    # Inputs that are all zero have no moment.
    damping = max(damping * np.trace(moment) / size, 1e-9)
    return weights + np.linalg.solve(
        moment + damping * np.eye(size), cross - moment @ weights
    )


def _fit_bias(bias, outputs):
    """Return biases that keep the mean of the outputs where they are active.

    Args:
        bias: the original biases.
        outputs: batches of pairs, before the activation: the original outputs
            for the original inputs, and those of the quantized kernel, without
            biases, for the inputs from the quantized layers.
    """
    samples = [[*map(linear_layers.sample_outputs, pair)] for pair in outputs]
    for _ in range(BIAS_ROUNDS):
        missing, count = 0.0, INACTIVE
        for y0, y1 in samples:
            y1 = y1 + bias
            active = tf.cast((y0 > 0) | (y1 > 0), y1.dtype)
            missing += tf.reduce_sum((y0 - y1) * active, 0).numpy()
            count += tf.reduce_sum(active, 0).numpy()
        bias = bias + missing / count
    return bias
