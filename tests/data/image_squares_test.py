import numpy as np
import pytest

from keras_squeezenet.data import image_ops
from keras_squeezenet.data import image_reader
from keras_squeezenet.data import image_squares


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def require_same_as_in_tensorflow(image, side, shorter_side):
    square = image_squares.square(image, side, shorter_side)
    assert (square.dtype, square.shape) == ("uint8", (side, side, 3))
    expected = image_ops.square(image, side, shorter_side).numpy()
    difference = abs(square.astype(int) - expected)
    # Equal on x86. Other processors may round before adding.
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 1e-4


@pytest.mark.parametrize("side, shorter_side", [(227, 256), (64, 64)])
def test_photographs_are_those_of_tensorflow(side, shorter_side, photographs):
    for path in photographs[::100]:
        image = image_reader.read(path)
        require_same_as_in_tensorflow(image, side, shorter_side)


@pytest.mark.parametrize(
    "height, width",
    [(1, 1), (1, 3000), (3000, 1), (3, 500), (33, 57), (20, 20), (900, 1000)],
)
@pytest.mark.parametrize(
    "side, shorter_side", [(227, 256), (20, 20), (14, 20), (9, 11)]
)
def test_any_size_is_that_of_tensorflow(height, width, side, shorter_side):
    image = noise(height, width, 3)
    require_same_as_in_tensorflow(image, side, shorter_side)


def test_square_of_the_right_size_is_the_image_itself():
    image = noise(4, 4, 3)
    assert image_squares.square(image, 4) is image
    np.testing.assert_array_equal(image_squares.square(image, 4, 4), image)


def test_border_of_the_shorter_side_is_dropped():
    image = noise(20, 31, 3)
    square = image_squares.square(image, 14, shorter_side=20)
    np.testing.assert_array_equal(square, image[3:17, 8:22])


def test_pixels_are_averaged_where_an_image_becomes_smaller():
    stripes = np.zeros((64, 64, 3), "uint8")
    stripes[:, ::8] = 200
    square = image_squares.square(stripes, 8)
    assert abs(square[:, 1:-1].astype(int) - 200 // 8).max() <= 1


def test_parts_change_nothing(monkeypatch):
    image = noise(50, 70, 3)
    whole = image_squares.square(image, 32)
    monkeypatch.setattr(image_squares, "PART", 1)
    np.testing.assert_array_equal(image_squares.square(image, 32), whole)
