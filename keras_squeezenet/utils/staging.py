"""Temporary folders beside an output, which a crash may leave.

Each is in the folder of the output, so that it is on the same disk, and is
locked while its process lives. The next process that writes the same output
removes those that are not locked.
"""

import contextlib
import errno
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable
from collections.abc import Iterator

from keras_squeezenet.utils import locks
from keras_squeezenet.utils import signals

# The prefix of files and folders that are not an output.
PREFIX = ".keras_squeezenet."
LOCK_FILE = "lock"
# The staged files, a list of their names, and the old files that they replace.
# `OLD` exists while they are being moved.
NEW, NAMES, OLD = "new", "names.json", "old"
REPLACED = "replaced"
# The reasons for which a disk does not take a file.
REASONS = [
    os.strerror(getattr(errno, name))
    for name in (
        *("EACCES", "EDQUOT", "EFBIG", "EIO", "ENOENT", "ENOSPC", "ENOTDIR"),
        *("EPERM", "EROFS"),
    )
    if hasattr(errno, name)
]
PROBE_BYTES = 2**20


class DiskError(OSError):
    """An output cannot be written."""

    @classmethod
    def of(cls, path: pathlib.Path, reason: str) -> "DiskError":
        """Return the error for an output, with the reason of the system."""
        return cls(
            f"{path} cannot be written: {reason}. Correct that, or "
            "write to another place."
        )


@contextlib.contextmanager
def stage(folder: pathlib.Path, target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield a temporary folder for `target`, in `folder`.

    Raises:
        DiskError: if the disk is the reason for an error of the block.
    """
    try:
        sweep(folder, f".{target.name}")
        with contextlib.ExitStack() as stack:
            with signals.uninterrupted():
                staging = _make(folder, target.name, stack)
            yield staging
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise DiskError.of(target, reason) from error


def _make(folder, name, stack):
    while True:
        staging = tempfile.mkdtemp(f".{name}", PREFIX, folder)
        staging = pathlib.Path(staging)
        # Another process may remove it before it is locked.
        with contextlib.suppress(locks.HeldError, FileNotFoundError):
            lock = locks.hold(staging / LOCK_FILE)
            stack.callback(_remove, staging)
            stack.enter_context(lock)
            return staging


def _remove(staging):
    # Old files that could not be moved back are kept for the next process.
    if not (staging / OLD).exists():
        with signals.uninterrupted():
            shutil.rmtree(staging, ignore_errors=True)


def sweep(folder: pathlib.Path, suffix: str = "") -> None:
    """Remove the files that killed processes left for one output, or for all.

    If the replacement of an output was interrupted, the old one is moved back.
    """
    for name in os.listdir(folder) if folder.is_dir() else ():
        if not (name.startswith(PREFIX) and name.endswith(suffix)):
            continue
        path = folder / name
        lock_file = path / LOCK_FILE if path.is_dir() else path
        # Folders that are locked, or belong to another user, stay.
        with contextlib.suppress(OSError):
            with locks.hold(lock_file) as is_locked:
                if is_locked:
                    _recover(folder, path)
            if is_locked:
                _remove(path)


def replace(
    folder: pathlib.Path, staging: pathlib.Path, outdated: Iterable[str] = ()
) -> None:
    """Move the staged files to a folder, all of them or none.

    Those with `outdated` names leave it, whether there are new ones or not.
    """
    new, old = staging / NEW, staging / OLD
    names = sorted(os.listdir(new))
    (staging / NAMES).write_text(json.dumps(names), encoding="utf-8")
    flush(staging)
    old.mkdir()
    try:
        # What is outdated goes first: without new files the move is complete.
        for name in (*sorted({*outdated}.difference(names)), *names):
            if os.path.lexists(folder / name):
                # A rename cannot replace a folder that is not empty.
                os.replace(folder / name, old / name)
            if os.path.lexists(new / name):
                os.replace(new / name, folder / name)
        old.rename(staging / REPLACED)
    except BaseException:
        with signals.uninterrupted():
            _restore(folder, staging)
        raise


def _recover(folder, staging):
    if (staging / OLD).exists():
        if os.listdir(staging / NEW):
            _restore(folder, staging)
        else:
            (staging / OLD).rename(staging / REPLACED)


def _restore(folder, staging):
    """Undo `replace`, wherever it was interrupted."""
    new, old = staging / NEW, staging / OLD
    for name in json.loads((staging / NAMES).read_text(encoding="utf-8")):
        is_moved = not os.path.lexists(new / name)
        if is_moved and os.path.lexists(folder / name):
            os.replace(folder / name, new / name)
    for name in os.listdir(old):
        os.replace(old / name, folder / name)
    old.rmdir()


@contextlib.contextmanager
def made(folder: pathlib.Path) -> Iterator[None]:
    """Make a folder for the block, and remove it at the end if it is empty."""
    # The deepest folder is first.
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        with contextlib.suppress(OSError):
            for path in missing:
                path.rmdir()


def flush(path: pathlib.Path) -> None:
    """Wait until a file, or all files of a folder, are on the disk."""
    for file in files_in(path):
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())


def files_in(path: pathlib.Path) -> list[pathlib.Path]:
    """Return a file, or all the files of a folder in order."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file())


def require_space(folder: pathlib.Path) -> None:
    """Raise a `DiskError` unless a folder, perhaps a new one, takes files."""
    try:
        with made(folder):
            probe(folder)
    except OSError as error:
        raise DiskError.of(folder, error.strerror or str(error)) from error


def probe(folder: pathlib.Path) -> None:
    """Raise an `OSError` unless a folder takes a file of `PROBE_BYTES`."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(PROBE_BYTES))
        file.flush()
        os.fsync(file.fileno())


def _reason(error):
    """Return why the disk does not take an output; `None` for other errors."""
    text = str(error)
    has_name = isinstance(error, OSError) and error.filename is not None
    if PREFIX in text or isinstance(error, OSError) and not has_name:
        return next((reason for reason in REASONS if reason in text), None)
    return None
