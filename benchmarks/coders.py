"""Compare entropy coders on the same codes: size, encoding and decoding time.

    pip install zstandard brotli constriction
    python benchmarks/coders.py WEIGHTS

WEIGHTS is a file with shared values, such as `compressed_SqueezeNet.net`. The
codes of a layer are the indices of its distinct values; the general-purpose
compressors get them as bytes, concatenated. The sizes do not include the
codebooks.
"""

import lzma
import time
import zlib

import brotli
import constriction
import numpy as np
import rich.console
import zstandard
from absl import app

from keras_squeezenet import inspection
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.codec import streams
from keras_squeezenet.compression import huffman_size
from keras_squeezenet.packing import rate_distortion


def main(argv):
    if len(argv) != 2:
        raise app.UsageError("WEIGHTS must be given")
    kernels = inspection.load_kernels(argv[1]).values()
    arrays = [np.unique(kernel, return_inverse=True)[1] for kernel in kernels]
    arrays = [array.ravel() for array in arrays]
    if max(array.max() for array in arrays) > 255:
        raise app.UsageError(
            "WEIGHTS must have at most 256 distinct values in each layer"
        )
    entropy = sum(map(rate_distortion.entropy, arrays)) / 8
    rows = [("entropy", f"{entropy:,.0f}", "1.000", "", "")]
    content = np.concatenate(arrays).astype("uint8").tobytes()
    coders = {
        "this package": (
            lambda: streams.encode(arrays),
            lambda coded: streams.decode(coded, list(map(len, arrays))),
        ),
        "constriction": (
            lambda: constriction_encode(arrays),
            lambda coded: constriction_decode(coded, list(map(len, arrays))),
        ),
        "brotli 11": (
            lambda: brotli.compress(content, quality=11),
            brotli.decompress,
        ),
        "xz 9e": (
            lambda: lzma.compress(content, preset=9 | lzma.PRESET_EXTREME),
            lzma.decompress,
        ),
        "zstd 19": (
            lambda: zstandard.compress(content, 19),
            zstandard.decompress,
        ),
        "deflate 9": (lambda: zlib.compress(content, 9), zlib.decompress),
    }
    for name, (encode, decode) in coders.items():
        size, seconds = measure(encode, decode, arrays, content)
        rows.append(
            (
                name,
                f"{size:,}",
                f"{size / entropy:.3f}",
                *(f"{second:.2f}" for second in seconds),
            )
        )
    size = sum(
        found.huffman.codes + found.huffman.indices + found.huffman.tables
        for found in map(huffman_size.count_bytes, kernels)
    )
    rows.append(("Deep Compression", f"{size:,}", f"{size / entropy:.3f}"))
    rows[-1] += ("", "")
    terminal.print_table(
        rich.console.Console(markup=False, highlight=False),
        report.Table(
            f"{len(content):,} codes of {len(arrays)} layers",
            ("coder", "bytes", "ratio", "encode s", "decode s"),
            rows,
        ),
    )


def measure(encode, decode, arrays, content):
    """Check the round trip; return the bytes and the seconds each way."""
    started = time.perf_counter()
    coded = encode()
    encoded = time.perf_counter()
    found = decode(coded)
    decoded = time.perf_counter()
    if isinstance(found, bytes):
        assert found == content
    else:
        assert all(map(np.array_equal, found, arrays))
    return len(coded), (encoded - started, decoded - encoded)


def constriction_encode(arrays):
    """Encode with its range coder and exact tables of two bytes an entry."""
    coder = constriction.stream.queue.RangeEncoder()
    tables = []
    for array in arrays:
        counts = np.bincount(array)
        tables.append(counts.astype("<u4").tobytes())
        coder.encode(array.astype("int32"), categorical(counts))
    return Coded(coder.get_compressed(), tables)


class Coded:
    """The output of constriction, and the tables to decode it with."""

    def __init__(self, words, tables):
        self.words = words
        self.tables = tables

    def __len__(self):
        return 4 * len(self.words) + sum(map(len, self.tables)) // 2


def constriction_decode(coded, sizes):
    coder = constriction.stream.queue.RangeDecoder(coded.words)
    return [
        coder.decode(categorical(np.frombuffer(table, "<u4")), size)
        for table, size in zip(coded.tables, sizes)
    ]


def categorical(counts):
    return constriction.stream.model.Categorical(
        counts / counts.sum(), perfect=False
    )


if __name__ == "__main__":
    app.run(main)
