import tracemalloc

import numpy as np
import pytest

from keras_squeezenet.codec import streams

ARRAYS = [
    np.random.default_rng(0).normal(scale=3, size=(3, 3, 8, 16)).astype(int),
    np.zeros(0, int),
    np.full(7, -12),
    np.arange(300),
]
SIZES = [array.size for array in ARRAYS]


@pytest.mark.parametrize("lanes_log2", [0, 4, 12])
def test_arrays_come_back(lanes_log2):
    content = streams.encode(ARRAYS, lanes_log2)
    decoded = streams.decode(content, SIZES)
    assert len(decoded) == len(ARRAYS)
    for expected, received in zip(ARRAYS, decoded):
        np.testing.assert_array_equal(received, expected.ravel())


@pytest.mark.parametrize("arrays", [[], [np.zeros(0, int)]])
def test_nothing_comes_back(arrays):
    decoded = streams.decode(streams.encode(arrays), [0] * len(arrays))
    assert [array.tolist() for array in decoded] == [[]] * len(arrays)


def test_real_weights_are_within_one_percent_of_their_entropy(net):
    """The 26 layers of the released v1.0, with their tables."""
    arrays, entropy = [], 0
    for kernel, _ in net.values():
        _, codes, counts = np.unique(
            kernel, return_inverse=True, return_counts=True
        )
        arrays.append(codes.ravel())
        entropy -= np.sum(counts * np.log2(counts / codes.size)) / 8
    content = streams.encode(arrays)
    assert round(entropy) == 496_613
    assert entropy < len(content) < 1.01 * entropy
    decoded = streams.decode(content, [array.size for array in arrays])
    for expected, received in zip(arrays, decoded):
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("count", range(0, 200, 13))
def test_content_that_is_cut_off_is_an_error(count):
    content = streams.encode(ARRAYS, 2)
    with pytest.raises(ValueError, match="must have|cut off|ends before"):
        streams.decode(content[:count], SIZES)


def test_more_lanes_than_allowed_are_an_error():
    content = bytearray(streams.encode(ARRAYS))
    content[0] = 200
    with pytest.raises(ValueError, match=r"Received: 2\*\*200"):
        streams.decode(bytes(content), SIZES)


def test_few_symbols_have_one_lane_and_many_have_more():
    for size, lanes_log2 in ((0, 0), (2**16, 0), (2**16 + 1, 1), (200_000, 2)):
        assert streams.encode([np.zeros(size, int)])[0] == lanes_log2


def test_lanes_that_would_take_too_long_are_an_error():
    content = streams.encode([np.zeros(1, int)])
    with pytest.raises(ValueError, match="a lane for each 262,144 of"):
        streams.decode(content, [2**18 + 1])


def test_other_sizes_are_an_error():
    content = streams.encode(ARRAYS)
    with pytest.raises(ValueError, match="must have|cut off|ends before"):
        streams.decode(content, [*SIZES, 5])


def test_more_symbols_than_the_content_can_have_take_no_memory():
    content = streams.encode([np.array([0] * 99 + [1])], 8)
    tracemalloc.start()
    with pytest.raises(ValueError, match="ends before its last symbol"):
        streams.decode(content, [2**24])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_symbol_that_takes_no_bits_may_be_repeated():
    zeros = np.zeros(100_000, "int64")
    content = streams.encode([zeros])
    assert len(content) < 30
    np.testing.assert_array_equal(streams.decode(content, [100_000])[0], zeros)
