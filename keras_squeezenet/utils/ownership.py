"""Output folders belong to one run at a time."""

import contextlib
import contextvars
import datetime
import os
import pathlib
import platform
import shlex
import sys
from collections.abc import Iterator

from keras_squeezenet.utils import files
from keras_squeezenet.utils import locks
from keras_squeezenet.utils import staging

LOCK_FILE = f"{staging.PREFIX}lock"

# The folders that this thread owns.
_owned: contextvars.ContextVar[frozenset] = contextvars.ContextVar(
    "_owned", default=frozenset()
)


class InUseError(OSError):
    """Another run owns an output folder."""


@contextlib.contextmanager
def own(folder: str | os.PathLike) -> Iterator[None]:
    """Own an output folder for the block, and make it if necessary.

    Files that killed processes have left there are removed. The owner may own
    the folder again inside the block.

    Raises:
        InUseError: if another process owns it.
        DiskError: if it cannot be written, or its disk is full.
        NotADirectoryError: if it is a file.
    """
    folder = pathlib.Path(os.path.realpath(folder))
    if folder in _owned.get():
        yield
        return
    files.require_no_file(folder)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(staging.made(folder))
            lock = locks.hold(folder / LOCK_FILE, _describe_process())
            stack.enter_context(lock)
            staging.probe(folder)
        except locks.HeldError as error:
            raise InUseError(
                f"{folder} is in use by another run: {error}. Wait for its "
                "end, stop it, or name another folder."
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise staging.DiskError.of(folder, reason) from error
        staging.sweep(folder)
        stack.callback(_owned.reset, _owned.set(_owned.get() | {folder}))
        yield


def _describe_process():
    program, *arguments = sys.argv
    command = shlex.join([os.path.basename(program), *arguments])
    since = datetime.datetime.now().isoformat(" ", "seconds")
    host = platform.node()
    return f"{command}, process {os.getpid()} on {host} since {since}"
