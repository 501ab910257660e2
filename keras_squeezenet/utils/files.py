"""Output files and folders, written whole or not at all."""

import contextlib
import csv
import fnmatch
import json
import os
import pathlib
import shutil
import stat
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

from keras_squeezenet.utils import staging
from keras_squeezenet.utils import strict_json

# The largest text that is read, in bytes.
MAX_TEXT_BYTES = 2**24


def require_writable(
    folder: str | os.PathLike,
    overwrite: bool = False,
    ignored: Iterable[str] = (),
) -> None:
    """Raise unless `new_folder` may write to `folder`.

    A `FileExistsError` is raised if it has files and `overwrite` is not set,
    unless their names match one of the `ignored` patterns, and a
    `NotADirectoryError` if it is itself a file.
    """
    folder = pathlib.Path(folder)
    require_no_file(folder)
    names = os.listdir(folder) if folder.is_dir() else []
    ignored = (f"{staging.PREFIX}*", *ignored)
    if not overwrite and any(not matches(name, ignored) for name in names):
        raise FileExistsError(
            f"the output folder {folder} is not empty, and nothing was "
            "written to it. Name another one, or pass --overwrite to replace "
            "the files of an earlier run."
        )


def require_no_file(folder: pathlib.Path) -> None:
    """Raise a `NotADirectoryError` if an output folder is a file."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            f"the output must be a folder. Received: {folder}, a file"
        )


def require_resumable(
    folder: str | os.PathLike,
    file: str,
    overwrite: bool = False,
    resume: bool = False,
    ignored: Iterable[str] = (),
) -> None:
    """Raise unless a run may start in `folder` or be resumed there.

    It is resumed from the checkpoint `file` in the folder, if there is one.
    What is raised and the other arguments are those of `require_writable`.
    """
    is_begun = (pathlib.Path(folder) / file).exists()
    if is_begun and resume:
        return
    if is_begun and not overwrite:
        raise FileExistsError(
            f"{folder} has a checkpoint: pass --resume (resume=True) to "
            "continue its run, or --overwrite to start again."
        )
    require_writable(folder, overwrite, ignored)


def sweep(folder: str | os.PathLike, patterns: Iterable[str]) -> None:
    """Remove the files and folders in a folder that match a pattern.

    The folder need not exist.
    """
    folder = pathlib.Path(folder)
    for name in os.listdir(folder) if folder.is_dir() else ():
        path = folder / name
        if matches(name, patterns):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name matches a pattern such as `*.part`."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


@contextlib.contextmanager
def new_file(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield a temporary path, whose file is moved to `path` at the end.

    The temporary path has the same name, in a folder beside `path`. If an error
    or Ctrl-C ends the block, `path` is unchanged. Several processes may write
    it at the same time: the last one wins.

    Raises:
        FileNotFoundError: if the block has not written the file.
        DiskError: if the disk is the reason for an error of the block.
    """
    path = pathlib.Path(path).absolute()
    with staging.stage(path.parent, path) as folder:
        temporary = folder / path.name
        yield temporary
        if not temporary.exists():
            raise FileNotFoundError(f"nothing was written for {path}")
        staging.flush(temporary)
        os.replace(temporary, path)


def read_text(path: str | os.PathLike, max_bytes: int | None = None) -> str:
    """Return the text of a file in UTF-8, perhaps with a byte order mark.

    Raises:
        OSError: if it cannot be read, or is not a file.
        ValueError: if it is not in UTF-8, or has more than `max_bytes`, by
            default `MAX_TEXT_BYTES`.
    """
    max_bytes = max_bytes or MAX_TEXT_BYTES
    require_regular(path)
    with open(path, "rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(
            f"{path} must have at most {max_bytes:,} bytes. Received: "
            f"{os.path.getsize(path):,} bytes"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} must be a text in UTF-8. Received: {error}"
        ) from error


def read_json(path: str | os.PathLike) -> Any:
    """Return the content of a JSON file; see `read_text`."""
    text = read_text(path)
    with as_value_error(f"{path} cannot be read"):
        return json.loads(text, object_pairs_hook=strict_json.unique)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with new_file(path) as temporary:
        text = json.dumps(value, indent=2)
        temporary.write_text(f"{text}\n", encoding="utf-8")


def write_csv(path: str | os.PathLike, rows: list[dict]) -> None:
    """Write a CSV file with a header, whole or not at all.

    There is at least one row, and all have the same keys; lists and dicts in
    them are written as JSON.
    """
    with (
        new_file(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(
            {
                key: json.dumps(value)
                if isinstance(value, dict | list)
                else value
                for key, value in row.items()
            }
            for row in rows
        )


@contextlib.contextmanager
def new_folder(
    folder: str | os.PathLike,
    overwrite: bool = False,
    ignored: Iterable[str] = (),
    outdated: Iterable[str] = (),
) -> Iterator[pathlib.Path]:
    """Yield a temporary folder, whose content is moved to `folder` at the end.

    If an error or Ctrl-C ends the block or the move, `folder` is unchanged. If
    the process is killed, the next one that writes there restores the folder.
    Files in it that have no new version stay, but for those with `outdated`
    names, of an earlier run. The other arguments, and the errors before the
    block, are those of `require_writable`.

    Raises:
        DiskError: if the disk is the reason for an error of the block.
    """
    # A link may lead to a folder that does not exist yet.
    folder = pathlib.Path(os.path.realpath(folder))
    require_writable(folder, overwrite, ignored)
    with staging.made(folder):
        staging.sweep(folder)
        with staging.stage(folder, folder) as temporary:
            new = temporary / staging.NEW
            new.mkdir()
            yield new
            staging.replace(folder, temporary, outdated)


def require_regular(path: str | bytes | os.PathLike) -> None:
    """Raise an `OSError` unless `path` is a file.

    Opening a pipe or a device could wait forever.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise OSError(f"{os.fsdecode(path)} must be a file. Received: {kind}")


@contextlib.contextmanager
def as_value_error(message: str) -> Iterator[None]:
    """Raise any exception of the block as a `ValueError` with this message.

    Libraries have many exceptions for damaged files. A `MemoryError` is not
    changed.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{message}: {error}") from error


def content(path: str | os.PathLike) -> bytes:
    """Return the bytes of a file, or of all the files in a folder."""
    found = staging.files_in(pathlib.Path(path))
    return b"".join(file.read_bytes() for file in found)
