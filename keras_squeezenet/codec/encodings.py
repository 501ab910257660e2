"""The encodings of an array: float32, codebook, uniform quantization."""

import dataclasses

import numpy as np

from keras_squeezenet.codec import frequency_tables

_SIGN = np.uint32(1 << 31)


@dataclasses.dataclass(frozen=True)
class PlainArray:
    """An array of float32 numbers.

    Attributes:
        values: float32 array.
    """

    values: np.ndarray

    def to_array(self) -> np.ndarray:
        return self.values


@dataclasses.dataclass(frozen=True)
class CodebookArray:
    """An array whose numbers are those of a codebook.

    Attributes:
        codes: int array, indices of the codebook.
        codebook: float32 array of distinct numbers in the order of
            `to_ordered`.
    """

    codes: np.ndarray
    codebook: np.ndarray

    def to_array(self) -> np.ndarray:
        return self.codebook[self.codes]


@dataclasses.dataclass(frozen=True)
class UniformArray:
    """A uniformly quantized array: codes times the step size.

    Attributes:
        codes: int array, of both signs.
        step: float, the step size, exact in float32.
    """

    codes: np.ndarray
    step: float

    def to_array(self) -> np.ndarray:
        return self.codes.astype("float32") * np.float32(self.step)


Array = PlainArray | CodebookArray | UniformArray


def lossless(values: np.ndarray) -> PlainArray | CodebookArray:
    """Encode an array without loss.

    Args:
        values: float array of any shape.

    Returns:
        A `CodebookArray` if few of the numbers are distinct, otherwise a
        `PlainArray`.
    """
    values = np.ascontiguousarray(values, "float32")
    ordered, codes = np.unique(to_ordered(values), return_inverse=True)
    if len(ordered) > min(frequency_tables.MAX_SYMBOLS, values.size // 2):
        return PlainArray(values)
    return CodebookArray(codes.reshape(values.shape), from_ordered(ordered))


def to_ordered(values: np.ndarray) -> np.ndarray:
    """Map float32 numbers to uint32 ones in the same order."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def from_ordered(ordered: np.ndarray) -> np.ndarray:
    """Return the float32 numbers that `to_ordered` mapped."""
    ordered = np.asarray(ordered, "uint32")
    bits = np.where(ordered & _SIGN, ordered ^ _SIGN, ~ordered)
    return bits.astype("<u4").view("<f4").astype("float32")
