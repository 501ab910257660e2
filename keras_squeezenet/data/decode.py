"""Image files and their labels, as examples of `tf.data`."""

import os
from concurrent import futures

import numpy as np
import tensorflow as tf

from keras_squeezenet.data import image_ops
from keras_squeezenet.data import stored_examples

NAMED_FILES = 5


def read(paths, image_size, shorter_side, skip_bad_images):
    """Decodes every file once, several at a time.

    Args:
        paths: list of str.
        image_size: int, the side of the squares.
        shorter_side: int or `None`, as `images.square` takes it.
        skip_bad_images: whether to go on without what cannot be read.

    Returns:
        `{path: square}` of what can be read, with `None` for each square if
        they do not all fit in memory, and a tuple of the other paths.

    Raises:
        ValueError: if there are others, and `skip_bad_images` is not set.
    """
    keep = stored_examples.fits_in_memory(len(paths), image_size)

    def read_one(path):
        try:
            image = image_ops.read_image(path)
        # Pillow has many exceptions for what is wrong with a file.
        except Exception:
            return False, None
        if not keep:
            return True, None
        # As within `tf.data`, whose images never go to an accelerator.
        with tf.device("CPU:0"):
            return True, image_ops.square(image, image_size, shorter_side)

    with futures.ThreadPoolExecutor() as pool:
        found = dict(zip(paths, pool.map(read_one, paths)))
    squares = {path: square for path, (good, square) in found.items() if good}
    skipped = tuple(path for path in paths if path not in squares)
    if skipped and not skip_bad_images:
        raise _unreadable(skipped)
    return squares, skipped


def _unreadable(paths):
    more = len(paths) - NAMED_FILES
    return ValueError(
        f"The images should be readable. Received: {len(paths)} that "
        f"cannot be read: {', '.join(map(repr, paths[:NAMED_FILES]))}"
        f"{f' and {more} more' if more > 0 else ''}. Repair or remove them, "
        "or go on without them: `--skip_bad_images` (skip_bad_images=True)"
    )


def as_stored(labelled, squares, image_size, shorter_side):
    """Returns the `stored.Stored` of images and their labels.

    Args:
        labelled: list of `(path, label)`, at least one.
        squares: what `read` returned of the paths.
        image_size, shorter_side: as `read` took them.
    """
    paths, labels = zip(*labelled)
    labels = np.array(labels, "int64")
    if squares[paths[0]] is not None:
        with tf.device("CPU:0"):
            stacked = tf.stack([squares[path] for path in paths])
            examples = tf.data.Dataset.from_tensor_slices((stacked, labels))
        return stored_examples.decoded(examples, len(paths), image_size)
    names = [os.fsencode(path) for path in paths]
    square = stored_examples.square_maker(image_size, shorter_side)
    return stored_examples.Stored(
        elements=tf.data.Dataset.from_tensor_slices((names, labels)),
        size=len(paths),
        element_bytes=max(map(len, names)),
        image_size=image_size,
        decode=lambda path: square(_decode(path)),
    )


def _decode(path):
    image = tf.numpy_function(image_ops.read_image, [path], tf.uint8)
    return tf.ensure_shape(image, (None, None, 3))
