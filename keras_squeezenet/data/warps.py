"""Affine transformations of batches of images, a matrix for each image.

A matrix of shape `(3, 3)` maps the position `(x, y, 1)` of a pixel of the
result to its position in the image. Positions are in pixels from the center,
`x` to the right and `y` down. `first @ second` is the matrix of two
transformations, the second after the first.
"""

import functools

import tensorflow as tf
from numpy.typing import ArrayLike


def affine(
    xx: ArrayLike = 1.0,
    xy: ArrayLike = 0.0,
    x: ArrayLike = 0.0,
    yx: ArrayLike = 0.0,
    yy: ArrayLike = 1.0,
    y: ArrayLike = 0.0,
) -> tf.Tensor:
    """Return the matrices of `(xx, xy, x), (yx, yy, y)`, of shape `(n, 3, 3)`.

    Each is a number, or has one for each of the `n` matrices.
    """
    numbers = [
        tf.cast(number, tf.float32)
        for number in (xx, xy, x, yx, yy, y, 0.0, 0.0, 1.0)
    ]
    shape = functools.reduce(
        tf.broadcast_dynamic_shape, map(tf.shape, numbers), (1,)
    )
    stacked = tf.stack([tf.broadcast_to(each, shape) for each in numbers], -1)
    return tf.reshape(stacked, (-1, 3, 3))


def rotation(angle: tf.Tensor) -> tf.Tensor:
    """Return the matrices of rotations around the center, in radians."""
    cos, sin = tf.cos(angle), tf.sin(angle)
    return affine(cos, -sin, 0.0, sin, cos, 0.0)


def warp(images: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """Transform each image with its matrix.

    A pixel is the nearest one of the image, which is reflected at its borders.

    Args:
        images: of shape `(batch, height, width, channels)`, whose height and
            width are static.
        matrices: float32 of shape `(batch, 3, 3)`.

    Returns:
        A tensor like `images`.
    """
    _, height, width, channels = images.shape
    columns = _places(width)
    rows = _places(height)[:, tf.newaxis]
    along_x, along_y, _ = tf.unstack(
        matrices[..., tf.newaxis, tf.newaxis], axis=1
    )

    def find(line, side):
        """Return the numbers of the rows, or columns, of all pixels."""
        start = line[:, 1] * rows + (line[:, 2] + (side - 1) / 2)
        found = tf.round(line[:, 0] * columns + start)
        # Beyond one reflection it is the first pixel.
        last = side - 1
        return tf.maximum(last - abs(last - abs(found)), 0)

    pixels = find(along_y, height) * width + find(along_x, width)
    found = tf.gather(
        tf.reshape(images, (-1, height * width, channels)),
        tf.reshape(tf.cast(pixels, tf.int32), (-1, height * width)),
        batch_dims=1,
    )
    return tf.ensure_shape(
        tf.reshape(found, (-1, height, width, channels)), images.shape
    )


def _places(side):
    return tf.range(side, dtype=tf.float32) - (side - 1) / 2
