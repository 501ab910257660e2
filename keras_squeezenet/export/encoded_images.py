"""Decode JPEG and PNG files as `image_reader.read` does, within TensorFlow."""

import tensorflow as tf

from keras_squeezenet.data import image_ops

# EXIF data begin before this byte of a JPEG file.
HEAD_BYTES = 1 << 16
# The tag of the orientation, its type and its count, with the least or the most
# significant byte first, and the value. The text has a character for each byte.
ORIENTATION = (
    r"(?s)^.*?Exif\x00\x00.*?"
    r"(?:\x12\x01\x03\x00\x01\x00\x00\x00|\x01\x12\x00\x03\x00\x00\x00\x01\x00)"
    r"([\x01-\x08]).*$"
)
# The orientations whose rows or columns are reversed. From `TRANSPOSED` on the
# image is transposed first.
UP_DOWN = (3, 4, 7, 8)
LEFT_RIGHT = (2, 3, 6, 7)
TRANSPOSED = 5
# The byte of a PNG file that has the bits of a value.
BITS = 24


def decode(content: tf.Tensor) -> tf.Tensor:
    """Decode a JPEG or PNG file.

    The EXIF orientation of a JPEG file is applied, and transparent pixels are
    composited over white.

    Args:
        content: the bytes of the file, a string tensor of shape `()`.

    Returns:
        A uint8 tensor of shape `(height, width, 3)`, RGB.
    """
    return tf.cond(
        tf.io.is_jpeg(content),
        lambda: _decode_jpeg(content),
        lambda: image_ops.to_rgb(_decode_png(content)),
    )


def _decode_jpeg(content):
    # The default method is faster, and not Pillow's.
    image = tf.io.decode_jpeg(
        content, channels=3, dct_method="INTEGER_ACCURATE"
    )
    head = tf.strings.substr(content, 0, HEAD_BYTES)
    text = tf.strings.unicode_transcode(head, "ISO-8859-1", "UTF-8")
    found = tf.strings.regex_replace(text, ORIENTATION, r"\1")
    # Without a match it is the whole text.
    found = tf.where(tf.strings.length(found) == 1, found, "\1")
    return _upright(image, tf.io.decode_raw(found, tf.uint8)[0])


def _decode_png(content):
    """Return RGB and alpha, from 0 to 255."""
    image = tf.io.decode_png(content, channels=4)
    bits = tf.io.decode_raw(tf.strings.substr(content, BITS, 1), tf.uint8)[0]
    highest = 2 ** tf.clip_by_value(tf.cast(bits, tf.int32), 1, 8) - 1
    # The alpha that TensorFlow adds is the highest number of so many bits.
    is_added = tf.reduce_all(tf.cast(image[..., 3], tf.int32) == highest)
    factor = tf.cast(tf.where(is_added, 255 // highest, 1), tf.uint8)
    return image * tf.stack([1, 1, 1, factor])


def _upright(image, orientation):
    is_transposed = orientation >= TRANSPOSED
    image = tf.transpose(image, tf.where(is_transposed, (1, 0, 2), (0, 1, 2)))
    is_reversed = tf.reduce_any(
        [orientation == pair for pair in zip(UP_DOWN, LEFT_RIGHT)], axis=0
    )
    return tf.reverse(image, tf.where(is_reversed)[:, 0])
