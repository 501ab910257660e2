import numpy as np
import pytest

from keras_squeezenet.codec import bit_io
from keras_squeezenet.codec import frequency_tables
from keras_squeezenet.codec import rans


def coded(values):
    writer = bit_io.Writer()
    table = frequency_tables.write(writer, np.asarray(values))
    return table, writer


def assert_same(one, other):
    assert one.first == other.first
    np.testing.assert_array_equal(one.frequencies, other.frequencies)


@pytest.mark.parametrize(
    "values",
    [
        [0],
        [-7],
        [3, 3, 3, 9],
        np.random.default_rng(0).normal(scale=30, size=20_000).astype(int),
        np.random.default_rng(0).geometric(0.3, 100),
        np.arange(4096) - 2000,
        np.random.default_rng(0).laplace(7, 200, 300).astype(int),
    ],
    ids=["zero", "negative", "gap", "normal", "geometric", "wide", "sparse"],
)
def test_reader_makes_the_table_of_the_writer(values):
    table, writer = coded(values)
    reader = bit_io.Reader(writer.to_bytes())
    assert_same(frequency_tables.read(reader), table)
    reader.require_end()


def test_every_value_has_a_frequency():
    values = np.array([-3, 0, 0, 0, 5])
    table, _ = coded(values)
    assert table.first == -3
    found = np.flatnonzero(table.frequencies) + table.first
    assert {-3, 0, 5} <= set(found.tolist())


def test_table_pays_for_itself():
    """A more precise table pays off for more values."""
    rng = np.random.default_rng(0)
    many = rng.normal(scale=20, size=300_000).astype(int)
    costs = []
    for values in (many, many[:300]):
        table, writer = coded(values)
        counts = np.bincount(values - table.first)
        share = table.frequencies[counts > 0] / rans.TOTAL
        exact = counts[counts > 0] / len(values)
        excess = np.sum(counts[counts > 0] * np.log2(exact / share))
        costs.append((len(writer), excess))
    (bits_of_many, excess_of_many), (bits_of_few, excess_of_few) = costs
    assert bits_of_few < bits_of_many < 2000
    assert excess_of_many / len(many) < 0.004
    assert bits_of_few + excess_of_few < 180


@pytest.mark.parametrize(
    "values", [[0, 4096], [2**20 + 1], [-(2**20) - 1]], ids=str
)
def test_values_that_are_too_many_or_too_large_are_refused(values):
    with pytest.raises(ValueError, match=f"Received: {values[0]} to "):
        coded(values)


def test_few_values_have_a_geometric_distribution():
    values = np.random.default_rng(0).laplace(7, 200, 300).astype(int)
    table, writer = coded(values)
    assert len(writer) < 70
    assert np.all(table.frequencies > 0)
    entropy = 300 * np.log2(2 * np.e * 200)
    assert 8 * frequency_tables.cost(values) < 1.05 * entropy


def test_weights_of_a_geometric_distribution_are_those_of_the_format():
    writer = bit_io.Writer()
    writer.write_signed(-1)
    writer.write_gamma(4 - 1)
    writer.write(frequency_tables.GEOMETRIC, frequency_tables.MANTISSA_FIELD)
    writer.write(1, 2)
    # Each weight is less than the last by 5/8.
    writer.write(2, frequency_tables.DECAY_FIELD)
    table = frequency_tables.read(bit_io.Reader(writer.to_bytes()))
    assert table.first == -1
    expected = rans.normalize([3 * 2**25, 2**28, 3 * 2**25, 9 * 2**22])
    assert table.frequencies.tolist() == expected.tolist()


def test_version_1_has_7_bits_of_a_count_in_the_place_of_the_distribution():
    writer = bit_io.Writer()
    writer.write_signed(0)
    writer.write_gamma(2 - 1)
    writer.write(7, frequency_tables.MANTISSA_FIELD)
    writer.write_signed(8)
    writer.write(200 - 128, 7)
    writer.write_signed(-1)
    writer.write(100 - 64, 6)
    table = frequency_tables.read(bit_io.Reader(writer.to_bytes()), False)
    assert table.frequencies.tolist() == rans.normalize([200, 100]).tolist()


def forged_peak(count, peak):
    writer = bit_io.Writer()
    writer.write_signed(0)
    writer.write_gamma(count - 1)
    writer.write(frequency_tables.GEOMETRIC, frequency_tables.MANTISSA_FIELD)
    writer.write(peak, (count - 1).bit_length())
    writer.write(0, frequency_tables.DECAY_FIELD)
    return bit_io.Reader(writer.to_bytes())


def forged(first=0, count=1, lengths=(1,)):
    writer = bit_io.Writer()
    writer.write_signed(first)
    writer.write_gamma(count - 1)
    writer.write(0, frequency_tables.MANTISSA_FIELD)
    before = 0
    for length in lengths:
        writer.write_signed(length - before)
        before = length
    return bit_io.Reader(writer.to_bytes())


@pytest.mark.parametrize(
    ("reader", "error"),
    [
        (forged(first=2**21), "at most 4096 symbols"),
        (forged(count=5000), "at most 4096 symbols"),
        (forged(lengths=[29]), "at most 28 bits"),
        (forged(lengths=[-1]), "at most 28 bits"),
        (forged(count=2, lengths=[0, 0]), "a symbol that occurs"),
        (forged_peak(5, 5), "one of its 5 symbols. Received: 5"),
        (forged_peak(5000, 0), "at most 4096 symbols"),
    ],
)
def test_table_that_asks_for_too_much_is_an_error(reader, error):
    with pytest.raises(ValueError, match=error):
        frequency_tables.read(reader)


def test_costs_are_far_from_being_rounded_either_way():
    """Integer costs are the same with every math library."""
    exact = 1024 * (14 - np.log2(np.arange(1, rans.TOTAL + 1)))
    assert np.abs(exact % 1 - 0.5).min() > 1e-6
