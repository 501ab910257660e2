"""The encodings of an array: float32, codebook, uniform quantization."""

import dataclasses

import numpy as np

from keras_squeezenet.codec import frequency_tables

_SIGN = np.uint32(1 << 31)


@dataclasses.dataclass(frozen=True)
class PlainArray:
    """An array of float32 numbers."""

    values: np.ndarray

    def to_array(self) -> np.ndarray:
        return self.values


@dataclasses.dataclass(frozen=True)
class CodebookArray:
    """An array of codes, the indices of a codebook.

    The codebook has distinct float32 numbers in the order of `to_ordered`.
    """

    codes: np.ndarray
    codebook: np.ndarray

    def to_array(self) -> np.ndarray:
        return self.codebook[self.codes]


@dataclasses.dataclass(frozen=True)
class UniformArray:
    """A uniformly quantized array: signed integer codes times the step size.

    The step size must be exact in float32.
    """

    codes: np.ndarray
    step: float

    def to_array(self) -> np.ndarray:
        return self.codes.astype("float32") * np.float32(self.step)


Array = PlainArray | CodebookArray | UniformArray


def lossless(values: np.ndarray) -> PlainArray | CodebookArray:
    """Encode a float array without loss.

    A codebook is used if at most half of the numbers are distinct, and at most
    `frequency_tables.MAX_SYMBOLS`.
    """
    values = np.ascontiguousarray(values, "float32")
    ordered, codes = np.unique(to_ordered(values), return_inverse=True)
    if len(ordered) > min(frequency_tables.MAX_SYMBOLS, values.size // 2):
        return PlainArray(values)
    return CodebookArray(codes.reshape(values.shape), from_ordered(ordered))


def to_ordered(values: np.ndarray) -> np.ndarray:
    """Map float32 numbers to uint32 numbers that sort in the same order."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def from_ordered(ordered: np.ndarray) -> np.ndarray:
    """Invert `to_ordered`."""
    ordered = np.asarray(ordered, "uint32")
    bits = np.where(ordered & _SIGN, ordered ^ _SIGN, ~ordered)
    return bits.astype("<u4").view("<f4").astype("float32")
