"""Output files and folders that are written whole or not at all."""

import contextlib
import csv
import fnmatch
import json
import os
import pathlib
import shutil
import signal
import tempfile
import threading
import uuid


def require_writable(folder, overwrite=False, ignored=()):
    """Raises unless `new_folder` may write to `folder`.

    Args:
        folder: path of the folder.
        overwrite: whether something may be in it. Defaults to `False`.
        ignored: patterns of names that may be in it all the same. Defaults
            to none.

    Raises:
        FileExistsError: if something is in it and `overwrite` is not set.
        NotADirectoryError: if it is a file.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            f"the output should be a folder. Received: {folder}, a file"
        )
    names = os.listdir(folder) if folder.is_dir() else []
    if not overwrite and any(not _matches(name, ignored) for name in names):
        raise FileExistsError(
            f"the output folder {folder} is not empty, and nothing was "
            "written to it. Name another one, or pass --overwrite to replace "
            "the files of an earlier run."
        )


def require_resumable(folder, file, overwrite=False, resume=False, ignored=()):
    """Raises unless long work may begin in `folder`, or go on there.

    Args:
        folder: path of the folder.
        file: name of the file in it that such work goes on from.
        overwrite: whether to begin anew. Defaults to `False`.
        resume: whether to go on, if there is such a file. Defaults to
            `False`.
        ignored: as `require_writable` takes it.

    Raises:
        FileExistsError: if something is in it.
        NotADirectoryError: if it is a file.
    """
    is_begun = (pathlib.Path(folder) / file).exists()
    if is_begun and resume:
        return
    if is_begun and not overwrite:
        raise FileExistsError(
            f"{folder} has a run of this kind: pass --resume (resume=True) to "
            "go on with it, or --overwrite to begin anew."
        )
    require_writable(folder, overwrite, ignored)


def sweep(folder, patterns):
    """Removes the files and folders in a folder that match a pattern.

    Args:
        folder: path; it need not exist.
        patterns: patterns of names.
    """
    folder = pathlib.Path(folder)
    for name in os.listdir(folder) if folder.is_dir() else ():
        path = folder / name
        if _matches(name, patterns):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


@contextlib.contextmanager
def new_file(path):
    """Yields a temporary path, whose file goes to `path` at the end.

    If an error or Ctrl-C ends the block, `path` is as it was. Several
    processes may write the same one at once: the last one's stays.

    Args:
        path: path of the file to write.

    Yields:
        `pathlib.Path` of the same suffixes, in the same folder.

    Raises:
        FileNotFoundError: if the block has written nothing to it.
    """
    path = pathlib.Path(path).absolute()
    temporary = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield temporary
        if not temporary.exists():
            raise FileNotFoundError(f"nothing was written for {path}")
        _flush(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path, value):
    """Writes a value as JSON, to a file that is new or replaced whole.

    Args:
        path: path of the file.
        value: what `json` takes.
    """
    with new_file(path) as temporary:
        text = json.dumps(value, indent=2)
        temporary.write_text(f"{text}\n", encoding="utf-8")


def write_csv(path, rows):
    """Does the same with rows as CSV, their names in the first line.

    Args:
        path: path of the file.
        rows: list of dicts of the same keys, at least one; lists and dicts in
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
def new_folder(folder, overwrite=False, ignored=()):
    """Yields a temporary folder, whose content goes to `folder` at the end.

    If an error or Ctrl-C ends the block, or the move at its end, `folder` is
    as it was. Files in it that have no new version stay.

    Args:
        folder: path of the folder to write.
        overwrite: whether new files may replace older ones of the same name.
            Defaults to `False`.
        ignored: patterns of names that may be in it all the same. Defaults
            to none.

    Yields:
        `pathlib.Path`, an empty folder.

    Raises:
        FileExistsError: if something is in it and `overwrite` is not set.
    """
    folder = pathlib.Path(folder).absolute()
    require_writable(folder, overwrite, ignored)
    made = _make_folders(folder)
    # Within the folder, which may be another disk than its parent.
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=".new.", dir=folder))
    try:
        staged = temporary / "new"
        staged.mkdir()
        yield staged
        _replace(folder, staged, temporary / "old")
        made = []
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        for empty in made:
            empty.rmdir()


def _make_folders(folder):
    """Makes a folder and its parents; returns the new ones, deepest first."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return made


def _replace(folder, staged, replaced):
    """Moves what is staged to a folder: all of it, or nothing."""
    replaced.mkdir()
    names = sorted(path.name for path in staged.iterdir())
    for name in names:
        _flush(staged / name)
    try:
        for name in names:
            if (folder / name).exists():
                # A rename cannot replace a folder that is not empty.
                os.replace(folder / name, replaced / name)
            os.replace(staged / name, folder / name)
    except BaseException:
        for name in names:
            if not (staged / name).exists():
                os.replace(folder / name, staged / name)
            if (replaced / name).exists():
                os.replace(replaced / name, folder / name)
        raise


@contextlib.contextmanager
def uninterrupted():
    """Has a Ctrl-C wait for the end of the block, which should be short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received = []
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        # Ctrl-C is ignored, or not Python's affair.
        yield
        return
    signal.signal(signal.SIGINT, lambda *arguments: received.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if received:
            before(*received[-1])


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
