"""Image files, decoded once and kept, or decoded in every pass."""

import contextlib
import re
from collections.abc import Iterator
from concurrent import futures

import numpy as np
import tensorflow as tf

from keras_squeezenet.data import image_reader
from keras_squeezenet.data import image_squares
from keras_squeezenet.data import indexed_examples
from keras_squeezenet.data import lazy_examples
from keras_squeezenet.data import path_array

NAMED_FILES = 5
# The files that a thread reads in a row.
PART = 16


class UnreadableImageError(ValueError):
    """An image file, which is decoded in every pass, cannot be read."""


@contextlib.contextmanager
def named_errors() -> Iterator[None]:
    """Raise an `UnreadableImageError` instead of the one of TensorFlow."""
    try:
        yield
    except tf.errors.OpError as error:
        found = re.search(f"{UnreadableImageError.__name__}: (.*)", str(error))
        if found is None:
            raise
        raise UnreadableImageError(
            f"{found[1]}. Images that do not fit in memory are decoded when "
            "they are needed. Replace the file and resume, or start again with "
            "--skip_bad_images (skip_bad_images=True), which decodes all first"
        ) from None


def read(
    paths: list[str],
    image_size: int,
    shorter_side: int | None,
    skip_bad_images: bool,
) -> tuple[dict | None, tuple[str, ...]]:
    """Decode every file once, several at a time, if they all fit in memory.

    Others are decoded only with `skip_bad_images`, to find the bad ones.

    Returns:
        `{path: square}` of the files that can be read, or `None` if they do not
        fit in memory; and a tuple of the paths that cannot be read.

    Raises:
        ValueError: if a file cannot be read and `skip_bad_images` is not set.
    """
    keep = lazy_examples.fits_in_memory(len(paths), image_size)
    if not keep and not skip_bad_images:
        return None, ()
    squares, errors = {}, {}

    def read_one(path):
        try:
            image = image_reader.read(path)
        except MemoryError:
            raise
        # Pillow raises many kinds of exceptions for damaged files.
        except Exception as error:
            errors[path] = str(error) or repr(error)
            return
        if keep:
            squares[path] = image_squares.square(
                image, image_size, shorter_side
            )

    def read_some(start):
        for path in paths[start : start + PART]:
            read_one(path)

    with futures.ThreadPoolExecutor() as pool:
        for _ in pool.map(read_some, range(0, len(paths), PART)):
            pass
    skipped = tuple(path for path in paths if path in errors) if errors else ()
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
    return squares if keep else None, skipped


def examples(
    paths: list[str],
    labels: np.ndarray,
    squares: dict | None,
    image_size: int,
    shorter_side: int | None,
    weights: np.ndarray | None = None,
) -> lazy_examples.Examples:
    """Return the `Examples` of files, of which there must be some.

    Args:
        paths: the paths of the files.
        labels: integers of shape `(images,)`, or float32 rows.
        squares: what `read` returned for the paths.
        image_size, shorter_side: as for `read`.
        weights: sample weights, float32 of shape `(images,)`. Defaults to
            `None`.
    """
    if squares is not None:
        # As within `tf.data`: the images stay off the accelerator.
        with tf.device("CPU:0"):
            stacked = np.stack([squares[path] for path in paths])
            return lazy_examples.Examples(
                tf.data.Dataset.from_tensor_slices((stacked, labels)),
                names=paths,
                weights=weights,
            )
    names = path_array.PathArray(paths)
    with tf.device("CPU:0"):
        known = tf.constant(labels)

    def read_file(index):
        try:
            image = image_reader.read(names[index])
        except MemoryError:
            raise
        except Exception as error:
            reason = str(error) or repr(error)
            raise UnreadableImageError(
                f"{names[index]} cannot be read: {reason}"
            ) from error
        return image_squares.square(image, image_size, shorter_side)

    def decode(index):
        image = tf.numpy_function(read_file, [index], tf.uint8)
        return tf.ensure_shape(image, (image_size, image_size, 3))

    return indexed_examples.indexed(
        lambda index: (index, known[index]),
        decode,
        np.arange(len(paths)),
        image_size=image_size,
        names=names,
        weights=weights,
    )
