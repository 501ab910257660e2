"""Read files and zip archives of bounded size."""

import io
import os
import zipfile

from keras_squeezenet.utils import files

# The paper's largest network, of 6,279,016 parameters, takes 24 MiB.
MAX_BYTES = 64 * 2**20
# The signature of a member in the directory of a zip archive.
MEMBER = b"PK\1\2"
MAX_MEMBERS = 10_000


def require_size(size: int, name: str) -> None:
    """Raise a `ValueError` for more than `MAX_BYTES` bytes."""
    if size > MAX_BYTES:
        raise ValueError(
            f"{name} must have at most {MAX_BYTES:,} bytes. "
            f"Received: {size:,} bytes"
        )


def read_file(path: "str | os.PathLike") -> bytes:
    """Return the content of a file of at most `MAX_BYTES` bytes."""
    files.require_regular(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        require_size(size, f"The file {path}")
        return file.read(size)


def open_zip(content: bytes) -> zipfile.ZipFile:
    """Open a zip archive whose members have at most `MAX_BYTES` together.

    Reading a member never returns more bytes than the archive declares.
    """
    # Count the members first, because each becomes an object in memory.
    if content.count(MEMBER) > MAX_MEMBERS:
        raise ValueError(f"it must have at most {MAX_MEMBERS:,} members")
    opened = _Zip(io.BytesIO(content))
    names = opened.namelist()
    if len(set(names)) < len(names):
        raise ValueError("its members must have different names")
    require_size(
        sum(member.file_size for member in opened.infolist()),
        "the members of the archive",
    )
    return opened


class _Zip(zipfile.ZipFile):
    """A zip archive that unpacks no more than its directory declares."""

    def read(self, name, pwd=None):
        member = self.getinfo(name)
        # With other methods, `zipfile` unpacks all before it checks the size.
        if member.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise ValueError(f"{name} must be stored or deflated")
        with self.open(member) as file:
            return file.read(member.file_size)
