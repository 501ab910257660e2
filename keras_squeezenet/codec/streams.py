"""Arrays of small integers in one entropy-coded stream.

Each array has its own frequency table; the symbols of all arrays are in one
rANS stream.

Content: the binary logarithm of the number of lanes, one byte; the length of
the tables in bytes, a little-endian uint32; the tables; the rANS content.
"""

import struct

import numpy as np

from keras_squeezenet.codec import bit_io
from keras_squeezenet.codec import frequency_tables
from keras_squeezenet.codec import rans

_HEAD = struct.Struct("<BI")
MAX_LANES_LOG2 = 14
# A step decodes one symbol of every lane. More lanes take fewer steps, and
# three bytes each: there are the fewest that decode in `STEPS`, half a second.
STEPS = 1 << 16
MAX_STEPS = 1 << 18


def encode(arrays: list[np.ndarray], lanes_log2: int | None = None) -> bytes:
    """Encode arrays of integers of any shape.

    Args:
        arrays: the values of each must be within
            `frequency_tables.MAX_SYMBOLS` of each other.
        lanes_log2: the binary logarithm of the number of lanes. Defaults to
            `None`: the fewest that decode in `STEPS`.
    """
    if lanes_log2 is None:
        steps = -(-sum(map(np.size, arrays)) // STEPS)
        lanes_log2 = max(steps - 1, 0).bit_length()
    writer = bit_io.Writer()
    _, coded = encode_with_tables(
        [array for array in arrays if np.size(array)], writer, 1 << lanes_log2
    )
    head = writer.to_bytes()
    return _HEAD.pack(lanes_log2, len(head)) + head + coded


def encode_with_tables(
    arrays: list[np.ndarray], writer: bit_io.Writer, lanes: int
) -> tuple[list[frequency_tables.Table], bytes]:
    """Write the tables of arrays with elements; return them and the content."""
    arrays = [np.ravel(array).astype("int64") for array in arrays]
    tables = [frequency_tables.write(writer, array) for array in arrays]
    symbols = [array - table.first for array, table in zip(arrays, tables)]
    content = rans.encode(
        np.concatenate([np.zeros(0, "int64"), *symbols]),
        [table.frequencies for table in tables] or [np.array([rans.TOTAL])],
        np.repeat(np.arange(len(arrays)), list(map(len, arrays))),
        lanes,
    )
    return tables, content


def decode(
    content: bytes, sizes: list[int], has_geometric: bool = True
) -> list[np.ndarray]:
    """Decode flat int32 arrays with `sizes` elements.

    Args:
        content: what `encode` returned.
        sizes: the number of elements of each array.
        has_geometric: as `frequency_tables.read` takes it.

    Raises:
        ValueError: if the content is damaged, or has other sizes.
    """
    if len(content) < _HEAD.size:
        raise ValueError(
            f"the streams must have at least {_HEAD.size} bytes. Received: "
            f"{len(content)} bytes"
        )
    lanes_log2, length = _HEAD.unpack_from(content)
    if lanes_log2 > MAX_LANES_LOG2:
        raise ValueError(
            f"the streams must have at most 2**{MAX_LANES_LOG2} lanes. "
            f"Received: 2**{lanes_log2} lanes"
        )
    if sum(sizes) > MAX_STEPS << lanes_log2:
        raise ValueError(
            f"the streams must have a lane for each {MAX_STEPS:,} of their "
            f"{sum(sizes):,} symbols. Received: {1 << lanes_log2} lanes"
        )
    end = _HEAD.size + length
    reader = bit_io.Reader(content[_HEAD.size : end])
    found = [
        frequency_tables.read(reader, has_geometric) if size else None
        for size in sizes
    ]
    reader.require_end()
    present = [table for table in found if table is not None]
    counts = [size for size in sizes if size]
    tables = [table.frequencies for table in present]
    rans.require_bits(content[end:], tables, counts)
    symbols = rans.decode(
        content[end:],
        tables or [np.array([rans.TOTAL])],
        np.repeat(np.arange(len(present), dtype="uint16"), counts),
        1 << lanes_log2,
    )
    parts = np.split(symbols, np.cumsum(sizes)[:-1]) if sizes else []
    return [
        part if table is None else part + np.int32(table.first)
        for part, table in zip(parts, found)
    ]
