"""Output folders that are written whole or not at all."""

import contextlib
import os
import pathlib
import tempfile


def require_writable(folder, overwrite=False):
    """Raises unless `new_folder` may write to `folder`.

    Raises:
        FileExistsError: if something is in it and `overwrite` is not set.
        NotADirectoryError: if it is a file.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            f"the output should be a folder. Received: {folder}, a file"
        )
    if not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(
            f"the output folder {folder} is not empty, and nothing was "
            "written to it. Name another one, or pass --overwrite to replace "
            "the files of an earlier run."
        )


@contextlib.contextmanager
def new_folder(folder, overwrite=False):
    """Yields a temporary folder, whose content goes to `folder` at the end.

    If an error or Ctrl-C ends the block, the temporary folder is removed, and
    `folder` is as it was. Files in `folder` that have no new version stay.

    Args:
        folder: path of the folder to write.
        overwrite: whether new files may replace older ones of the same name.
            Defaults to `False`.

    Yields:
        `pathlib.Path`, an empty folder beside `folder`.

    Raises:
        FileExistsError: if something is in it and `overwrite` is not set.
    """
    folder = pathlib.Path(folder).absolute()
    require_writable(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
    ) as temporary:
        staged = pathlib.Path(temporary, "new")
        staged.mkdir()
        yield staged
        replaced = pathlib.Path(temporary, "old")
        replaced.mkdir()
        folder.mkdir(exist_ok=True)
        for path in sorted(staged.iterdir()):
            _flush(path)
            target = folder / path.name
            if target.exists():
                # A rename cannot replace a folder that is not empty.
                os.replace(target, replaced / path.name)
            os.replace(path, target)


def content(path):
    """Returns the bytes of a file, or of all the files in a folder."""
    return b"".join(file.read_bytes() for file in _files(path))


def _files(path):
    path = pathlib.Path(path)
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file())


def _flush(path):
    for file in _files(path):
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())
