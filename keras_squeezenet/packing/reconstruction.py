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
from keras_squeezenet.packing import fisher
from keras_squeezenet.packing import image_sets

# How many positions of an image are used, equally spaced.
POSITIONS = 200
# Added to the mean square of each input, as a fraction of their mean. It
# matters only if the images are few.
DAMPING = 0.1
# Added to the number of active positions, so that the bias of an output that
# is never active does not change.
INACTIVE = 20
BIAS_ROUNDS = 2
# The images whose patches are in memory at once.
BATCH_SIZE = 32


def run(model: keras.Model, images: np.ndarray, quantize: Callable) -> None:
    """Quantize the layers with kernels, from the input to the output.

    Args:
        model: it is not changed.
        images: preprocessed.
        quantize: function of a layer's name, its fitted kernel, and a function
            from the quantized kernel to the fitted biases (or `None`). It
            returns the quantized kernel and biases.
    """

    def call(description, *received):
        layer = model.get_layer(description["name"])
        batches = [[*map(graph.only, zip(*batch))] for batch in zip(*received)]
        if layer.weights:
            return _quantize(layer, batches, quantize)
        return [(layer(x0), layer(x1)) for x0, x1 in batches]

    batches = [
        (tf.convert_to_tensor(batch),) * 2
        for batch in image_sets.in_batches(images, BATCH_SIZE)
    ]
    graph.run(graph.describe(model), batches, call)


def _quantize(layer, batches, quantize):
    """Return the outputs of a layer before and after it is quantized.

    Args:
        layer: it is not changed.
        batches: pairs of its inputs, before and after the layers in front of it
            were quantized.
        quantize: as `run` takes it.
    """
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    expected = [fisher.linear_output(layer, x0) for x0, _ in batches]

    def fit_bias(quantized):
        if layer.bias is None:
            return None
        bias = keras.ops.convert_to_numpy(layer.bias).astype("float64")
        received = [
            fisher.linear_output(layer, x1, quantized, 0) for _, x1 in batches
        ]
        return _fit_bias(bias, expected, received)

    quantized, bias = quantize(
        layer.name, _fit_kernel(layer, kernel, batches), fit_bias
    )
    bias = 0 if bias is None else bias
    return [
        (
            layer.activation(y0),
            layer.activation(fisher.linear_output(layer, x1, quantized, bias)),
        )
        for y0, (_, x1) in zip(expected, batches)
    ]


def _fit_kernel(layer, kernel, batches):
    """Return the weights with which `x1` gives the outputs of `x0`."""
    if all(x0 is x1 for x0, x1 in batches):
        return kernel
    moment = cross = 0.0
    for batch in batches:
        u0, u1 = (sample(fisher.input_columns(layer, x)) for x in batch)
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


def sample(columns: tf.Tensor) -> tf.Tensor:
    """Return columns at equally spaced positions of each image.

    Args:
        columns: of shape `(batch, positions, inputs)`.

    Returns:
        Of shape `(samples, inputs)`.
    """
    distance = max(1, columns.shape[1] // POSITIONS)
    sampled = columns[:, ::distance]
    return tf.reshape(sampled, (-1, sampled.shape[-1]))


def _fit_bias(bias, expected, received):
    """Return biases that keep the mean of the outputs where they are active.

    Args:
        bias: the original biases.
        expected: batches of the original outputs for the original inputs,
            before the activation.
        received: those of the quantized kernel, without biases, for the inputs
            from the quantized layers.
    """
    for _ in range(BIAS_ROUNDS):
        missing, count = 0.0, INACTIVE
        for y0, y1 in zip(expected, received):
            y1 = y1 + bias
            active = tf.cast((y0 > 0) | (y1 > 0), y1.dtype)
            axes = list(range(len(y0.shape) - 1))
            missing += tf.reduce_sum((y0 - y1) * active, axes).numpy()
            count += tf.reduce_sum(active, axes).numpy()
        bias = bias + missing / count
    return bias
