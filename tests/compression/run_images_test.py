import numpy as np
import pytest
import quarters
import tensorflow as tf

from keras_squeezenet import compression
from keras_squeezenet.compression import run_images
from keras_squeezenet.data import image_ops
from keras_squeezenet.utils.progress import Progress


@pytest.mark.parametrize("batch_size", [1, 100, 300])
def test_as_many_images_calibrate_whatever_the_batch_size(
    batch_size, make_model
):
    images, labels = quarters.make_images(300, 0)
    arrays = np.asarray(image_ops.normalize(images)), labels
    found = run_images.load(
        make_model(),
        {"train": arrays, "validation": arrays, "test": None},
        compression.Recipe(batch_size=batch_size),
        progress=Progress(),
    )
    assert [batch.shape for batch in found.calibration] == 8 * [(32, 16, 16, 3)]


@pytest.mark.parametrize("name", ["validation", "test"])
def test_batches_that_are_shuffled_anew_get_one_order(name, make_model):
    images, labels = quarters.make_images(40, 0)
    arrays = np.asarray(image_ops.normalize(images)), labels
    shuffled = tf.data.Dataset.from_tensor_slices(arrays).shuffle(40).batch(8)
    sets = {"train": arrays, "validation": arrays, "test": None}
    found = run_images.load(
        make_model(),
        {**sets, name: shuffled},
        compression.Recipe(batch_size=8),
        progress=Progress(),
    )
    one, other = (
        np.concatenate([*getattr(found, name).batches(0).map(first)])
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)


def first(images, labels):
    return images
