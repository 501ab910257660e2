import numpy as np
import pytest

from keras_squeezenet.compression import huffman


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
    assert huffman.code_lengths(counts).tolist() == lengths


@pytest.mark.parametrize("seed", range(5))
def test_code_is_complete_and_within_a_bit_of_the_entropy(seed):
    counts = np.random.default_rng(seed).geometric(0.01, 256)
    lengths = huffman.code_lengths(counts)
    assert np.sum(0.5**lengths) == 1  # Kraft's sum
    share = counts / counts.sum()
    entropy = -np.sum(share * np.log2(share))
    assert entropy <= share @ lengths < entropy + 1


def test_words_are_canonical():
    assert huffman.code_words([2, 1, 0, 3, 3]) == {
        **{1: "0", 0: "10"},
        **{3: "110", 4: "111"},
    }


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_symbols_come_back_from_as_many_bytes_as_counted(count):
    rng = np.random.default_rng(count)
    symbols = np.minimum(rng.geometric(0.3, count), 15)
    counts = np.bincount(symbols, minlength=16)
    lengths = huffman.code_lengths(counts)
    content = huffman.encode(symbols, lengths)
    assert len(content) == -(-int(counts @ lengths) // 8)
    np.testing.assert_array_equal(
        huffman.decode(content, lengths, count), symbols
    )


def test_one_symbol_alone_takes_a_bit():
    lengths = huffman.code_lengths([0, 20])
    content = huffman.encode([1] * 20, lengths)
    assert len(content) == 3
    assert huffman.decode(content, lengths, 20).tolist() == [1] * 20


def test_missing_symbols_are_an_error():
    lengths = huffman.code_lengths([2, 1, 1])
    content = huffman.encode([0, 1, 2], lengths)
    with pytest.raises(
        ValueError, match="9 symbols are expected. Received: 6 in 1 bytes"
    ):
        huffman.decode(content, lengths, 9)
