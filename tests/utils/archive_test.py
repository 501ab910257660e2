import io
import struct
import time
import tracemalloc
import zipfile

import pytest
from contents import zip_archive

from keras_squeezenet.pretrained import readers
from keras_squeezenet.utils import archive

MIB = 2**20
LIMIT = 64 * MIB
SUFFIXES = [".npz", ".keras", ".pth"]


def patch_directory(content, offset, value):
    """Overwrites a number in the directory's entry of the last member."""
    entry = content.rindex(b"PK\1\2")
    patched = bytearray(content)
    struct.pack_into("<I", patched, entry + offset, value)
    return bytes(patched)


@pytest.fixture
def peak():
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read(method):
    content = zip_archive({"empty": b"", "a/b": b"12" * 5000}, method)
    with archive.open_zip(content) as opened:
        assert opened.read("empty") == b""
        assert opened.read("a/b") == b"12" * 5000


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_without_a_bound_are_refused(method):
    with archive.open_zip(zip_archive({"a": b"1" * 100}, method)) as opened:
        with pytest.raises(ValueError, match="a must be stored or deflated"):
            opened.read("a")


def test_members_of_more_than_the_limit_in_all_are_refused():
    content = zip_archive({"a": bytes(LIMIT // 2), "b": bytes(LIMIT // 2)})
    with archive.open_zip(content) as opened:
        assert len(opened.namelist()) == 2
    content = zip_archive({"a": bytes(LIMIT // 2), "b": bytes(LIMIT // 2 + 1)})
    message = r"Received: 67,108,865 bytes"
    with pytest.raises(ValueError, match=message):
        archive.open_zip(content)


def test_member_that_declares_less_than_it_unpacks_to_takes_no_memory(peak):
    content = patch_directory(zip_archive({"a": bytes(LIMIT)}), 24, 1000)
    tracemalloc.reset_peak()
    with archive.open_zip(content) as opened:
        with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
            opened.read("a")
    assert peak() < 2 * MIB


def test_changed_member_is_refused():
    content = zip_archive({"a": b"weights"}, zipfile.ZIP_STORED)
    content = content.replace(b"weights", b"Weights")
    with archive.open_zip(content) as opened:
        with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
            opened.read("a")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_the_same_name_are_refused():
    file = io.BytesIO(zip_archive({"a": b"1"}))
    with zipfile.ZipFile(file, "a") as opened:
        opened.writestr("a", b"2")
    with pytest.raises(ValueError, match="must have different names"):
        archive.open_zip(file.getvalue())


def test_directory_of_a_million_members_is_refused_at_once(peak):
    start = time.process_time()
    with pytest.raises(ValueError, match="at most 10,000 members"):
        archive.open_zip(b"PK\1\2" * 10_001)
    assert peak() < MIB
    assert time.process_time() - start < 1


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\3\4" + bytes(100), b"no archive"]
)
def test_other_content_is_refused(suffix, content, tmp_path):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as"):
        readers.read(path)


@pytest.mark.parametrize(
    "suffix, member",
    [
        (".npz", "conv1/kernel.npy"),
        (".keras", "model.weights.h5"),
        (".pth", "squeezenet/data.pkl"),
    ],
)
def test_encrypted_archive_is_refused(suffix, member, tmp_path):
    path = tmp_path / f"weights{suffix}"
    content = bytearray(zip_archive({member: b"secret"}, zipfile.ZIP_STORED))
    for start, offset in ((0, 6), (content.rindex(b"PK\1\2"), 8)):
        content[start + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as .* encrypted"):
        readers.read(path)


def test_file_of_the_limit_is_read_and_a_larger_one_is_not(tmp_path):
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(LIMIT)
    assert len(archive.read_file(path)) == LIMIT
    with open(path, "ab") as file:
        file.truncate(LIMIT + 1)
    message = (
        rf"{path} must have at most 67,108,864 bytes\. "
        r"Received: 67,108,865 bytes"
    )
    with pytest.raises(ValueError, match=message):
        archive.read_file(path)
