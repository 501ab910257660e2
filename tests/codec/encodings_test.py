import numpy as np
import pytest

from keras_squeezenet.codec import encodings

SPECIAL = np.array(
    [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45, 3.4e38, 1, -1],
    "float32",
)


def bits(values):
    return np.asarray(values, "float32").view("uint32")


@pytest.mark.parametrize(
    "values",
    [SPECIAL, np.repeat(SPECIAL, 9).reshape(9, -1), np.zeros((0, 3))],
    ids=["distinct", "shared", "empty"],
)
def test_lossless_encoding_keeps_every_bit(values):
    array = encodings.lossless(values)
    assert array.to_array().shape == values.shape
    assert array.to_array().dtype == "float32"
    np.testing.assert_array_equal(
        bits(array.to_array().ravel()), bits(values.ravel())
    )


def test_few_distinct_numbers_are_shared_and_many_are_not():
    few = np.repeat([0.5, -2, 0], 5)
    array = encodings.lossless(few)
    assert isinstance(array, encodings.CodebookArray)
    assert array.codebook.tolist() == [-2, 0, 0.5]
    assert isinstance(
        encodings.lossless(np.arange(100.0)), encodings.PlainArray
    )


def test_ordered_bits_are_in_the_order_of_the_numbers():
    numbers = np.sort(SPECIAL[~np.isnan(SPECIAL)])
    ordered = encodings.to_ordered(numbers)
    assert ordered.dtype == "uint32"
    assert np.all(np.diff(ordered.astype("int64")[numbers != 0]) > 0)
    np.testing.assert_array_equal(
        bits(encodings.from_ordered(ordered)), bits(numbers)
    )


def test_multiples_of_a_step():
    array = encodings.UniformArray(np.array([[-2, 0], [1, 300]]), 0.25)
    assert array.to_array().tolist() == [[-0.5, 0], [0.25, 75]]
    assert array.to_array().dtype == "float32"
