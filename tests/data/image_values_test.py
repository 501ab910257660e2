"""Batches that cannot have a normalization are refused, others are not."""

import numpy as np
import pytest

from keras_squeezenet import normalizations
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import image_values

RNG = np.random.default_rng(0)
SHAPE = (8, 6, 6, 3)
PHOTOGRAPHS = RNG.integers(0, 256, SHAPE).astype("uint8")
# Black digits on white, and white digits on black.
DIGITS = np.where(RNG.random(SHAPE) < 0.1, 0, 255).astype("uint8")
CAFFE, RAW, UNIT = "caffe", "raw", "unit"


def normalize(pixels, name=CAFFE):
    return image_ops.normalize(pixels, name).numpy()


def refusal(images, normalization=CAFFE, **options):
    values = image_values.Values.of(images)
    with pytest.raises(ValueError, match="the images of `train` must") as error:
        image_values.require("train", values, normalization, **options)
    return str(error.value)


@pytest.mark.parametrize("name", normalizations.NORMALIZATIONS)
@pytest.mark.parametrize("pixels", [PHOTOGRAPHS, DIGITS, 255 - DIGITS])
def test_normalized_images_are_taken(pixels, name):
    values = image_values.Values.of(normalize(pixels, name))
    image_values.require("train", values, name)


@pytest.mark.parametrize("name", normalizations.NORMALIZATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_black_and_dark_images_are_taken(name, dtype):
    pixel = np.array([[[[10, 130, 200]]]], "uint8")
    for pixels in (0 * PHOTOGRAPHS, PHOTOGRAPHS // 20, pixel):
        values = image_values.Values.of(normalize(pixels, name).astype(dtype))
        image_values.require("train", values, name)


def test_dark_integers_are_taken_where_raw_images_are_expected():
    for pixels in (0 * PHOTOGRAPHS, PHOTOGRAPHS // 100):
        values = image_values.Values.of(pixels)
        image_values.require("train", values, RAW)
    assert "uint8 from 0 to 1" in refusal(PHOTOGRAPHS // 128, RAW)


@pytest.mark.parametrize(
    "images, received",
    [
        (PHOTOGRAPHS, "uint8 from 0 to 255 in the first batch, as with "
         "normalization='raw'."),
        (PHOTOGRAPHS.astype("float32"), "normalization='raw'."),
        (PHOTOGRAPHS.astype("int64"), "int64 from 0 to 255"),
        (PHOTOGRAPHS / 255, "float64 from 0 to 1 in the first batch, as with "
         "normalization='unit'."),
        (normalize(PHOTOGRAPHS, "tf"), "-1 to 1 in the first batch, as with "
         "normalization='tf' or normalization='torch' or "
         "normalization='gluon'."),
        (normalize(PHOTOGRAPHS, "torch"), "normalization='torch' or"),
        (np.zeros(SHAPE, "float32"), "float32 from 0 to 0 in the first batch, "
         "as with normalization='raw' or normalization='unit'."),
    ],
)  # fmt: skip
def test_other_images_are_refused_with_what_to_do(images, received):
    message = refusal(images)
    assert "values that `preprocess_input` returns, from -123.7 to" in message
    assert received in message
    assert "the argument `normalization` ('caffe' if they are right)" in message


@pytest.mark.parametrize("expected", [RAW, UNIT, "tf", "torch"])
def test_preprocessed_images_are_refused_where_others_are_expected(expected):
    message = refusal(normalize(PHOTOGRAPHS), expected)
    assert f"the values of normalization={expected!r}, from" in message
    assert "as with normalization='caffe'" in message


def test_stated_normalization_is_believed():
    white = image_values.Values.of(normalize(0 * PHOTOGRAPHS + 255))
    assert "must have" in refusal(normalize(0 * PHOTOGRAPHS + 255))
    image_values.require("train", white, CAFFE, is_stated=True)
    image_values.require("train", None, CAFFE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("is_stated", [False, True])
def test_images_must_be_finite(bad, is_stated):
    images = normalize(PHOTOGRAPHS).copy()
    images[3, 2, 1, 0] = bad
    message = refusal(images, is_stated=is_stated)
    assert "must be finite" in message
    assert "in image 3 of the first batch" in message
