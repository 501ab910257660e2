import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_squeezenet
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import image_reader


@pytest.mark.parametrize(
    "pixels, dtype, expected",
    [
        ([[7], [200]], "uint8", [[7] * 3, [200] * 3]),
        # 10 * 100 / 255 + 255 - 100 is 158.9.
        ([[10, 10, 10, 100]], "uint8", [[159] * 3]),
        ([[0, 32768, 65535]], "uint16", [[0, 128, 255]]),
    ],
)
def test_gray_alpha_and_sixteen_bits_become_rgb(pixels, dtype, expected):
    rgb = image_ops.to_rgb(tf.constant([pixels], dtype))
    assert rgb.dtype == tf.uint8
    assert rgb.numpy().tolist() == [expected]


def test_to_rgb_agrees_with_pillow_on_alpha(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32, 4)).astype("uint8")
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    difference = image_ops.to_rgb(tf.constant(pixels)).numpy().astype(
        int
    ) - image_reader.read(path)
    assert abs(difference).max() <= 1


def test_square_of_the_right_size_is_the_image_itself():
    image = tf.constant(np.arange(4 * 4 * 3).reshape(4, 4, 3), tf.uint8)
    assert image_ops.square(image, 4) is image


@pytest.mark.parametrize(
    "height,width", [(1, 1), (3, 500), (7, 5), (375, 500), (224, 225)]
)
def test_square_has_the_size_asked_for(height, width):
    image = np.full((height, width, 3), 77, "uint8")
    square = image_ops.square(image, 224)
    np.testing.assert_array_equal(square, np.full((224, 224, 3), 77))


@pytest.mark.parametrize("shape", [(20, 20), (20, 30), (30, 20)])
def test_square_leaves_a_border_of_the_shorter_side(shape):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), "uint8")
    top, left = ((length - 14) // 2 for length in shape)
    np.testing.assert_array_equal(
        image_ops.square(image, 14, shorter_side=20),
        image[top : top + 14, left : left + 14],
    )


@pytest.mark.parametrize("shape", [(40, 40), (33, 57), (80, 41), (9, 12)])
def test_square_is_the_center_of_the_resized_image(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), "uint8")
    scale = 32 / min(shape)
    height, width = (round(length * scale) for length in shape)
    resized = tf.image.resize(image, (height, width), antialias=True)
    top, left = (height - 28) // 2, (width - 28) // 2
    expected = resized[top : top + 28, left : left + 28]
    square = image_ops.square(image, 28, shorter_side=32)
    assert square.dtype == tf.uint8
    assert abs(tf.cast(square, tf.float32) - expected).numpy().max() <= 0.51


def test_square_of_the_right_size_is_enlarged_for_a_longer_shorter_side():
    image = np.zeros((8, 8, 3), "uint8")
    image[2:6, 2:6] = 200
    square = image_ops.square(image, 8, shorter_side=16).numpy()
    assert square.shape == (8, 8, 3)
    assert square[1:7, 1:7].min() == 200


@pytest.mark.parametrize(
    "height,width", [(1, 1), (1, 3000), (3000, 1), (2, 100_000)]
)
def test_elongated_images_are_cut_before_they_are_enlarged(height, width):
    image = np.full((height, width, 3), 77, "uint8")
    square = image_ops.square(image, 227, shorter_side=256)
    np.testing.assert_array_equal(square, np.full((227, 227, 3), 77))


def test_square_resizes_with_antialiasing():
    stripes = np.zeros((64, 64, 3), "uint8")
    stripes[:, ::8] = 200
    square = image_ops.square(stripes, 8).numpy()
    assert abs(square[:, 1:-1].astype(int) - 200 // 8).max() <= 1


@pytest.mark.parametrize("side", [9, 20, 40])
@pytest.mark.parametrize("width", [20, 31])
def test_square_is_the_same_where_sizes_are_not_known(side, width):
    image = np.random.default_rng(0).integers(0, 256, (20, width, 3), "uint8")
    square = tf.function(
        lambda image: image_ops.square(image, side),
        input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)],
    )
    assert square.get_concrete_function().output_shapes == (side, side, 3)
    np.testing.assert_array_equal(square(image), image_ops.square(image, side))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_preprocess_equals_the_preprocess_input_of_the_networks(dtype):
    image = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3))
    image = image.astype(dtype)
    expected = keras_squeezenet.preprocess_input(
        image.copy(), data_format="channels_last"
    )
    preprocessed = image_ops.normalize(image)
    assert preprocessed.dtype == tf.float32
    np.testing.assert_array_equal(preprocessed, expected)
