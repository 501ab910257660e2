"""Interleaved range asymmetric numeral systems (rANS), vectorized in NumPy.

The entropy coder uses integers only: the same symbols give the same bytes on
every platform. Symbol `i` belongs to lane `i % lanes`. Each lane is an
independent coder with a state of 32 bits, and all lanes share one sequence of
16-bit words, so that one step codes one symbol of every lane.

Content: the final state of each lane, little endian, then the words, in the
order in which the decoder reads them.

References:
- [Asymmetric numeral systems](https://arxiv.org/abs/1311.2540) (Duda, 2013)
- [Interleaved entropy coders](https://arxiv.org/abs/1402.3392) (Giesen, 2014)
"""

import numpy as np

PRECISION = 14
TOTAL = 1 << PRECISION
# A state is in [LOWEST, 2**32).
LOWEST = 1 << 16
WORD_BITS = 16
STATE_BITS = 32
# Steps that are decoded together, to save memory.
_CHUNK = 256


def normalize(counts: np.ndarray) -> np.ndarray:
    """Scale counts to int64 frequencies that add up to `TOTAL`.

    Symbols that occur have a frequency of at least 1. There must be at most
    `TOTAL` counts, not all zeros, with a sum below 2**49.
    """
    counts = np.asarray(counts, "int64")
    frequencies, remainders = np.divmod(counts << PRECISION, counts.sum())
    frequencies = np.where(counts > 0, np.maximum(frequencies, 1), 0)
    left = TOTAL - int(frequencies.sum())
    # Stable sorts, so that the order of equal counts is defined.
    if left > 0:
        order = np.argsort(-remainders, kind="stable")
        frequencies[order[:left]] += 1
    while left < 0:
        # The largest frequencies change least, relatively.
        order = np.argsort(-frequencies, kind="stable")
        order = order[frequencies[order] > 1][:-left]
        frequencies[order] -= 1
        left += len(order)
    return frequencies


def encode(
    symbols: np.ndarray,
    tables: list[np.ndarray],
    members: np.ndarray,
    lanes: int,
) -> bytes:
    """Encode a flat array of symbols, each with one of several tables.

    Args:
        symbols: indices of frequencies that are not 0 in their tables.
        tables: frequencies as `normalize` returns them.
        members: the index of each symbol's table.
        lanes: at least 1.
    """
    frequencies = np.concatenate(tables).astype("uint64")
    starts = np.concatenate([np.cumsum(table) - table for table in tables])
    offsets = np.cumsum([0, *map(len, tables)])[:-1]
    entries = offsets[members] + symbols
    frequencies, starts = frequencies[entries], starts[entries].astype("uint64")
    states = np.full(lanes, LOWEST, "uint64")
    words = []
    # Backwards, since the decoder undoes the last step first.
    for begin in reversed(range(0, len(symbols), lanes)):
        frequency = frequencies[begin : begin + lanes]
        state = states[: len(frequency)]
        full = state >= frequency << np.uint64(STATE_BITS - PRECISION)
        words.append((state[full] & np.uint64(LOWEST - 1)).astype("<u2"))
        state = np.where(full, state >> np.uint64(WORD_BITS), state)
        quotient, remainder = np.divmod(state, frequency)
        states[: len(frequency)] = (
            (quotient << np.uint64(PRECISION))
            + remainder
            + starts[begin : begin + lanes]
        )
    parts = [states.astype("<u4"), *reversed(words)]
    return b"".join(part.tobytes() for part in parts)


def require_bits(
    content: bytes, tables: list[np.ndarray], counts: list[int]
) -> None:
    """Raise a `ValueError` if the bits are too few for the symbols.

    Each symbol is counted as the most likely one. Without this check, the count
    in a damaged file could ask for any amount of memory.
    """
    bits = sum(
        count * (PRECISION - np.log2(table.max()))
        for table, count in zip(tables, counts)
    )
    # Rounding may save bits, but less than half of them.
    if bits / 2 > 8 * len(content):
        raise ValueError("the content ends before its last symbol")


def decode(
    content: bytes,
    tables: list[np.ndarray],
    members: np.ndarray,
    lanes: int,
) -> np.ndarray:
    """Decode the int32 symbols that `encode` encoded with the same arguments.

    Raises:
        ValueError: if the content is damaged.
    """
    if len(content) < 4 * lanes or len(content) % 2:
        raise ValueError(
            f"the symbols must have an even number of bytes, at least "
            f"{4 * lanes}. Received: {len(content)} bytes"
        )
    states = np.frombuffer(content, "<u4", lanes).astype("uint32")
    words = np.frombuffer(content, "<u2", offset=4 * lanes).astype("uint32")
    # Indexed by a table and the low bits of a state.
    symbol_at = np.concatenate(
        [np.repeat(np.arange(len(table)), table) for table in tables]
    ).astype("int32")
    frequency_at = np.concatenate(
        [np.repeat(table, table) for table in tables]
    ).astype("uint32")
    rest_at = np.concatenate(
        [np.arange(TOTAL) - np.repeat(np.cumsum(t) - t, t) for t in tables]
    ).astype("uint32")
    symbols = np.empty(len(members), "int32")
    taken = 0
    for chunk in range(0, len(symbols), _CHUNK * lanes):
        # First the start of each symbol's table, then its place there.
        places = members[chunk : chunk + _CHUNK * lanes].astype("int64")
        places <<= PRECISION
        for begin in range(0, len(places), lanes):
            place = places[begin : begin + lanes]
            state = states[: len(place)]
            place += state & np.uint32(TOTAL - 1)
            state >>= np.uint32(PRECISION)
            state *= frequency_at[place]
            state += rest_at[place]
            (empty,) = (state < LOWEST).nonzero()
            if taken + len(empty) > len(words):
                raise ValueError("the content ends before its last symbol")
            refill = words[taken : taken + len(empty)]
            state[empty] = (state[empty] << np.uint32(WORD_BITS)) | refill
            taken += len(empty)
        symbols[chunk : chunk + len(places)] = symbol_at[places]
    # The encoder starts with these states.
    if taken != len(words) or np.any(states != LOWEST):
        raise ValueError("the content must end with its last symbol")
    return symbols
