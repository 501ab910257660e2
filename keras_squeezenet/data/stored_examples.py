"""Images as they are stored, and when they are decoded.

What fits in memory is decoded once and kept. What does not is decoded again in
each epoch, but as late as possible: encoded images and paths are what is mixed,
held out and divided among workers, so that each image is decoded by the one
that needs it, and many more of them are mixed at a time.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from keras_squeezenet.data import image_ops

# Bytes of images of one split that may be in memory.
CACHE_LIMIT = 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """Images of one split and their classes, decoded or not.

    Args:
        elements: `tf.data.Dataset` of pairs: what `decode` takes, and an int64
            label.
        size: int, how many there are.
        element_bytes: int, what the image of an element takes in memory.
        image_size: int, the side of the decoded images, in pixels.
        decode: function from the image of an element to a uint8 RGB tensor of
            shape `(image_size, image_size, 3)`. Defaults to `None`: the
            elements are decoded, and kept where they are to be kept.
    """

    elements: tf.data.Dataset
    size: int
    element_bytes: int
    image_size: int
    decode: Callable | None = None

    @property
    def is_kept(self):
        """Whether the decoded images stay in memory."""
        return self.decode is None or fits_in_memory(self.size, self.image_size)

    def example(self, image, label):
        """Returns the decoded image of an element, and its label."""
        return (image if self.decode is None else self.decode(image)), label

    def examples(self):
        """Returns a `tf.data.Dataset` of decoded images and their labels."""
        if self.decode is None:
            return self.elements
        examples = self.elements.map(
            self.example, num_parallel_calls=tf.data.AUTOTUNE
        )
        return examples.cache() if self.is_kept else examples

    def shuffled(self, seed):
        """Returns the elements in another order in each pass.

        Where they do not all fit in memory (`CACHE_LIMIT`), they are shuffled
        within a window of that size.
        """
        window = max(1, CACHE_LIMIT // self.element_bytes)
        return self.elements.shuffle(min(self.size, window), seed=seed)

    def chosen(self, mask):
        """Returns those whose place in a Boolean array is true, as `Stored`."""
        chosen, size = tf.constant(mask), int(mask.sum())
        elements = (
            self.elements.enumerate()
            .filter(lambda index, element: chosen[index])
            .map(lambda index, element: element)
            # Or else `Model.fit` warns that it ran out of data.
            .apply(tf.data.experimental.assert_cardinality(size))
        )
        return dataclasses.replace(self, elements=elements, size=size)


def decoded(examples, size, image_size):
    """Returns the `Stored` of decoded images of one size, in memory or not."""
    return Stored(examples, size, image_bytes(image_size), image_size)


def square_maker(image_size, shorter_side=None):
    """Returns the function from an image to a square of its centre.

    Args:
        image_size: int, the side of the square, in pixels.
        shorter_side: int, as `images.square` takes it. Defaults to `None`.

    Returns:
        A function from an image as `images.to_rgb` takes it to a uint8 tensor
        of shape `(image_size, image_size, 3)`.
    """
    return lambda image: image_ops.square(
        image_ops.to_rgb(image), image_size, shorter_side
    )


def fits_in_memory(size, image_size):
    """Whether so many decoded images are within `CACHE_LIMIT`."""
    return size * image_bytes(image_size) <= CACHE_LIMIT


def image_bytes(image_size):
    return 3 * image_size**2
