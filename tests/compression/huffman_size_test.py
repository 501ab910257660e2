import dataclasses

import numpy as np
import pytest

from keras_squeezenet.compression import huffman_size
from keras_squeezenet.pretrained import readers


@pytest.fixture(scope="module")
def released(shared_data):
    """The layers of the file that the authors released."""
    path = shared_data / "weights" / "compressed_SqueezeNet.net"
    return list(readers.read(path).values())


def from_relative_indices(stored, gaps, size):
    """Return the array of `size` values that `relative_indices` took."""
    values = np.zeros(size, stored.dtype)
    values[np.cumsum(gaps + 1) - 1] = stored
    return values


def sums(sizes):
    """Return the sum of each part over the layers."""
    return {
        field.name: sum(getattr(size, field.name) for size in sizes)
        for field in dataclasses.fields(huffman_size.Size)
    }


def make_kernel(shape, distinct, density, seed=0):
    rng = np.random.default_rng(seed)
    kernel = rng.integers(1, distinct, shape).astype("float32") / 7
    return kernel * (rng.random(shape) < density)


def test_sizes_of_the_released_layers_are_those_of_their_file(
    released, shared_data
):
    sizes = [huffman_size.count_sparse(*layer) for layer in released]
    fixed = {"header": 26 * 4, "codebook": 26 * 1024, "bias": 3_976 * 4}
    plain = [size.plain for size in sizes]
    huffman = [size.huffman for size in sizes]
    file = shared_data / "weights" / "compressed_SqueezeNet.net"
    assert sum(size.total for size in plain) == file.stat().st_size == 675_763
    # 415,921 weights and 6,162 fillers.
    assert sums(plain) == fixed | {
        **{"codes": 422_083, "indices": 211_048, "tables": 0}
    }
    assert sum(size.total for size in huffman) == 561_012
    assert sums(huffman) == fixed | {
        **{"codes": 384_771, "indices": 129_189, "tables": 26 * 170}
    }


def test_layers_of_few_zeros_need_no_indices(released):
    sizes = [huffman_size.count_bytes(*layer) for layer in released]
    assert sum(size.plain.total for size in sizes) == 625_631
    assert sum(size.huffman.total for size in sizes) == 548_887
    # conv1, and the squeeze layers and expand layers that were not pruned.
    assert sum(size.plain.indices == 0 for size in sizes) == 13


def test_parts_of_a_sparse_layer():
    kernel = np.zeros((1, 1, 40, 1), "float32")
    kernel[0, 0, [3, 20, 39], 0] = 1, 2, 1
    size = huffman_size.count_sparse(kernel, np.ones(5, "float32"))
    # Gaps 3, 15 (a filler), 0, 15 (a filler), 2: positions 3, 19, 20, 36, 39.
    assert size.plain == huffman_size.Size(
        header=4, codes=2, indices=3, codebook=12, bias=20, tables=0
    )
    # Codes of 0, 1 and 2 (2, 2 and 1 of them) take 8 bits, the gaps 10.
    assert size.huffman == huffman_size.Size(
        header=4, codes=1, indices=2, codebook=12, bias=20, tables=2 + 10
    )
    assert size.plain.total == 41


def test_parts_of_a_dense_layer():
    kernel = np.array([1, 2, 3, 1, 1, 1, 1, 1] * 4, "float32").reshape(8, 4)
    size = huffman_size.count_bytes(kernel)
    assert size.plain == huffman_size.Size(
        header=4, codes=8, indices=0, codebook=12, bias=0, tables=0
    )
    assert size.huffman == huffman_size.Size(
        header=4, codes=5, indices=0, codebook=12, bias=0, tables=2
    )


@pytest.mark.parametrize("distinct, codes", [(257, 4 * 4096), (256, 4096)])
def test_more_than_256_values_are_counted_as_floats(distinct, codes):
    kernel = np.resize(np.arange(1, distinct + 1, dtype="float32"), (64, 64))
    size = huffman_size.count_bytes(kernel)
    assert size.plain.codes == codes
    codebook = 4 * distinct if distinct <= 256 else 0
    assert size.plain.codebook == codebook
    if distinct > 256:
        assert size.plain.total == size.huffman.total == 4 + 4 * 4096


def test_sparse_floats_have_indices():
    kernel = np.zeros((100, 100), "float32")
    kernel[::5, ::2] = np.arange(1, 1001).reshape(20, 50)
    size = huffman_size.count_bytes(kernel)
    fillers = huffman_size.relative_indices(kernel.T.ravel())[0] == 0
    assert size.plain.codes == 4 * (1000 + fillers.sum())
    assert size.plain.indices > 0
    assert size.huffman.indices < size.plain.indices


def test_kernel_of_zeros_costs_its_codebook_only():
    size = huffman_size.count_bytes(np.zeros((3, 3, 8, 8), "float32"))
    assert size.plain.total == 8


@pytest.mark.parametrize(
    "values, stored, gaps",
    [
        ([0, 0, 5], [5], [2]),
        ([5, 6, 0], [5, 6], [0, 0]),
        ([0] * 15 + [5], [5], [15]),
        ([0] * 16 + [5], [0, 5], [15, 0]),
        ([0] * 33 + [5], [0, 0, 5], [15, 15, 1]),
        ([0] * 99, [], []),
    ],
)
def test_fillers_bridge_wide_gaps(values, stored, gaps):
    values = np.array(values, "float32")
    found = huffman_size.relative_indices(values)
    assert [array.tolist() for array in found] == [stored, gaps]
    np.testing.assert_array_equal(
        from_relative_indices(*found, len(values)), values
    )


@pytest.mark.parametrize("density", [0.03, 0.33, 0.9])
def test_layer_comes_back_and_its_words_take_the_bytes_counted(density):
    kernel = make_kernel((3, 3, 8, 16), 30, density)
    size = huffman_size.count_sparse(kernel).huffman
    flat = kernel.transpose(3, 2, 0, 1).ravel()
    stored, gaps = huffman_size.relative_indices(flat)
    codebook = np.union1d(stored, [0])
    codes = np.searchsorted(codebook, stored)
    for symbols, count, expected in (
        (codes, len(codebook), size.codes),
        (gaps, 16, size.indices),
    ):
        counts = np.bincount(symbols, minlength=count)
        lengths = huffman_size.code_lengths(counts)
        assert -(-lengths[symbols].sum() // 8) == expected
    np.testing.assert_array_equal(
        from_relative_indices(
            codebook[codes].astype("float32"), gaps, flat.size
        ),
        flat,
    )


def test_order_of_the_weights_is_that_of_caffe():
    """Caffe's order follows the zeros of a channel, so gaps are short."""
    kernel = np.zeros((1, 1, 64, 64), "float32")
    kernel[..., 0] = 1
    size = huffman_size.count_sparse(kernel).plain
    assert size.indices == 32
    assert huffman_size.count_sparse(kernel.swapaxes(2, 3)).plain.indices > 64


@pytest.mark.parametrize(
    "counts, lengths",
    [
        ([5, 9, 12, 13, 16, 45], [4, 4, 3, 3, 3, 1]),
        ([1, 1, 1, 1], [2, 2, 2, 2]),
        ([1, 1, 2, 3, 5, 8], [5, 5, 4, 3, 2, 1]),
        ([3, 0, 1], [1, 0, 1]),
        ([0, 7, 0], [0, 1, 0]),
        ([0, 0], [0, 0]),
        ([], []),
    ],
)
def test_lengths_of_known_codes(counts, lengths):
    assert huffman_size.code_lengths(counts).tolist() == lengths


@pytest.mark.parametrize("seed", range(5))
def test_code_is_complete_and_within_a_bit_of_the_entropy(seed):
    counts = np.random.default_rng(seed).geometric(0.01, 256)
    lengths = huffman_size.code_lengths(counts)
    assert np.sum(0.5**lengths) == 1  # Kraft's sum
    share = counts / counts.sum()
    entropy = -np.sum(share * np.log2(share))
    assert entropy <= share @ lengths < entropy + 1
