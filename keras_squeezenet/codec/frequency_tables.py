"""Compact tables of symbol frequencies.

A count is stored as its bit length and some of the bits after the leading one:
as many as minimize the total size. Encoder and decoder compute the same
frequencies from the rounded counts.
"""

import dataclasses

import numpy as np

from keras_squeezenet.codec import bit_io
from keras_squeezenet.codec import rans

MAX_SYMBOLS = 4096
# The largest magnitude of the first value of an alphabet.
MAX_VALUE = 1 << 20
# Counts below 2**28, the weights of 200 SqueezeNets.
MAX_COUNT_LENGTH = 28
MANTISSA_FIELD = 3
MAX_MANTISSA = 2**MANTISSA_FIELD - 1
# Bits in units of 1/1024: sums of integers are the same on every platform. None
# of these logarithms is so close to half a unit that its last digit matters.
_UNIT = 1024
_COSTS = np.rint(
    _UNIT * (rans.PRECISION - np.log2(np.maximum(np.arange(rans.TOTAL + 1), 1)))
).astype("int64")


@dataclasses.dataclass(frozen=True)
class Table:
    """The value of an array's first symbol and the frequencies of all symbols.

    The values of the symbols are consecutive. The frequencies are normalized by
    `rans.normalize`.
    """

    first: int
    frequencies: np.ndarray


def write(writer: bit_io.Writer, values: np.ndarray) -> Table:
    """Write the table of a flat array, with the precision that saves most bits.

    Raises:
        ValueError: if there are too many values, or they are too large.
    """
    first, last = int(values.min()), int(values.max())
    if last - first >= MAX_SYMBOLS or abs(first) > MAX_VALUE:
        raise ValueError(
            f"codes must be within {MAX_SYMBOLS} of each other and within "
            f"{MAX_VALUE} of 0. Received: {first} to {last}"
        )
    counts = np.bincount(values - first)
    if int(counts.max()).bit_length() > MAX_COUNT_LENGTH:
        raise ValueError(
            f"a code must occur less than {2**MAX_COUNT_LENGTH} times. "
            f"Received: {counts.max()} times"
        )
    mantissa = _best_mantissa(counts)
    writer.write_signed(first)
    writer.write_gamma(len(counts) - 1)
    writer.write(mantissa, MANTISSA_FIELD)
    return Table(first, _write_counts(writer, counts, mantissa))


def read(reader: bit_io.Reader) -> Table:
    """Read a table that `write` wrote."""
    first = reader.read_signed()
    count = reader.read_gamma() + 1
    mantissa = reader.read(MANTISSA_FIELD)
    if abs(first) > MAX_VALUE or count > MAX_SYMBOLS:
        raise ValueError(
            f"a table must have at most {MAX_SYMBOLS} symbols, the first one "
            f"within {MAX_VALUE} of 0"
        )
    counts = np.zeros(count, "int64")
    length = 0
    for symbol in range(count):
        length += reader.read_signed()
        if not 0 <= length <= MAX_COUNT_LENGTH:
            raise ValueError(
                f"a count must have at most {MAX_COUNT_LENGTH} bits"
            )
        bits = min(mantissa, max(length - 1, 0))
        counts[symbol] = _restored(length, reader.read(bits), bits)
    if not counts.any():
        raise ValueError("a table must have a symbol that occurs")
    return Table(first, rans.normalize(counts))


def cost(values: np.ndarray) -> int:
    """Return the size of an array and its table in bytes, rounded up.

    What all arrays of a stream share is not included.
    """
    if not values.size:
        return 0
    counts = np.bincount(np.ravel(values - values.min()))
    return -(-_cost(counts, _best_mantissa(counts)) // (8 * _UNIT))


def _best_mantissa(counts):
    return min(range(MAX_MANTISSA + 1), key=lambda bits: _cost(counts, bits))


def _cost(counts, mantissa):
    """Return the size of an array and its table, in units of 1/1024 bit."""
    writer = bit_io.Writer()
    frequencies = _write_counts(writer, counts, mantissa)
    return int(counts @ _COSTS[frequencies]) + len(writer) * _UNIT


def _write_counts(writer, counts, mantissa):
    """Write each count; return the frequencies of the rounded ones."""
    rounded = np.zeros_like(counts)
    before = 0
    for symbol, count in enumerate(counts.tolist()):
        length = count.bit_length()
        bits = min(mantissa, max(length - 1, 0))
        kept = count >> length - 1 - bits & (1 << bits) - 1 if length else 0
        writer.write_signed(length - before)
        writer.write(kept, bits)
        rounded[symbol] = _restored(length, kept, bits)
        before = length
    return rans.normalize(rounded)


def _restored(length, kept, bits):
    """Return the middle of the range of counts that are stored alike."""
    if not length:
        return 0
    dropped = length - 1 - bits
    return ((1 << bits | kept) << dropped) + ((1 << dropped) >> 1)
