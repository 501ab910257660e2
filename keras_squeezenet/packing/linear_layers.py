"""Layers with a kernel as products of matrices: inputs times weights."""

import math
from typing import Any

import keras
import tensorflow as tf

# At least so many positions of an image are sampled, or all of fewer.
POSITIONS = 200


def input_columns(layer: keras.Layer, x: tf.Tensor) -> tf.Tensor:
    """Return the patches that a kernel is multiplied with (im2col).

    Those of a `Dense` layer are the vectors along the last axis. The shape is
    `(batch, positions, inputs)`, in the order of the kernel.
    """
    patches = x
    if not isinstance(layer, keras.layers.Dense):
        patches = tf.image.extract_patches(
            x,
            (1, *layer.kernel_size, 1),
            (1, *layer.strides, 1),
            (1, 1, 1, 1),
            layer.padding.upper(),
        )
    positions = math.prod(patches.shape[1:-1])
    return tf.reshape(patches, (-1, positions, patches.shape[-1]))


def products(layer: keras.Layer, x: Any, kernel: Any) -> Any:
    """Return what a `Conv2D` or `Dense` layer adds its bias to.

    The `kernel` may be another than the layer's own.
    """
    if isinstance(layer, keras.layers.Dense):
        return keras.ops.matmul(x, kernel)
    return keras.ops.conv(
        x, kernel, strides=layer.strides, padding=layer.padding
    )


def linear_output(layer: keras.Layer, x: Any) -> Any:
    """Return the output of a `Conv2D` or `Dense` layer before activation."""
    y = products(layer, x, layer.kernel)
    return y if layer.bias is None else y + layer.bias


def sample(columns: tf.Tensor) -> tf.Tensor:
    """Return columns at equally spaced positions of each image.

    Args:
        columns: of shape `(batch, positions, inputs)`, where positions are
            pixels, row after row.

    Returns:
        Of shape `(samples, inputs)`.
    """
    _, positions, inputs = columns.shape
    distance = max(1, positions // POSITIONS)
    # With a common factor, only some columns of pixels would be sampled.
    while math.gcd(distance, positions) > 1:
        distance -= 1
    return tf.reshape(columns[:, ::distance], (-1, inputs))


def sample_outputs(y: tf.Tensor) -> tf.Tensor:
    """Return the outputs of a layer at the positions of `sample`.

    Args:
        y: of shape `(batch, ..., outputs)`.
    """
    return sample(tf.reshape(y, (len(y), -1, y.shape[-1])))
