"""Forms of an array: as it is, shared values, multiples of a step."""

import dataclasses

import numpy as np

from keras_squeezenet.codec import frequency_tables

_SIGN = np.uint32(1 << 31)


@dataclasses.dataclass(frozen=True)
class Plain:
    """The numbers themselves.

    Args:
        values: float32 array.
    """

    values: np.ndarray

    def to_array(self):
        return self.values


@dataclasses.dataclass(frozen=True)
class Shared:
    """Numbers of a codebook.

    Args:
        codes: int array, indices of the codebook.
        codebook: float32 array of distinct numbers in the order of
            `to_ordered`.
    """

    codes: np.ndarray
    codebook: np.ndarray

    def to_array(self):
        return self.codebook[self.codes]


@dataclasses.dataclass(frozen=True)
class Stepped:
    """Multiples of a step.

    Args:
        codes: int array, of both signs.
        step: float, exact in float32.
    """

    codes: np.ndarray
    step: float

    def to_array(self):
        return self.codes.astype("float32") * np.float32(self.step)


def lossless(values):
    """Returns the form that keeps an array bit by bit.

    Args:
        values: float array of any shape.

    Returns:
        `Shared` if few of its numbers are distinct, otherwise `Plain`.
    """
    values = np.ascontiguousarray(values, "float32")
    ordered, codes = np.unique(to_ordered(values), return_inverse=True)
    if len(ordered) > min(frequency_tables.MAX_SYMBOLS, values.size // 2):
        return Plain(values)
    return Shared(codes.reshape(values.shape), from_ordered(ordered))


def to_ordered(values):
    """Returns the bits of float32 numbers as uint32 in the numbers' order."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def from_ordered(ordered):
    """Returns the float32 numbers that `to_ordered` took."""
    ordered = np.asarray(ordered, "uint32")
    bits = np.where(ordered & _SIGN, ordered ^ _SIGN, ~ordered)
    return bits.astype("<u4").view("<f4").astype("float32")
