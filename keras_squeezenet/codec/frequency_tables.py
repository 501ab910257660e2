"""How often each symbol occurs, in few bits.

A count is kept as its binary length and the bits behind its first one, as
many of them as pay for themselves. Both sides make the same frequencies from
what is kept.
"""

import dataclasses

import numpy as np

from keras_squeezenet.codec import rans

MAX_SYMBOLS = 4096
# The first value of an alphabet is not further from 0.
MAX_VALUE = 1 << 20
# A count is below 2**28, the weights of 200 SqueezeNets.
MAX_COUNT_LENGTH = 28
MANTISSA_FIELD = 3
MAX_MANTISSA = 2**MANTISSA_FIELD - 1
# Bits in units of 1/1024: the sums of integers are the same everywhere. No
# logarithm of these is so close to half a unit that its last digit matters.
_UNIT = 1024
_COSTS = np.rint(
    _UNIT * (rans.PRECISION - np.log2(np.maximum(np.arange(rans.TOTAL + 1), 1)))
).astype("int64")


@dataclasses.dataclass(frozen=True)
class Table:
    """The alphabet of an array and the frequencies of its symbols.

    Args:
        first: int, the value of symbol 0; those of the others follow.
        frequencies: as `rans.normalize` returns them.
    """

    first: int
    frequencies: np.ndarray


def write(writer, values):
    """Writes the table of an array, the one with which it takes fewest bits.

    Args:
        writer: `bits.Writer`.
        values: int array of one dimension, not empty.

    Returns:
        The `Table`, as `read` returns it.

    Raises:
        ValueError: if its values are too many or too large.
    """
    first, last = int(values.min()), int(values.max())
    if last - first >= MAX_SYMBOLS or abs(first) > MAX_VALUE:
        raise ValueError(
            f"values within {MAX_SYMBOLS} of each other and within "
            f"{MAX_VALUE} of 0 are expected. Received: {first} to {last}"
        )
    counts = np.bincount(values - first)
    if int(counts.max()).bit_length() > MAX_COUNT_LENGTH:
        raise ValueError(
            f"a value is expected less than {2**MAX_COUNT_LENGTH} times. "
            f"Received: {counts.max()} times"
        )
    mantissa = _best_mantissa(counts)
    writer.write_signed(first)
    writer.write_gamma(len(counts) - 1)
    writer.write(mantissa, MANTISSA_FIELD)
    before = 0
    for length, kept, bits in _split(counts, mantissa):
        writer.write_signed(length - before)
        writer.write(kept, bits)
        before = length
    return Table(first, rans.normalize(_rounded(counts, mantissa)))


def read(reader):
    """Reads a `Table` that `write` wrote.

    Args:
        reader: `bits.Reader`.

    Raises:
        ValueError: if it is none.
    """
    first = reader.read_signed()
    count = reader.read_gamma() + 1
    mantissa = reader.read(MANTISSA_FIELD)
    if abs(first) > MAX_VALUE or count > MAX_SYMBOLS:
        raise ValueError("a smaller alphabet is expected")
    counts = np.zeros(count, "int64")
    length = 0
    for symbol in range(count):
        length += reader.read_signed()
        if not 0 <= length <= MAX_COUNT_LENGTH:
            raise ValueError("a smaller count is expected")
        bits = min(mantissa, max(length - 1, 0))
        counts[symbol] = _restored(length, reader.read(bits), bits)
    if not counts.any():
        raise ValueError("a symbol that occurs is expected")
    return Table(first, rans.normalize(counts))


def cost(values):
    """Returns the bytes, rounded up, of an array and its table.

    Args:
        values: int array of one dimension.
    """
    if not len(values):
        return 0
    counts = np.bincount(values - values.min())
    return -(-_cost(counts, _best_mantissa(counts)) // (8 * _UNIT))


def _best_mantissa(counts):
    return min(range(MAX_MANTISSA + 1), key=lambda bits: _cost(counts, bits))


def _split(counts, mantissa):
    """Yields of each count its length, the bits kept, and how many."""
    for count in counts.tolist():
        length = count.bit_length()
        bits = min(mantissa, max(length - 1, 0))
        kept = count >> length - 1 - bits & (1 << bits) - 1 if length else 0
        yield length, kept, bits


def _restored(length, kept, bits):
    """The count in the middle of those that are kept alike."""
    if not length:
        return 0
    dropped = length - 1 - bits
    return ((1 << bits | kept) << dropped) + ((1 << dropped) >> 1)


def _rounded(counts, mantissa):
    return np.array(
        [_restored(*parts) for parts in _split(counts, mantissa)], "int64"
    )


def _cost(counts, mantissa):
    """What an array takes with so many bits a count, table included."""
    frequencies = rans.normalize(_rounded(counts, mantissa))
    bits = before = 0
    for length, _, kept in _split(counts, mantissa):
        bits += _signed_length(length - before) + kept
        before = length
    return int(counts @ _COSTS[frequencies]) + bits * _UNIT


def _signed_length(value):
    value = 2 * value - 1 if value > 0 else -2 * value
    return 2 * (value + 1).bit_length() - 1
