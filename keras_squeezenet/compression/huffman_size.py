"""The bytes of a layer as Deep Compression and SqueezeNet count them.

A sparse kernel is a list of the weights that are not zero: for each a code,
its number in the layer's codebook of shared values, and the number of zeros
in front of it, a relative index of 4 bits. Where more than 15 zeros are in
front, fillers with the value zero and the index 15 bridge them. Codes take
the fewest bits that number the codebook, or Huffman's; so do indices.

This is the form of the released `compressed_SqueezeNet.net`, its 675,763 bytes
to the byte. With Huffman coding the same layers take 561,012.

Reference:
- [Deep Compression](https://arxiv.org/abs/1510.00149) (Han et al., 2016),
  section 2 for the relative indices, 3 for the codebooks, 4 for Huffman
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from keras_squeezenet.compression import huffman

INDEX_BITS = 4
MAX_GAP = 2**INDEX_BITS - 1
MAX_CODEBOOK = 256
# A layer has a uint32: the number of codes (22 bits), that of the codebook's
# entries (8) and which form it has (2).
HEADER_BYTES = 4
# A Huffman table is the lengths of its words. One of 32 bits would need 5.7
# million codes at least.
LENGTH_BITS = 5


@dataclasses.dataclass(frozen=True)
class Size:
    """The bytes of a layer, by what they are for.

    Args:
        header: the numbers of codes and of codebook entries.
        codes: one code a stored weight, or the float32 values themselves
            where no codebook is used.
        indices: one relative index a stored weight; none in the dense form.
        codebook: the shared values, float32.
        bias: float32.
        tables: the lengths of the words of the Huffman codes, 5 bits each:
            one for each entry of the codebook, 16 for the indices.
    """

    header: int
    codes: int
    indices: int
    codebook: int
    bias: int
    tables: int

    @property
    def total(self):
        """All the bytes."""
        return sum(dataclasses.astuple(self))


@dataclasses.dataclass(frozen=True)
class LayerSize:
    """The bytes of a layer with codes of fixed length, and with Huffman's."""

    plain: Size
    huffman: Size


def count_bytes(kernel, bias=None):
    """Counts the bytes of a layer in its smaller form, sparse or dense.

    The choice is made for the plain and for the Huffman-coded size, each for
    itself. Indices are not worth their bytes in a kernel of few zeros.

    Args:
        kernel: array of two dimensions or more, output channels last. Where
            it has more than 256 distinct values they are counted as plain
            float32 numbers.
        bias: array. Defaults to none.

    Returns:
        A `LayerSize`.
    """
    forms = count_sparse(kernel, bias), count_dense(kernel, bias)
    return LayerSize(
        plain=min((form.plain for form in forms), key=_total),
        huffman=min((form.huffman for form in forms), key=_total),
    )


def count_sparse(kernel, bias=None):
    """Counts the bytes of a layer with relative indices: see `count_bytes`.

    Zero always is an entry of the codebook, as in the released file.
    """
    values, gaps = relative_indices(_flatten(kernel))
    codebook = np.union1d(values, [0])
    return _count(values, codebook, gaps, bias)


def count_dense(kernel, bias=None):
    """Counts the bytes of a layer with a code for every weight."""
    values = _flatten(kernel)
    return _count(values, np.unique(values), None, bias)


def relative_indices(values):
    """Returns what is stored of a sparse array, fillers included.

    Args:
        values: array of one dimension.

    Returns:
        `(stored, gaps)`: the values to store and the number of zeros in front
        of each, at most 15. Zeros at the end are not stored.
    """
    positions = np.flatnonzero(values)
    zeros = np.diff(positions, prepend=-1) - 1
    # A filler is a zero itself, behind 15 others.
    fillers, gaps = np.divmod(zeros, MAX_GAP + 1)
    last = np.cumsum(fillers + 1) - 1
    count = int(np.sum(fillers + 1))
    stored = np.zeros(count, values.dtype)
    stored[last] = values[positions]
    all_gaps = np.full(count, MAX_GAP, "int64")
    all_gaps[last] = gaps
    return stored, all_gaps


def from_relative_indices(stored, gaps, size):
    """Returns the array of `size` values that `relative_indices` took."""
    values = np.zeros(size, stored.dtype)
    values[np.cumsum(gaps + 1) - 1] = stored
    return values


def _flatten(kernel):
    """In the order of Caffe, in which the released file has its weights."""
    kernel = np.asarray(kernel)
    return np.moveaxis(kernel, (-1, -2), (0, 1)).ravel()


def _count(values, codebook, gaps, bias):
    if len(codebook) <= MAX_CODEBOOK:
        counts = np.bincount(
            np.searchsorted(codebook, values), minlength=len(codebook)
        )
        # A single value still takes a code of one bit.
        codes = _count_stream(counts, max(1, (len(codebook) - 1).bit_length()))
    else:
        codes = _Stream(plain=4 * len(values), huffman=4 * len(values), table=0)
        codebook = ()
    indices = _Stream(plain=0, huffman=0, table=0)
    if gaps is not None:
        counts = np.bincount(gaps, minlength=MAX_GAP + 1)
        indices = _count_stream(counts, INDEX_BITS)
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
    """The bytes of symbols of fixed length, of Huffman's, and of its table."""

    plain: int
    huffman: int
    table: int


def _count_stream(counts, bits):
    lengths = huffman.code_lengths(counts)
    return _Stream(
        plain=math.ceil(bits * int(counts.sum()) / 8),
        huffman=math.ceil(int(counts @ lengths) / 8),
        table=math.ceil(LENGTH_BITS * len(counts) / 8),
    )


def _total(size):
    return size.total
