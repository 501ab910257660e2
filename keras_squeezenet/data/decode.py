"""Image files, decoded once and kept or decoded in every pass."""

import os
from concurrent import futures
from typing import Any

import numpy as np
import tensorflow as tf

from keras_squeezenet.data import image_reader
from keras_squeezenet.data import image_squares
from keras_squeezenet.data import lazy_examples

NAMED_FILES = 5


def read(
    paths: list[str],
    image_size: int,
    shorter_side: int | None,
    skip_bad_images: bool,
) -> tuple[dict, tuple[str, ...]]:
    """Decode every file once, several at a time.

    Returns:
        `{path: square}` of the files that can be read, each square `None` if
        they do not all fit in memory; and a tuple of the other paths.

    Raises:
        ValueError: if a file cannot be read and `skip_bad_images` is not set.
    """
    keep = lazy_examples.fits_in_memory(len(paths), image_size)

    def read_one(path):
        try:
            image = image_reader.read(path)
        except MemoryError:
            raise
        # Pillow raises many kinds of exceptions for damaged files.
        except Exception as error:
            return str(error) or repr(error), None
        if not keep:
            return None, None
        return None, image_squares.square(image, image_size, shorter_side)

    with futures.ThreadPoolExecutor() as pool:
        found = dict(zip(paths, pool.map(read_one, paths)))
    errors = {path: error for path, (error, _) in found.items() if error}
    squares = {
        path: square for path, (error, square) in found.items() if not error
    }
    skipped = tuple(errors)
    if skipped and not skip_bad_images:
        more = len(skipped) - NAMED_FILES
        raise ValueError(
            f"the images must be readable. Received: {len(skipped)} that "
            f"cannot be read: {', '.join(map(repr, skipped[:NAMED_FILES]))}"
            f"{f' and {more} more' if more > 0 else ''}. The first one: "
            f"{errors[skipped[0]]}. Repair or remove "
            "them, or leave them out with --skip_bad_images "
            "(skip_bad_images=True)"
        )
    return squares, skipped


def examples(
    labeled: list[tuple[str, Any]],
    squares: dict,
    image_size: int,
    shorter_side: int | None,
) -> lazy_examples.Examples:
    """Return the `Examples` of `(path, label)`, of which there must be some.

    Labels are integers, or float32 rows.

    `squares` is what `read` returned for the paths; the other arguments are
    those of `read`.
    """
    paths = [path for path, _ in labeled]
    labels = np.array([label for _, label in labeled])
    if squares[paths[0]] is not None:
        # As within `tf.data`: the images stay off the accelerator.
        with tf.device("CPU:0"):
            stacked = np.stack([squares[path] for path in paths])
            return lazy_examples.Examples(
                tf.data.Dataset.from_tensor_slices((stacked, labels)),
                names=paths,
            )
    names = [os.fsencode(path) for path in paths]

    def read(path):
        image = image_reader.read(path)
        return image_squares.square(image, image_size, shorter_side)

    def read_square(path):
        image = tf.numpy_function(read, [path], tf.uint8)
        return tf.ensure_shape(image, (image_size, image_size, 3))

    return lazy_examples.Examples(
        tf.data.Dataset.from_tensor_slices((names, labels)),
        read_square,
        image_size=image_size,
        element_bytes=max(map(len, names)),
        names=paths,
    )
