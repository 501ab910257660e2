import re

import pytest

from keras_squeezenet.pretrained import readers
from keras_squeezenet.utils import archive

SUFFIXES = list(readers.FORMATS)


@pytest.mark.parametrize(
    "name, title",
    [
        ("model.weights.h5", "Keras weights"),
        ("squeezenet_notop.h5", "legacy Keras weights"),
        ("v1.1.npz", "a NumPy archive"),
        ("compressed_SqueezeNet.net", "Deep Compression's SqueezeNet v1.0"),
    ],
)
def test_suffix_may_be_longer_than_the_last_dot(name, title, tmp_path):
    assert readers.get_format(name).title == title
    assert readers.get_format(tmp_path / name).title == title


@pytest.mark.parametrize("name", ["weights", "weights.zip", "weights.NPZ"])
def test_unknown_suffix_is_refused(name, tmp_path):
    path = tmp_path / name
    path.touch()
    message = (
        "The weights file must end with one of .weights.h5, .keras, .sqz, .h5, "
        f".npz, .caffemodel, .net, .pth, .pt. Received: weights={path}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        readers.read(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_file_is_an_os_error(suffix, tmp_path):
    with pytest.raises(FileNotFoundError):
        readers.read(tmp_path / f"absent{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"\0", b"weights\n" * 100])
def test_damaged_file_is_named_in_the_error(suffix, content, tmp_path):
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(content)
    title = readers.FORMATS[suffix].title
    message = f"{path} cannot be read as {title}: "
    with pytest.raises(ValueError, match=re.escape(message)):
        readers.read(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_larger_file_than_any_network_is_refused_unread(suffix, tmp_path):
    path = tmp_path / f"large{suffix}"
    with open(path, "wb") as file:
        file.truncate(archive.MAX_BYTES + 1)
    message = f"The file {path} must have at most 67,108,864 bytes"
    with pytest.raises(ValueError, match=re.escape(message)):
        readers.read(path)


def test_error_tells_what_the_parser_said(tmp_path, monkeypatch):
    def read(content):
        raise KeyError("vars")

    path = tmp_path / "weights.net"
    path.touch()
    monkeypatch.setitem(
        readers.FORMATS, ".net", readers.Format("a test", read, "caffe")
    )
    message = (
        f"{path} cannot be read as a test: it is damaged (KeyError 'vars')"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        readers.read(path)
