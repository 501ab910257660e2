"""Compact tables of symbol frequencies.

A table has either the counts of the symbols, each as its bit length and some of
the bits after the leading one, or the peak and the decay of a two-sided
geometric distribution, whichever is smaller in all. Encoder and decoder
compute the same frequencies from what is stored.
"""

import dataclasses
import functools
import math

import numpy as np

from keras_squeezenet.codec import bit_io
from keras_squeezenet.codec import rans

MAX_SYMBOLS = 4096
# The largest magnitude of the first value of an alphabet.
MAX_VALUE = 1 << 20
# Counts below 2**28, the weights of 200 SqueezeNets.
MAX_COUNT_LENGTH = 28
MANTISSA_FIELD = 3
MAX_MANTISSA = 2**MANTISSA_FIELD - 2
# In the place of a mantissa: the table has a geometric distribution.
GEOMETRIC = MAX_MANTISSA + 1
DECAY_FIELD = 6
_PEAK_WEIGHT = 1 << MAX_COUNT_LENGTH
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
    """Write the table of a flat array that minimizes the total size.

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
    _write_range(writer, first, len(counts))
    return Table(first, _best(counts, first)(writer))


def read(reader: bit_io.Reader, has_geometric: bool = True) -> Table:
    """Read a table that `write` wrote.

    Args:
        reader: the bits.
        has_geometric: whether there are geometric distributions. Version 1 of
            the format has none, but one more length of mantissas.
    """
    first = reader.read_signed()
    count = reader.read_gamma() + 1
    mantissa = reader.read(MANTISSA_FIELD)
    if abs(first) > MAX_VALUE or count > MAX_SYMBOLS:
        raise ValueError(
            f"a table must have at most {MAX_SYMBOLS} symbols, the first one "
            f"within {MAX_VALUE} of 0"
        )
    if has_geometric and mantissa == GEOMETRIC:
        counts = _read_geometric(reader, count)
    else:
        counts = _read_counts(reader, count, mantissa)
    return Table(first, rans.normalize(counts))


def cost(values: np.ndarray) -> int:
    """Return the size of an array and its table in bytes, rounded up.

    What all arrays of a stream share is not included.
    """
    if not values.size:
        return 0
    first = int(values.min())
    counts = np.bincount(np.ravel(values - first))
    writer = bit_io.Writer()
    _write_range(writer, first, len(counts))
    total = _cost(counts, _best(counts, first)) + len(writer) * _UNIT
    return -(-total // (8 * _UNIT))


def _write_range(writer, first, count):
    writer.write_signed(first)
    writer.write_gamma(count - 1)


def _best(counts, first):
    """Return the encoding with the lowest `_cost`."""
    return min(_encodings(counts, first), key=lambda each: _cost(counts, each))


def _cost(counts, encoding):
    """Return the size of an array and its table, in units of 1/1024 bit."""
    writer = bit_io.Writer()
    frequencies = encoding(writer)
    return int(counts @ _COSTS[frequencies]) + len(writer) * _UNIT


def _encodings(counts, first):
    """Yield functions that write a table to a writer and return frequencies."""
    for mantissa in range(MAX_MANTISSA + 1):
        yield functools.partial(_write_counts, counts=counts, mantissa=mantissa)
    median = int(np.searchsorted(np.cumsum(counts), (counts.sum() + 1) // 2))
    # 0 is the peak of most weights.
    for peak in {median, min(max(-first, 0), len(counts) - 1)}:
        mean = counts @ np.abs(np.arange(len(counts)) - peak) / counts.sum()
        likely = _likely_decay(float(mean))
        for decay in range(likely - 1, likely + 2):
            if 0 <= decay < 2**DECAY_FIELD:
                yield functools.partial(
                    _write_geometric, size=len(counts), peak=peak, decay=decay
                )


def _write_counts(writer, counts, mantissa):
    """Write each count; return the frequencies of the rounded ones."""
    writer.write(mantissa, MANTISSA_FIELD)
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


def _read_counts(reader, size, mantissa):
    counts = np.zeros(size, "int64")
    length = 0
    for symbol in range(size):
        length += reader.read_signed()
        if not 0 <= length <= MAX_COUNT_LENGTH:
            raise ValueError(
                f"a count must have at most {MAX_COUNT_LENGTH} bits"
            )
        bits = min(mantissa, max(length - 1, 0))
        counts[symbol] = _restored(length, reader.read(bits), bits)
    if not counts.any():
        raise ValueError("a table must have a symbol that occurs")
    return counts


def _restored(length, kept, bits):
    """Return the middle of the range of counts that are stored alike."""
    if not length:
        return 0
    dropped = length - 1 - bits
    return ((1 << bits | kept) << dropped) + ((1 << dropped) >> 1)


def _write_geometric(writer, size, peak, decay):
    writer.write(GEOMETRIC, MANTISSA_FIELD)
    writer.write(peak, (size - 1).bit_length())
    writer.write(decay, DECAY_FIELD)
    return rans.normalize(_geometric(size, peak, decay))


def _read_geometric(reader, size):
    peak = reader.read((size - 1).bit_length())
    if peak >= size:
        raise ValueError(
            f"the peak of a table must be one of its {size} symbols. "
            f"Received: {peak}"
        )
    return _geometric(size, peak, reader.read(DECAY_FIELD))


def _geometric(size, peak, decay):
    """Return weights that fall on both sides of a peak, none of them to 0."""
    factor, shift = _decrease(decay)
    weights = [_PEAK_WEIGHT]
    for _ in range(max(peak, size - 1 - peak)):
        weights.append(weights[-1] - (weights[-1] * factor >> shift))
    return np.array(weights)[np.abs(np.arange(size) - peak)]


def _decrease(decay):
    """Return `a` and `b`: each weight is less than the last by `a / 2**b`.

    The share falls from 7/8 by 13 to 20% from one decay to the next.
    """
    return 7 - decay % 4, 3 + decay // 4


def _likely_decay(mean):
    """Return the decay for a mean distance from the peak."""
    share = 1.0
    if mean > 0:
        share = 1 - (math.sqrt(1 + mean * mean) - 1) / mean

    def distance(decay):
        factor, shift = _decrease(decay)
        return abs(factor / 2**shift - share)

    return min(range(2**DECAY_FIELD), key=distance)
