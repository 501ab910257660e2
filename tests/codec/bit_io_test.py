import pytest

from keras_squeezenet.codec import bit_io


def test_numbers_come_back_in_their_order():
    writer = bit_io.Writer()
    writer.write(5, 3)
    writer.write(0, 0)
    for value in (0, 1, 2, 3, 1000, 2**31):
        writer.write_gamma(value)
    for value in (0, 1, -1, 2, -2, -12345):
        writer.write_signed(value)
    reader = bit_io.Reader(writer.to_bytes())
    assert reader.read(3) == 5
    assert reader.read(0) == 0
    assert [reader.read_gamma() for _ in range(6)] == [0, 1, 2, 3, 1000, 2**31]
    assert [reader.read_signed() for _ in range(6)] == [0, 1, -1, 2, -2, -12345]
    reader.require_end()


def test_elias_gamma_is_the_standard_one():
    writer = bit_io.Writer()
    for value in range(4):  # Written as 1, 2, 3, 4.
        writer.write_gamma(value)
    assert len(writer) == 1 + 3 + 3 + 5
    assert writer.to_bytes() == bytes([0b10100110, 0b01000000])


@pytest.mark.parametrize("read", ["read_gamma", "read_signed"])
@pytest.mark.parametrize("content", [b"", b"\0", b"\0" * 20])
def test_number_that_does_not_end_is_an_error(content, read):
    with pytest.raises(ValueError, match="are cut off|at most 33 bits"):
        getattr(bit_io.Reader(content), read)()


@pytest.mark.parametrize("content", [b"\x80\1", b"\x81", b"\x80\0"])
def test_bits_that_are_left_are_an_error(content):
    reader = bit_io.Reader(content)
    reader.read(1)
    with pytest.raises(ValueError, match="must end with their last symbol"):
        reader.require_end()
