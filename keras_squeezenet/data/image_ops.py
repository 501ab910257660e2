"""Image operations: from pixels to RGB, to squares, to the network input.

All are TensorFlow operations: they run within `tf.data` on every Keras backend,
and in SavedModels. `image_squares` has the squares of image files.
"""

import numpy as np
import tensorflow as tf

from keras_squeezenet import normalizations


def to_rgb(image: tf.Tensor) -> tf.Tensor:
    """Convert images of shape `(..., channels)` to uint8 RGB.

    They are uint8 or uint16, and gray, RGB, or RGB and alpha, which is
    composited over white.
    """
    if image.dtype == tf.uint16:
        image = tf.cast((tf.cast(image, tf.int32) + 128) // 257, tf.uint8)
    channels = image.shape[-1]
    if channels == 1:
        return tf.image.grayscale_to_rgb(image)
    if channels == 4:
        color, alpha = image[..., :3], image[..., 3:]
        alpha = tf.cast(alpha, tf.float32) / 255
        color = alpha * tf.cast(color, tf.float32) + (1 - alpha) * 255
        return tf.cast(tf.round(color), tf.uint8)
    return image


def square(
    image: tf.Tensor | np.ndarray, side: int, shorter_side: int | None = None
) -> tf.Tensor:
    """Resize the shorter side of an image and crop the center.

    Args:
        image: uint8, of shape `(height, width, channels)`.
        side: the side of the result in pixels.
        shorter_side: what the shorter side is resized to; at least `side`.
            Defaults to `side`.
    """
    shorter_side = shorter_side or side
    image = tf.convert_to_tensor(image)
    if image.shape[:2] == (side, side) and shorter_side == side:
        return image
    return squares(image[tf.newaxis], side, shorter_side)[0]


def squares(images: tf.Tensor, side: int, shorter_side: int) -> tf.Tensor:
    """Return what `square` returns, for a batch of images of one size."""
    shape = tf.shape(images)[1:3]
    scale = shorter_side / tf.reduce_min(shape)
    sides = tf.cast(tf.round(tf.cast(shape, scale.dtype) * scale), tf.int32)
    # As `tf.image.resize` and a slice, but without the pixels that the slice
    # drops, which would be 2 GB for an image of 1x3000.
    cut = tf.raw_ops.ScaleAndTranslate(
        images=images,
        size=(side, side),
        scale=tf.cast(sides / shape, tf.float32),
        translation=tf.cast(-((sides - side) // 2), tf.float32),
        kernel_type="triangle",
        antialias=True,
    )
    cut = tf.ensure_shape(cut, (None, side, side, images.shape[-1]))
    return tf.saturate_cast(tf.round(cut), tf.uint8)


def renormalize(image: tf.Tensor, given: str, taken: str) -> tf.Tensor:
    """Return images of one normalization in another, float32."""
    if given == taken:
        return image
    found = normalizations.get(given)
    mean, std = found.mean, found.std
    if found.order == "BGR":
        mean, std = mean[::-1], std[::-1]
    rgb = tf.cast(image, tf.float32) * tf.constant(std, tf.float32)
    rgb += tf.constant(mean, tf.float32)
    if found.order == "BGR":
        rgb = tf.reverse(rgb, axis=[-1])
    return normalize(rgb, taken)


def normalize(
    image: tf.Tensor, normalization: str = normalizations.CAFFE
) -> tf.Tensor:
    """Normalize RGB images from 0 to 255, in TensorFlow and float32.

    The default is what `preprocess_input` returns.
    """
    found = normalizations.get(normalization)
    mean, std = found.mean, found.std
    if found.order == "BGR":
        image = tf.reverse(image, axis=[-1])
        mean, std = mean[::-1], std[::-1]
    image = tf.cast(image, tf.float32) - tf.constant(mean, tf.float32)
    return image if set(std) == {1} else image / tf.constant(std, tf.float32)
