"""SHA-256 digests beside files whose format has no checksum.

They are in the report of `compress`, in the manifest of `export`, or, for a
single file, in a `.sha256` file for `sha256sum --check`.
"""

import contextlib
import hashlib
import os
import pathlib

from keras_squeezenet.utils import files

LISTS = ("report.json", "export.json")
SUFFIX = ".sha256"
# The formats without a checksum.
CHECKED = (".h5", ".npz", ".onnx", ".tflite")


def of(content: bytes) -> str:
    """Return the SHA-256 digest of a content in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def forget(path: str | os.PathLike) -> None:
    """Remove the digest beside a file, before the file changes."""
    _beside(path).unlink(missing_ok=True)


def write(path: str | os.PathLike) -> None:
    """Write the digest of a file beside it."""
    path = pathlib.Path(path)
    with files.new_file(_beside(path)) as temporary:
        line = f"{of(path.read_bytes())}  {path.name}\n"
        temporary.write_text(line, encoding="utf-8")


def require(path: str | os.PathLike, content: bytes) -> None:
    """Raise a `ValueError` if the digest beside a file is not its content's.

    Nothing is checked without a digest, or if the format has a checksum.
    """
    path = pathlib.Path(path)
    for file, expected in _described(path) if path.suffix in CHECKED else ():
        if expected != (received := of(content)):
            raise ValueError(
                f"{path} differs from the one that {file} describes: its "
                f"SHA-256 digest must be {expected}. Received: {received}. "
                "Copy or write it again; if it was changed on purpose, move "
                "it to another folder"
            )


def _beside(path):
    path = pathlib.Path(path)
    return path.with_name(path.name + SUFFIX)


def _described(path):
    """Yield each file beside `path` with a digest of it, and the digest."""
    for file in LISTS:
        # Files of other programs may have these names.
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            for row in files.read_json(path.with_name(file))["files"]:
                if row["name"] == path.name:
                    yield file, row["sha256"]
    with contextlib.suppress(OSError, ValueError):
        digest, _, name = files.read_text(_beside(path)).partition("  ")
        if name.strip() == path.name:
            yield _beside(path).name, digest
