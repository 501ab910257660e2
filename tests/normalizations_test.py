import re

import numpy as np
import pytest
from keras.src.applications import imagenet_utils

from keras_squeezenet import normalizations
from keras_squeezenet import preprocess_input
from keras_squeezenet.data import image_ops

EPSILON = 2.0**-24


def by_hand(name, rgb):
    """Normalize images in float64."""
    if name == "caffe":
        return rgb[..., ::-1] - [103.939, 116.779, 123.68]
    if name == "squeezenet":
        return rgb[..., ::-1] - [104, 117, 123]
    if name == "tf":
        return rgb / 127.5 - 1
    if name == "gluon":
        std = [58.393, 57.12, 57.375]
        return (rgb - [123.68, 116.779, 103.939]) / std
    if name in ("raw", "unit"):
        return rgb / {"raw": 1, "unit": 255}[name]
    return (rgb / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


def convolve(x, kernel, bias, stride=2):
    """A convolution without padding, in float64."""
    windows = np.lib.stride_tricks.sliding_window_view(
        x, kernel.shape[:2], axis=(0, 1)
    )[::stride, ::stride]
    kernel = kernel.astype("float64")
    return np.einsum("yxchw,hwcf->yxf", windows, kernel) + bias


def photograph():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (23, 30, 3)).astype("float64")


def weights(side=7, filters=8):
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(side, side, 3, filters)).astype("float32")
    return kernel, rng.normal(size=filters).astype("float32")


@pytest.mark.parametrize("side", [3, 7])
@pytest.mark.parametrize("name", normalizations.NORMALIZATIONS)
def test_folded_weights_give_the_same_outputs(name, side):
    rgb = photograph()
    kernel, bias = weights(side)
    folded = normalizations.fold(kernel, bias, normalizations.get(name))
    expected = convolve(by_hand(name, rgb), kernel, bias)
    ours = by_hand("caffe", rgb)
    # The tolerance is the effect of rounding the weights to float32.
    rounding = EPSILON * convolve(abs(ours), *map(np.abs, folded))
    found = convolve(ours, *folded)
    assert expected.std() > 1
    assert (abs(found - expected) <= 1.001 * rounding).all()
    assert [array.dtype for array in folded] == ["float32", "float32"]
    assert [array.shape for array in folded] == [kernel.shape, bias.shape]


def test_weights_of_this_packages_input_stay_as_they_are():
    kernel, bias = weights()
    folded = normalizations.fold(kernel, bias, normalizations.get("caffe"))
    assert folded[0] is kernel
    assert folded[1] is bias


@pytest.mark.parametrize("name", ["squeezenet", "tf", "torch"])
def test_given_weights_are_not_changed(name):
    kernel, bias = weights()
    normalizations.fold(kernel, bias, normalizations.get(name))
    for array, expected in zip((kernel, bias), weights(), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_means_of_the_prototxt_move_the_bias_alone():
    kernel, bias = weights()
    folded = normalizations.fold(kernel, bias, normalizations.get("squeezenet"))
    np.testing.assert_array_equal(folded[0], kernel)
    blue, green, red = kernel.sum(axis=(0, 1), dtype="float64")
    # 104 - 103.939, 117 - 116.779, 123 - 123.68.
    expected = bias - 0.061 * blue - 0.221 * green + 0.68 * red
    np.testing.assert_allclose(folded[1], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["tf", "torch", "caffe"])
def test_normalizations_are_keras_modes_of_the_same_names(name):
    rgb = photograph()
    found = imagenet_utils.preprocess_input(
        rgb.copy(), data_format="channels_last", mode=name
    )
    known = normalizations.get(name)
    expected = (rgb - known.mean) / known.std
    if known.order == "BGR":
        expected = expected[..., ::-1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(expected, by_hand(name, rgb), atol=1e-12)


def test_preprocess_input_is_the_normalization_that_is_folded_into():
    rgb = photograph()
    found = preprocess_input(rgb.copy(), data_format="channels_last")
    np.testing.assert_allclose(found, by_hand("caffe", rgb), atol=1e-5)
    assert normalizations.OURS is normalizations.get("caffe")


@pytest.mark.parametrize("name", ["Caffe", "", "inception"])
def test_unknown_normalization_is_refused(name):
    message = (
        "`normalization` must be one of 'caffe', 'squeezenet', 'tf', "
        f"'torch', 'gluon', 'raw', 'unit'. Received: normalization={name!r}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        normalizations.get(name)


@pytest.mark.parametrize(
    "kernel, bias",
    [
        ((3, 3, 1, 64), (64,)),
        ((3, 3, 4, 64), (64,)),
        ((27, 64), (64,)),
        ((3, 64), (64,)),
        ((), ()),
        ((3, 3, 3, 64), (1,)),
        ((3, 3, 3, 64), ()),
        ((3, 3, 3, 64), (2, 64)),
    ],
)
def test_weights_of_another_shape_are_not_folded(kernel, bias):
    message = (
        "The first layer must have a kernel of shape (height, width, 3, "
        "filters) and a bias of shape (filters,), to fold the input "
        f"normalization into them. Received: {kernel} and {bias}"
    )
    torch = normalizations.get("torch")
    with pytest.raises(ValueError, match=re.escape(message)):
        normalizations.fold(np.zeros(kernel), np.zeros(bias), torch)


@pytest.mark.parametrize("name", normalizations.NORMALIZATIONS)
def test_arrays_are_normalized_as_in_tensorflow(name):
    squares = np.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3).astype("uint8")
    normalized = normalizations.get(name).apply(squares)
    assert (normalized.dtype, normalized.flags.c_contiguous) == (
        "float32",
        True,
    )
    expected = image_ops.normalize(squares, name).numpy()
    np.testing.assert_array_equal(normalized, expected)
