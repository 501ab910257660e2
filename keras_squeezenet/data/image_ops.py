"""Image operations: from files to RGB, to squares, to the network input.

All except `read_image` are TensorFlow operations, since they run within
`tf.data` on every Keras backend.
"""

import os

import numpy as np
import tensorflow as tf

from keras_squeezenet import imagenet
from keras_squeezenet.data import image_files

# The authors crop 227 pixels from images whose shorter side is 256.
IMAGENET_SCALE = 256 / 227


def read_image(path: str | bytes | os.PathLike) -> np.ndarray:
    """Read an image file as uint8 RGB.

    The EXIF orientation is applied, transparent pixels are composited over
    white, and the first image of an animation is read. 16 bits are scaled to 8.
    Integers of 32 bits are read as 8 bits up to 255 and as 16 bits up to 65535,
    floats as shares up to 1 and as 8 bits up to 255.

    Raises:
        ValueError: if 32-bit values are in none of these ranges.
        OSError: if it is not an image, or damaged. For some damaged files
            Pillow raises other exceptions.
    """
    from PIL import Image
    from PIL import ImageOps

    with Image.open(path, formats=image_files.formats()) as image:
        kind = image.format
        image = ImageOps.exif_transpose(image)
        if image.mode[0] in "IF":
            values = _to_8_bits(np.asarray(image), image.mode, kind)
            image = Image.fromarray(values)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        return np.array(image.convert("RGB"))


def _to_8_bits(values, mode, kind):
    """Return gray values as uint8, from a mode of Pillow and a file format."""
    # Pillow has "I" for the 16 bits of some formats; in TIFF they are 32.
    is_16_bits = mode.startswith("I;16") or (mode == "I" and kind != "TIFF")
    values = values.astype("float64")
    limits = {"F": (1, 255)}.get(mode, (65535,) if is_16_bits else (255, 65535))
    for limit in limits:
        if np.all((values >= 0) & (values <= limit)):
            return np.floor(values * (255 / limit) + 0.5).astype("uint8")
    raise ValueError(
        "the values of an image must be within 0 to "
        f"{' or 0 to '.join(map(str, limits))}. Received: "
        f"{values.min():g} to {values.max():g}; convert it to 8 bits"
    )


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


def preprocess(image: tf.Tensor) -> tf.Tensor:
    """Return what `preprocess_input` returns, in TensorFlow and float32."""
    bgr = tf.reverse(image, axis=[-1])
    return tf.cast(bgr, tf.float32) - tf.constant(imagenet.IMAGENET_MEAN[::-1])
