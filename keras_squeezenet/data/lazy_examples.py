"""Labeled images that are decoded as late as possible.

Images that fit in memory are decoded once, in the first pass. All others are
decoded in every pass, after the examples were shuffled, selected and sharded,
so that each worker decodes only its own images and the shuffle buffer holds
encoded images. `indexed_examples` does without the buffer.
"""

import itertools
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# The largest size of the images of one split in memory, in bytes.
CACHE_LIMIT = 2**30
# That of the encoded images in a shuffle buffer.
BUFFER_LIMIT = 2**28


class Examples:
    """The labeled images of one split, in a fixed order.

    Args:
        elements: `(image, label)`: uint8 RGB images of shape `(image_size,
            image_size, 3)`, or what `decode` takes, and int64 labels; or
            several labels for an image, float32 rows of 0 and 1.
        decode: a function from what `elements` has for an image to the image.
            Defaults to `None`: the images are decoded.
        size: the number of examples. Defaults to the cardinality of
            `elements`.
        image_size: the side of the square images in pixels; needed with
            `decode`. Defaults to that of `elements`.
        element_bytes: the size of an encoded image; needed with `decode`.
            Defaults to that of a decoded image.
        names: the names of the images, such as paths. Defaults to `()`: they
            have none.
        weights: their sample weights for training, numbers of shape `(size,)`.
            Defaults to `None`: they have none.

    Raises:
        ValueError: if the weights are not one number for each image.

    Example:

    >>> train = data.Examples(
    ...     tf.data.Dataset.from_tensor_slices((images, labels))
    ... )
    """

    def __init__(
        self,
        elements: tf.data.Dataset,
        decode: Callable | None = None,
        *,
        size: int | None = None,
        image_size: int | None = None,
        element_bytes: int | None = None,
        names: Sequence[str] = (),
        weights: np.ndarray | None = None,
    ):
        self.elements = elements
        self.decode = decode
        self.size = int(elements.cardinality()) if size is None else size
        self.image_size = image_size or elements.element_spec[0].shape[0]
        self.element_bytes = element_bytes or image_bytes(self.image_size)
        self.names = names
        self.weights = None if weights is None else _checked(weights, self.size)
        if decode is not None and fits_in_memory(self.size, self.image_size):
            self.elements = self.decoded.cache()
            self.decode = None
            self.element_bytes = image_bytes(self.image_size)

    @property
    def decoded(self) -> tf.data.Dataset:
        """The decoded images and their labels."""
        if self.decode is None:
            return self.elements
        return self._decoded(self.elements)

    @property
    def several_labels(self) -> bool:
        """Whether an image may have several labels: a row of 0 and 1."""
        return self.elements.element_spec[1].shape.rank == 1

    def labels(self) -> np.ndarray:
        """Return the labels, in a pass that decodes no image it need not."""
        batches = self.elements.map(lambda image, label, *_: label).batch(1024)
        return np.concatenate([*batches.as_numpy_iterator()])

    def __iter__(self) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        return iter(self.decoded)

    def decode_element(self, *element: Any) -> tuple[Any, ...]:
        """Return the image and the label of an element of `shuffled`.

        The examples that `weighted` returns have a sample weight too.
        """
        image, *others = element
        return image if self.decode is None else self.decode(image), *others

    def weighted(self) -> "Examples":
        """Return the examples with their sample weights as a third part."""
        weights = tf.data.Dataset.from_tensor_slices(self.weights)
        elements = tf.data.Dataset.zip(self.elements, weights).map(
            lambda element, weight: (*element, weight)
        )
        return self._with(elements, self.size, self.names, self.weights)

    def shuffled(self, seed: int, start: int = 0) -> tf.data.Dataset:
        """Return what `decode_element` takes, in an order that depends on seed.

        The first `start` elements of the order are left out. Encoded images of
        more than `BUFFER_LIMIT` are shuffled with a buffer of that size.
        """
        limit = CACHE_LIMIT if self.decode is None else BUFFER_LIMIT
        window = max(1, limit // self.element_bytes)
        order = self.elements.shuffle(min(self.size, window), seed=seed)
        return order.skip(start) if start else order

    def passes(self, seed: int) -> tf.data.Dataset:
        """Return endless elements of `shuffled`, each pass in its own order."""
        return self.shuffled(seed).repeat()

    def relabel(self, labels: np.ndarray) -> "Examples":
        """Return the examples with other labels, integers in their order."""
        found = tf.constant(labels, tf.int64)
        elements = (
            self.elements.enumerate()
            .map(lambda index, element: (element[0], found[index]))
            .apply(tf.data.experimental.assert_cardinality(self.size))
        )
        return self._with(elements, self.size, self.names, self.weights)

    def in_classes(self, indices: Sequence[int], classes: int) -> "Examples":
        """Return the examples with labels of so many other classes.

        The number of each class among them is in `indices`.
        """
        places = tf.constant(indices, tf.int64)

        def change(image, label):
            if self.several_labels:
                return image, tf.scatter_nd(places[:, None], label, [classes])
            return image, tf.gather(places, label)

        elements = self.elements.map(change)
        return self._with(elements, self.size, self.names, self.weights)

    def select(self, mask: np.ndarray) -> "Examples":
        """Return the examples where a Boolean array is true, in their order."""
        selected, size = tf.constant(mask), int(mask.sum())
        elements = (
            self.elements.enumerate()
            .filter(lambda index, element: selected[index])
            .map(lambda index, element: element)
            # Without a known number `Model.fit` warns that data ran out.
            .apply(tf.data.experimental.assert_cardinality(size))
        )
        names = list(itertools.compress(self.names, mask))
        weights = None if self.weights is None else self.weights[mask]
        return self._with(elements, size, names, weights)

    def _decoded(self, elements):
        return elements.map(
            self.decode_element, num_parallel_calls=tf.data.AUTOTUNE
        )

    def _with(self, elements, size, names, weights):
        return Examples(
            elements,
            self.decode,
            size=size,
            image_size=self.image_size,
            element_bytes=self.element_bytes,
            names=names,
            weights=weights,
        )


def _checked(weights, size):
    weights = np.asarray(weights, "float32")
    if weights.shape != (size,):
        raise ValueError(
            f"`weights` must be numbers of shape ({size},), one for each "
            f"image. Received: weights of shape {weights.shape}"
        )
    return weights


def fits_in_memory(size: int, image_size: int) -> bool:
    """Return whether so many decoded images are within `CACHE_LIMIT`."""
    return size * image_bytes(image_size) <= CACHE_LIMIT


def image_bytes(image_size: int) -> int:
    """Return the size of a decoded image in bytes."""
    return 3 * image_size**2
