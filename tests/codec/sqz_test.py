import hashlib
import json
import pathlib
import struct
import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import header_text
from keras_squeezenet.codec import sqz
from keras_squeezenet.codec import streams

RNG = np.random.default_rng(0)
ARRAYS = {
    "a/kernel": encodings.CodebookArray(
        RNG.integers(0, 3, (3, 3, 2, 4)), np.array([-1, 0, 0.5], "float32")
    ),
    "a/bias": encodings.PlainArray(np.array([1, -2.5, 0, 1e-3], "float32")),
    "b/kernel": encodings.UniformArray(RNG.integers(-9, 9, (4, 5)), 0.125),
    "b/bias": encodings.UniformArray(np.array([3, -3]), 0.5),
    "c/kernel": encodings.CodebookArray(
        np.array([[1, 0]]), np.array([-7, 7], "float32")
    ),
    "empty": encodings.PlainArray(np.zeros((0, 3), "float32")),
}
HEADER = {"labels": ["cat", "dog"], "provenance": {"seed": 0}}
CONTENT = sqz.dump(HEADER, ARRAYS)
# Written by the release before version 2 of the format.
VERSION_1 = pathlib.Path(__file__).with_name("version_1.sqz").read_bytes()
# `conv1` to `fire4_squeeze1x1` of a network for CIFAR-10.
VERSION_1_LAYERS = pathlib.Path(__file__).with_name("version_1_layers.sqz")
# The bytes that Python and NumPy may allocate for a file of 300 bytes.
PEAK = 8 * 2**20


def test_header_and_arrays_come_back():
    header, received = sqz.load(CONTENT)
    assert header.pop("arrays")[0] == {
        "name": "a/kernel",
        "form": "shared",
        "shape": [3, 3, 2, 4],
        "entries": 3,
    }
    assert header == HEADER
    assert list(received) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert type(received[name]) is type(array)
        np.testing.assert_array_equal(
            received[name].to_array(), array.to_array()
        )


def test_same_arrays_make_the_same_bytes():
    assert sqz.dump(HEADER, ARRAYS) == CONTENT


def test_file_of_version_1_has_the_arrays_that_were_saved():
    header, arrays = sqz.load(VERSION_1)
    assert header["labels"] == ["cat", "dog", "fish"]
    assert list(map(type, arrays.values())) == [
        encodings.UniformArray,
        encodings.UniformArray,
        encodings.CodebookArray,
        encodings.PlainArray,
    ]
    found = {name: array.to_array() for name, array in arrays.items()}
    kernel = (np.arange(12).reshape(1, 1, 3, 4) - 5) * 0.125
    np.testing.assert_array_equal(found["conv1/kernel"], kernel)
    assert found["conv1/bias"].tolist() == [1.5, -1.5, 0, 0.5]
    assert found["head/kernel"].tolist() == [
        [-1, 0, 0.5],
        [0, 0, -1],
        [0.5, 0.5, 0.5],
        [-1, -1, 0],
    ]
    values = np.array([1, -2.5, 1e-3], "float32")
    np.testing.assert_array_equal(found["head/bias"], values)


def test_layers_of_version_1_have_the_weights_that_were_saved():
    content = VERSION_1_LAYERS.read_bytes()
    header, arrays = sqz.load(content)
    assert len(arrays) == 16
    digest = hashlib.sha256()
    for array in arrays.values():
        digest.update(array.to_array().astype("<f4").tobytes())
    assert digest.hexdigest() == (
        "8cb95a6ce350056faa3c17b1b9f6b6b09628501b5f038a60754d579663240563"
    )
    del header["arrays"]
    again = sqz.dump(header, arrays)
    assert len(again) < len(content) - 2000
    for name, array in sqz.load(again)[1].items():
        np.testing.assert_array_equal(array.to_array(), arrays[name].to_array())


def test_released_weights_are_kept_to_the_bit_in_532_kilobytes(net):
    original = {
        f"{layer}/{name}": weight
        for layer, weights in net.items()
        for name, weight in zip(("kernel", "bias"), weights)
    }
    content = sqz.dump(
        {},
        {name: encodings.lossless(weight) for name, weight in original.items()},
    )
    # The .net has 675,763 bytes, and 543,867 after brotli.
    assert len(content) < 533_000
    _, received = sqz.load(content)
    for name, weight in original.items():
        assert received[name].to_array().tobytes() == weight.tobytes()


@pytest.mark.parametrize("content", [VERSION_1, CONTENT], ids=["1", "2"])
def test_file_that_is_cut_off_anywhere_is_refused(content):
    for length in range(len(content)):
        with pytest.raises(ValueError, match="must|incomplete"):
            sqz.load(content[:length])


@pytest.mark.parametrize("content", [VERSION_1, CONTENT], ids=["1", "2"])
def test_every_flipped_bit_is_noticed(content):
    for position in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(ValueError, match="must|checksum"):
            sqz.load(bytes(flipped))


def test_bytes_behind_the_end_are_noticed():
    with pytest.raises(ValueError, match="checksum"):
        sqz.load(CONTENT + b"\0")


def test_newer_version_is_named():
    newer = bytearray(CONTENT)
    newer[len(sqz.MAGIC)] = 3
    with pytest.raises(ValueError, match="from 1 to 2; newer .*Received: 3"):
        sqz.load(bytes(newer))


def seal(body, version=2):
    """A file of any content with a valid checksum."""
    digest = hashlib.sha256(body).digest()[: {1: 16, 2: 8}[version]]
    return sqz.MAGIC + bytes([version]) + digest + body


def forge(header):
    packed = header_text.pack(json.dumps(header).encode())
    length = struct.pack("<I", len(packed))
    return seal(length + packed + streams.encode([]))


def row(**changes):
    return {"name": "a", "form": "plain", "shape": [2], **changes}


FORGED = {
    "empty body": seal(b""),
    "length only": seal(b"\xff\xff\xff\xff"),
    "no deflate": seal(b"\4\0\0\0abcd"),
    "no deflate, version 1": seal(b"\4\0\0\0abcd", version=1),
    "bomb": seal(
        struct.pack("<I", 20_000) + header_text.pack(b" " * 2**24)[:20_000]
    ),
    "no json": seal(struct.pack("<I", 9) + header_text.pack(b"{")),
    "deep json": seal(
        struct.pack("<I", 10**6) + header_text.pack(b"[" * 10**5 + b"]" * 10**5)
    ),
    "list": forge([]),
    "no arrays": forge({}),
    "arrays no list": forge({"arrays": {"a": 1}}),
    "row no dict": forge({"arrays": [3]}),
    "row without shape": forge({"arrays": [{"name": "a", "form": "plain"}]}),
    "unknown form": forge({"arrays": [row(form="other")]}),
    "negative side": forge({"arrays": [row(shape=[-1, 2])]}),
    "side no integer": forge({"arrays": [row(shape=[1.5])]}),
    "shared without entries": forge({"arrays": [row(form="shared")]}),
    "absurd shape": forge({"arrays": [row(shape=[10**9, 10**9])]}),
    "absurd entries": forge(
        {"arrays": [row(form="shared", shape=[1], entries=10**12)]}
    ),
    "too many arrays": forge(
        {"arrays": [row(name=str(n), shape=[0]) for n in range(1025)]}
    ),
    "same name twice": forge({"arrays": [row(shape=[0]), row(shape=[0])]}),
    "more than there is": forge({"arrays": [row(shape=[1000])]}),
}


@pytest.mark.parametrize("name", FORGED)
def test_wrong_content_with_a_right_checksum_is_refused(name, tmp_path):
    path = tmp_path / "forged.sqz"
    path.write_bytes(FORGED[name])
    tracemalloc.start()
    with pytest.raises(ValueError) as error, sqz.explained(path):
        sqz.load(path.read_bytes())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < PEAK
    message = str(error.value)
    assert message.startswith(f"{path} cannot be read as a .sqz file: ")
    assert len(message) < len(str(path)) + 400


def test_code_beyond_its_codebook_is_refused():
    wrong = encodings.CodebookArray(
        np.array([0, 2, 1]), np.array([1, 2], "float32")
    )
    with pytest.raises(ValueError, match="'x' must have codes from 0 to 1"):
        sqz.load(sqz.dump({}, {"x": wrong}))


@hypothesis.settings(
    max_examples=400, deadline=5000, derandomize=True, database=None
)
@hypothesis.given(st.data())
def test_damage_with_a_right_checksum_is_an_error_or_arrays(data):
    version = data.draw(st.sampled_from([1, 2]))
    body = bytearray({1: VERSION_1[25:], 2: CONTENT[17:]}[version])
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(body) - 1))
        body[position] = data.draw(st.integers(0, 255))
    tracemalloc.start()
    try:
        _, found = sqz.load(seal(bytes(body), version))
        assert all(
            array.to_array().dtype == "float32" for array in found.values()
        )
    except ValueError:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < PEAK


def test_missing_file_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        sqz.read_bytes(tmp_path / "none.sqz")


def test_file_that_is_too_large_is_refused(tmp_path):
    path = tmp_path / "large.sqz"
    with open(path, "wb") as file:
        file.truncate(sqz.MAX_BYTES + 1)
    with pytest.raises(ValueError, match="at most 67,108,864 bytes"):
        sqz.read_bytes(path)


def test_more_than_a_file_can_have_is_not_written():
    many = {str(n): encodings.PlainArray(np.zeros(0)) for n in range(1025)}
    with pytest.raises(ValueError, match="at most 1024 arrays"):
        sqz.dump({}, many)
    with pytest.raises(ValueError, match="the header must have at most"):
        sqz.dump({"labels": ["x" * 2**20]}, {})
