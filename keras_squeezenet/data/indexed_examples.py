"""Labeled images that are read one by one, in any order.

A set that does not fit in memory is a list of indices. They are shuffled,
selected and sharded, and an image is read and decoded when its batch is made:
a million images take 8 MB, an epoch can begin at any of its batches, and each
worker reads its own images only.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_squeezenet.data import lazy_examples
from keras_squeezenet.data import path_array


def indexed(
    read: Callable,
    decode: Callable,
    indices: np.ndarray,
    *,
    image_size: int,
    names: path_array.PathArray | None = None,
    weights: np.ndarray | None = None,
) -> lazy_examples.Examples:
    """Return the examples at some indices of a source, in their order.

    Args:
        read: a function from an index, an int64 scalar tensor, to what `decode`
            takes and the label.
        decode: a function from what `read` returns for an image to the image,
            uint8 RGB of shape `(image_size, image_size, 3)`.
        indices: int64, of shape `(size,)`.
        image_size: the side of the square images in pixels.
        names: the names of the images, in the order of `indices`.
        weights: their sample weights, in the same order.

    Returns:
        Examples that are decoded once and kept if they fit in memory.
    """
    if not lazy_examples.fits_in_memory(len(indices), image_size):
        return IndexedExamples(
            read, decode, indices, image_size, names, weights
        )
    return lazy_examples.Examples(
        _dataset(indices).map(read, num_parallel_calls=tf.data.AUTOTUNE),
        decode,
        size=len(indices),
        image_size=image_size,
        names=[*names] if names else (),
        weights=weights,
    )


class IndexedExamples(lazy_examples.Examples):
    """The examples that `indexed` returns if they do not fit in memory."""

    def __init__(
        self,
        read: Callable,
        decode: Callable,
        indices: np.ndarray,
        image_size: int,
        names: path_array.PathArray | None = None,
        weights: np.ndarray | None = None,
    ):
        super().__init__(
            _dataset(indices).map(read, num_parallel_calls=tf.data.AUTOTUNE),
            decode,
            size=len(indices),
            image_size=image_size,
            names=names or (),
            weights=weights,
        )
        self._read = read
        self._decode_image = decode
        self._indices = indices
        self._paths = names

    @property
    def decoded(self) -> tf.data.Dataset:
        return self._decoded(_dataset(self._indices))

    def decode_element(self, *element: Any) -> tuple[Any, ...]:
        return super().decode_element(*self._read(*element))

    def shuffled(self, seed: int, start: int = 0) -> tf.data.Dataset:
        return _dataset(self._order(seed, 0)[start:])

    def passes(self, seed: int) -> tf.data.Dataset:
        def one(number):
            order = tf.numpy_function(
                lambda number: self._order(seed, number), [number], tf.int64
            )
            return _dataset(tf.ensure_shape(order, (self.size,)))

        return tf.data.Dataset.counter().flat_map(one)

    def relabel(self, labels: np.ndarray) -> lazy_examples.Examples:
        table = self._table(labels, "int64")
        return self._reading(lambda index: (self._read(index)[0], table[index]))

    def weighted(self) -> lazy_examples.Examples:
        table = self._table(self.weights, "float32")
        return self._reading(lambda index: (*self._read(index), table[index]))

    def _table(self, values, dtype):
        """Return a tensor of the value of each index."""
        found = np.zeros(self._indices.max() + 1, dtype)
        found[self._indices] = values
        return tf.constant(found)

    def _reading(self, read):
        return IndexedExamples(
            read,
            self._decode_image,
            self._indices,
            self.image_size,
            self._paths,
            self.weights,
        )

    def select(self, mask: np.ndarray) -> lazy_examples.Examples:
        return indexed(
            self._read,
            self._decode_image,
            self._indices[mask],
            image_size=self.image_size,
            names=self._paths and self._paths.select(mask),
            weights=None if self.weights is None else self.weights[mask],
        )

    def _order(self, seed, number):
        """Return the indices in the order of a pass."""
        return np.random.default_rng([seed, number]).permutation(self._indices)


def _dataset(indices):
    """Return a dataset of tuples, each of one index."""
    # As within `tf.data`: they stay off the accelerator.
    with tf.device("CPU:0"):
        return tf.data.Dataset.from_tensor_slices((indices,))
