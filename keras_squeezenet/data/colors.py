"""The operations of RandAugment that change the colors of images.

They do what Pillow's `ImageOps` and `ImageEnhance` do, with which the paper was
made. Each is a function of uint8 RGB images, of shape `(batch, height, width,
3)`, and of their levels, float32 from -1 to 1 of shape `(batch,)`, to such
images. At a level of 0 they change nothing, except `auto_contrast` and
`equalize`, which have no level.
"""

import numpy as np
import tensorflow as tf

# The shares of red, green and blue in the gray of a pixel (Rec. 601).
LUMA = np.array([[0.299], [0.587], [0.114]], "float32")
# The blur of a pixel by its neighbors.
BLUR = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], "float32")
# How far a level of 1 goes from an image (1) to its opposite (0) or beyond it.
ENHANCEMENT = 0.9
POSTERIZED_BITS = 4


def identity(images: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
    return images


def brightness(images: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
    return _pixels(_factor(levels) * tf.cast(images, tf.float32))


def contrast(images: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
    """Move the pixels from, or to, the mean gray of their image."""
    factor, pixels = _factor(levels), tf.cast(images, tf.float32)
    gray = _each(tf.reduce_mean(pixels, (1, 2)) @ LUMA)
    return _pixels(factor * pixels + (1 - factor) * gray)


def color(images: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
    """Move the pixels from, or to, their grays."""
    _, height, width, channels = images.shape
    factor = _factor(levels)[..., 0]
    # As a matrix, since it is cheaper than three channels of gray.
    matrix = factor * np.eye(3, dtype="float32") + (1 - factor) * LUMA
    pixels = tf.reshape(
        tf.cast(images, tf.float32), (-1, height * width, channels)
    )
    return _pixels(tf.reshape(pixels @ matrix, (-1, height, width, channels)))


def sharpness(images: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
    """Move the pixels from, or to, the blurred image."""
    factor, pixels = _factor(levels), tf.cast(images, tf.float32)
    kernel = np.tile(BLUR[..., np.newaxis, np.newaxis], (1, 1, 3, 1))

    def blur(images):
        return tf.nn.depthwise_conv2d(images, kernel, (1, 1, 1, 1), "SAME")

    # Pixels at the border have fewer neighbors.
    blurred = blur(pixels) * (1 / blur(tf.ones((1, *images.shape[1:]))))
    return _pixels(factor * pixels + (1 - factor) * blurred)


def posterize(images: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
    """Clear the last bits, up to four."""
    bits = tf.cast(tf.round(POSTERIZED_BITS * abs(levels)), tf.int32)
    mask = tf.cast(256 - 2**bits, tf.uint8)
    return tf.bitwise.bitwise_and(images, _each(mask))


def solarize(images: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
    """Invert the brightest pixels: none at 0, all but black at 1 and -1."""
    highest = tf.saturate_cast(
        tf.math.ceil(256 * (1 - abs(levels))) - 1, tf.uint8
    )
    inverted = tf.cast(images > _each(highest), tf.uint8) * 255
    return tf.bitwise.bitwise_xor(images, inverted)


def auto_contrast(images: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
    """Stretch the values of each channel to those from 0 to 255."""
    low, high = (
        tf.cast(reduce(images, (1, 2), keepdims=True), tf.float32)
        for reduce in (tf.reduce_min, tf.reduce_max)
    )
    is_flat = low == high
    scale = tf.where(is_flat, 1.0, 255 / (high - low))
    low = tf.where(is_flat, 0.0, low)
    # Broadcasting a row of pixels is faster than broadcasting one.
    low, scale = (
        tf.tile(each, (1, 1, images.shape[2], 1)) for each in (low, scale)
    )
    return _pixels((tf.cast(images, tf.float32) - low) * scale)


def equalize(images: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
    """Give each channel a flat histogram."""
    _, height, width, channels = images.shape
    bins = 256 * channels
    # The channels have bins of their own.
    first = np.tile(256 * np.arange(channels), height * width).astype("int32")
    values = tf.reshape(tf.cast(images, tf.int32), (-1, first.size)) + first
    counts = tf.reshape(
        tf.math.bincount(values, minlength=bins, maxlength=bins, axis=-1),
        (-1, channels, 256),
    )
    highest = tf.cast(tf.reduce_max(images, (1, 2)), tf.int32)
    last = tf.gather(counts, highest, batch_dims=2)[..., tf.newaxis]
    step = (height * width - last) // 255
    lower = tf.cumsum(counts, axis=-1, exclusive=True)
    table = tf.where(
        step == 0,
        tf.range(256),
        tf.minimum((step // 2 + lower) // tf.maximum(step, 1), 255),
    )
    table = tf.reshape(tf.cast(table, tf.uint8), (-1, bins))
    found = tf.gather(table, values, batch_dims=1)
    return tf.reshape(found, (-1, height, width, channels))


def _factor(levels):
    return _each(1 + ENHANCEMENT * levels)


def _each(numbers):
    """Return a number for each image in the shape that suits images."""
    return tf.reshape(numbers, (-1, 1, 1, 1))


def _pixels(values):
    # The cast cuts decimals off.
    return tf.saturate_cast(values + 0.5, tf.uint8)
