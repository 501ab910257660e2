"""Lock files, which a crash does not leave locked."""

import contextlib
import errno
import os
import pathlib
import stat
import sys
from collections.abc import Iterator

from keras_squeezenet.utils import signals

# Errors of network file systems without locks.
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
# Windows has no O_NOFOLLOW.
FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


class HeldError(OSError):
    """Another process or thread holds a lock. The message is its note."""


@contextlib.contextmanager
def hold(path: pathlib.Path, note: str = "") -> Iterator[bool]:
    """Hold a lock file for the block, with a note about the holder.

    Yields:
        Whether it is locked, which some file systems do not support.

    Raises:
        HeldError: if it is held already.
        OSError: if it is not a file, or cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with signals.uninterrupted():
            descriptor, is_locked = _open(path)
            stack.callback(_remove, path, descriptor)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, note.encode(errors="surrogateescape"))
        yield is_locked


def _open(path):
    while True:
        _require_own_file(path)
        descriptor = os.open(path, FLAGS, 0o666)
        try:
            is_locked = _lock(descriptor)
            # The last holder may have removed the file in between.
            if _is_there(path, descriptor):
                return descriptor, is_locked
        except (BlockingIOError, PermissionError) as error:
            note = os.read(descriptor, 2**16).decode(errors="replace")
            os.close(descriptor)
            raise HeldError(note) from error
        os.close(descriptor)


def _require_own_file(path):
    # The file is emptied: a link to another must not be followed.
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        reason = f"{path.name} must be a file, not a link or a folder"
        raise OSError(errno.EINVAL, reason)


def _lock(descriptor):
    try:
        if sys.platform == "win32":
            import msvcrt

            # No process can read a locked byte, so it is behind the note.
            os.lseek(descriptor, 2**30, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return True


def _is_there(path, descriptor):
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    return False


def _remove(path, descriptor):
    # Windows does not remove an open file: it stays there, unlocked.
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(descriptor)
