import hashlib
import zlib

import pytest

from keras_squeezenet.codec import header_text


@pytest.mark.parametrize("text", [b"", b"{}", b"x" * 2**20], ids=len)
def test_text_comes_back(text):
    assert header_text.unpack(header_text.pack(text)) == text


def test_dictionary_is_that_of_version_2():
    """A change of it would make every file unreadable."""
    assert hashlib.sha256(header_text.dictionary()).hexdigest() == (
        "ab44ca2b2714ce9d0b079e8bfaf7f53ec46e889fd22ea2b55cceb767af888b12"
    )


def test_text_of_the_dictionary_takes_few_bytes():
    text = header_text.dictionary()[-5000:]
    assert len(header_text.pack(text)) < 60


@pytest.mark.parametrize(
    ("unpack", "pack"),
    [
        (header_text.unpack, header_text.pack),
        (header_text.unpack_version_1, zlib.compress),
    ],
    ids=["2", "1"],
)
def test_damaged_text_is_an_error(unpack, pack):
    whole = pack(b"a text of 22 characters")
    for damaged in (b"", whole[:-1], b"\xff" * 9, pack(b" " * (2**20 + 1))):
        with pytest.raises(ValueError, match="incomplete|must be complete"):
            unpack(damaged)
