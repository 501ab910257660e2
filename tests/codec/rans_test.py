import numpy as np
import pytest

from keras_squeezenet.codec import rans


def entropy_bytes(symbols):
    counts = np.bincount(symbols)
    counts = counts[counts > 0]
    return -np.sum(counts * np.log2(counts / len(symbols))) / 8


def tables_of(arrays):
    return [rans.normalize(np.bincount(array)) for array in arrays]


def members_of(arrays):
    return np.repeat(np.arange(len(arrays)), [len(array) for array in arrays])


@pytest.mark.parametrize("lanes", [1, 7, 256, 4096])
def test_symbols_of_several_tables_come_back(lanes):
    rng = np.random.default_rng(0)
    arrays = [rng.geometric(p, 3000) - 1 for p in (0.9, 0.4, 0.05)]
    tables, members = tables_of(arrays), members_of(arrays)
    symbols = np.concatenate(arrays)
    content = rans.encode(symbols, tables, members, lanes)
    np.testing.assert_array_equal(
        rans.decode(content, tables, members, lanes), symbols
    )


@pytest.mark.parametrize("share_of_zeros", [0.33, 0.67, 0.9, 0.99])
def test_size_is_within_one_percent_of_the_entropy(share_of_zeros):
    rng = np.random.default_rng(0)
    symbols = np.where(
        rng.random(100_000) < share_of_zeros, 0, rng.integers(1, 16, 100_000)
    )
    content = rans.encode(
        symbols, tables_of([symbols]), np.zeros(100_000, int), 64
    )
    assert entropy_bytes(symbols) < len(content)
    assert len(content) < 1.01 * entropy_bytes(symbols) + 4 * 64


def test_bytes_are_the_same_on_every_platform():
    symbols = np.arange(40) % 7 % 3
    table = rans.normalize(np.bincount(symbols))
    assert table.tolist() == [6963, 4915, 4506]
    content = rans.encode(symbols, [table], np.zeros(40, int), 2)
    assert content.hex() == "d0cdb87913ebabbb2419d5c2"


def test_symbol_that_is_always_the_same_takes_no_bytes():
    table = rans.normalize([0, 5])
    assert table.tolist() == [0, rans.TOTAL]
    content = rans.encode(np.ones(1000, int), [table], np.zeros(1000, int), 4)
    assert len(content) == 4 * 4


@pytest.mark.parametrize(
    "counts",
    [[1], [1, 10**9], [3, 3, 3], [0, 1, 0, 2], [1] * 5000, [10**14, 1]],
)
def test_frequencies_add_up_and_forget_nothing(counts):
    frequencies = rans.normalize(counts)
    assert frequencies.sum() == rans.TOTAL
    np.testing.assert_array_equal(frequencies > 0, np.array(counts) > 0)


def damaged(content):
    yield content[:-2]
    yield content[:-1]
    yield content[:8]
    yield content + b"\0\0"
    for position in range(0, len(content), 7):
        changed = bytearray(content)
        changed[position] ^= 4
        yield bytes(changed)


def test_damage_is_an_error_or_other_symbols_of_the_alphabet():
    rng = np.random.default_rng(0)
    symbols = rng.geometric(0.4, 500) - 1
    tables, members = tables_of([symbols]), np.zeros(500, int)
    content = rans.encode(symbols, tables, members, 4)
    errors = 0
    for other in damaged(content):
        try:
            found = rans.decode(other, tables, members, 4)
        except ValueError:
            errors += 1
        else:
            assert found.max() < len(tables[0])
    # The end of the stream gives nearly all of them away.
    assert errors > 4
