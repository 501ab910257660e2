"""Coding layer by layer, each layer on what the coded ones before it put out.

A layer's weights are fitted to make of those inputs what the untouched layer
makes of the untouched inputs, and its biases to the mean of its outputs where
they are not zero: errors do not add up from layer to layer.
"""

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import graph
from keras_squeezenet.packing import fisher

# Of an image, at equal distances.
POSITIONS = 200
# Of the mean square of an input, added to each: little, where images are few.
DAMPING = 0.1
# So many positions more, that a bias without active outputs stays as it is.
INACTIVE = 20
BIAS_ROUNDS = 2


def run(model, images, code):
    """Codes all layers of a model.

    Args:
        model: `keras.Model`, as `graph.describe` takes it. It stays as it is.
        images: array of preprocessed images.
        code: function of a layer's name, the weights to code, of the kernel's
            shape, and a function from coded weights to the biases that they
            should have, `None` where there are none. It returns the coded
            kernel and biases.
    """

    def call(description, *received):
        layer = model.get_layer(description["name"])
        before, after = map(graph.only, zip(*received))
        if layer.weights:
            return _code(layer, before, after, code)
        return layer(before), layer(after)

    images = tf.convert_to_tensor(images)
    graph.run(graph.describe(model), (images, images), call)


def _code(layer, x0, x1, code):
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    y0 = fisher.linear(layer, x0)

    def fit_bias(coded):
        if layer.bias is None:
            return None
        bias = keras.ops.convert_to_numpy(layer.bias).astype("float64")
        return _fit_bias(bias, y0, fisher.linear(layer, x1, coded, 0))

    coded, bias = code(layer.name, _fit(layer, kernel, x0, x1), fit_bias)
    y1 = fisher.linear(layer, x1, coded, 0 if bias is None else bias)
    return layer.activation(y0), layer.activation(y1)


def _fit(layer, kernel, x0, x1):
    """The weights that make of `x1` what the kernel makes of `x0`."""
    if x0 is x1:
        return kernel
    u0, u1 = (_sample(fisher.columns(layer, x)) for x in (x0, x1))
    moment, cross = (
        tf.matmul(u1, u, True).numpy().astype("float64") for u in (u1, u0)
    )
    size = len(moment)
    # Of inputs that are all zero there is nothing to make.
    damping = max(DAMPING * np.trace(moment) / size, 1e-9)
    damped = moment + damping * np.eye(size)
    weights = kernel.reshape(size, -1).astype("float64")
    weights += np.linalg.solve(damped, (cross - moment) @ weights)
    return weights.reshape(kernel.shape)


def _fit_bias(bias, y0, y1):
    axes = list(range(len(y0.shape) - 1))
    for _ in range(BIAS_ROUNDS):
        shifted = y1 + tf.constant(bias, y1.dtype)
        active = tf.cast((y0 > 0) | (shifted > 0), y1.dtype)
        missing = tf.reduce_sum((y0 - shifted) * active, axes)
        count = tf.reduce_sum(active, axes) + INACTIVE
        bias = bias + (missing / count).numpy()
    return bias


def _sample(columns):
    distance = max(1, columns.shape[1] // POSITIONS)
    sampled = columns[:, ::distance]
    return tf.reshape(sampled, (-1, sampled.shape[-1]))
