import pytest

from keras_squeezenet.evaluation import latency_tables


def test_tables_are_linear_between_and_beyond_their_channels():
    table = latency_tables.Table((8, 16), (16, 32), ((1.0, 2.0), (3.0, 8.0)))
    assert table.at(8, 16) == 1
    assert table.at(12, 24) == pytest.approx(3.5)
    assert table.at(16, 48) == pytest.approx(13)
    assert table.at(24, 16) == pytest.approx(5)
    assert table.at(1, 1) == 1
    alone = latency_tables.Table((3,), (16, 32), ((1.0, 2.0),))
    assert alone.at(8, 24) == pytest.approx(1.5)
