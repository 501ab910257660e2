"""The size of a layer in bytes as Deep Compression and SqueezeNet count it.

A sparse kernel is a list of its nonzero weights. Each has a code, its index in
the layer's codebook of shared values, and a relative index of 4 bits, the
number of zeros before it. Fillers with the value zero and the index 15 bridge
longer runs of zeros. A code takes the fewest bits that can number the codebook,
or those of a Huffman code; so does an index.

This is the format of the released `compressed_SqueezeNet.net`, whose 675,763
bytes are counted exactly. With Huffman codes its layers take 561,012 bytes.

Reference:
- [Deep Compression](https://arxiv.org/abs/1510.00149) (Han et al., 2016),
  section 2 for the relative indices, 3 for the codebooks, 4 for Huffman codes
- [A Method for the Construction of Minimum-Redundancy Codes](
    https://doi.org/10.1109/JRPROC.1952.273898) (Huffman, 1952)
"""

import dataclasses
import heapq
import math
import operator
from typing import Any
from typing import NamedTuple

import numpy as np

INDEX_BITS = 4
MAX_GAP = 2**INDEX_BITS - 1
MAX_CODEBOOK = 256
# A uint32: the number of codes (22 bits), the size of the codebook (8) and the
# format of the layer (2).
HEADER_BYTES = 4
# A Huffman table has the lengths of the words, below 32 bits: a longer word
# would need at least 5.7 million codes.
LENGTH_BITS = 5


@dataclasses.dataclass(frozen=True)
class Size:
    """The bytes of the parts of a layer.

    Args:
        header: the numbers of codes and of codebook entries.
        codes: a code for each stored weight, or its float32 value if there is
            no codebook.
        indices: a relative index for each stored weight of a sparse layer.
        codebook: the shared values, float32.
        bias: float32.
        tables: the lengths of the words of the Huffman codes, 5 bits each: one
            for each entry of the codebook, and 16 for the indices.
    """

    header: int
    codes: int
    indices: int
    codebook: int
    bias: int
    tables: int

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return sum(dataclasses.astuple(self))


@dataclasses.dataclass(frozen=True)
class LayerSize:
    """The bytes of a layer with fixed-length codes and with Huffman codes."""

    plain: Size
    huffman: Size


def count_bytes(
    kernel: np.ndarray, bias: np.ndarray | None = None
) -> LayerSize:
    """Count the bytes of a layer, sparse or dense, whichever is smaller.

    With fixed-length and with Huffman codes a different one may be smaller: in
    a kernel of few zeros the indices take more bytes than they save. Kernels of
    more than 256 distinct values are counted as float32. Output channels are
    last.
    """
    sizes = count_sparse(kernel, bias), count_dense(kernel, bias)
    total = operator.attrgetter("total")
    return LayerSize(
        plain=min((size.plain for size in sizes), key=total),
        huffman=min((size.huffman for size in sizes), key=total),
    )


def count_sparse(kernel, bias=None):
    """Count the bytes of a layer with relative indices.

    Zero is always an entry of the codebook, as in the released file.
    """
    values, gaps = relative_indices(_flatten(kernel))
    codebook = np.union1d(values, [0])
    return _count(values, codebook, gaps, bias)


def count_dense(kernel, bias=None):
    """Count the bytes of a layer with a code for every weight."""
    values = _flatten(kernel)
    return _count(values, np.unique(values), None, bias)


def relative_indices(values):
    """Return the values to store of a flat sparse array, and their indices.

    The indices are the numbers of zeros before each stored value, at most 15.
    Zeros at the end are not stored.
    """
    positions = np.flatnonzero(values)
    zeros = np.diff(positions, prepend=-1) - 1
    # A filler is itself a zero, after 15 others.
    fillers, gaps = np.divmod(zeros, MAX_GAP + 1)
    last = np.cumsum(fillers + 1) - 1
    count = int(np.sum(fillers + 1))
    stored = np.zeros(count, values.dtype)
    stored[last] = values[positions]
    all_gaps = np.full(count, MAX_GAP, "int64")
    all_gaps[last] = gaps
    return stored, all_gaps


def _flatten(kernel):
    """Flatten a kernel in the order of Caffe and of the released file."""
    kernel = np.asarray(kernel)
    return np.moveaxis(kernel, (-1, -2), (0, 1)).ravel()


def _count(values, codebook, gaps, bias):
    if len(codebook) <= MAX_CODEBOOK:
        # Even a single value takes a code of one bit.
        bits = max(1, (len(codebook) - 1).bit_length())
        indices = np.searchsorted(codebook, values)
        codes = _count_stream(indices, len(codebook), bits)
    else:
        codes, codebook = _Stream(4 * len(values), 4 * len(values), 0), ()
    indices = _Stream(0, 0, 0)
    if gaps is not None:
        indices = _count_stream(gaps, MAX_GAP + 1, INDEX_BITS)
    fixed = {
        "header": HEADER_BYTES,
        "codebook": 4 * len(codebook),
        "bias": 0 if bias is None else 4 * np.size(bias),
    }
    return LayerSize(
        plain=Size(codes=codes.plain, indices=indices.plain, tables=0, **fixed),
        huffman=Size(
            codes=codes.huffman,
            indices=indices.huffman,
            tables=codes.table + indices.table,
            **fixed,
        ),
    )


class _Stream(NamedTuple):
    plain: int
    huffman: int
    table: int


def _count_stream(symbols, alphabet, bits):
    counts = np.bincount(symbols, minlength=alphabet)
    lengths = code_lengths(counts)
    return _Stream(
        plain=math.ceil(bits * len(symbols) / 8),
        huffman=math.ceil(int(counts @ lengths) / 8),
        table=math.ceil(LENGTH_BITS * alphabet / 8),
    )


def code_lengths(counts: Any) -> np.ndarray:
    """Return the lengths in bits of the words of an optimal prefix code.

    `counts` has the number of occurrences of each symbol. A symbol that does
    not occur has the length 0, the only one that occurs the length 1.
    """
    counts = np.asarray(counts, "int64")
    lengths = np.zeros(len(counts), "int64")
    # The symbol breaks ties, so that the same counts give the same code.
    heap = [
        (int(counts[symbol]), int(symbol), [symbol])
        for symbol in np.flatnonzero(counts)
    ]
    if len(heap) == 1:
        lengths[heap[0][2]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        symbols = first[2] + second[2]
        lengths[symbols] += 1
        heapq.heappush(heap, (first[0] + second[0], first[1], symbols))
    return lengths
