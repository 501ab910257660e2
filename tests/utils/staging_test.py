import errno
import itertools
import os
import pathlib
import pickle
import shutil

import pytest
from contents import write

from keras_squeezenet.utils import files
from keras_squeezenet.utils import ownership
from keras_squeezenet.utils import staging

OUTDATED = ("e.txt", "none.txt")
OLD = {
    **{"a.txt": "old", "b/c.txt": "old", "e.txt": "old"},
    "mine.txt": "mine",
}
NEW = {"a.txt": "new", "b/c.txt": "new", "d.txt": "new"}
BOTH = {"mine.txt": "mine", **NEW}


def read(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def moments(tmp_path, monkeypatch):
    """Copies of `out` at each moment at which a kill may matter."""
    copies, numbers = [], itertools.count()
    write(tmp_path / "out", OLD)

    def watch(function):
        def watched(*arguments, **options):
            copy = tmp_path / f"copy{next(numbers)}"
            shutil.copytree(tmp_path / "out", copy)
            copies.append(copy)
            return function(*arguments, **options)

        return watched

    for module, name in (
        (os, "replace"),
        (os, "fsync"),
        (pathlib.Path, "mkdir"),
        (pathlib.Path, "rename"),
        (pathlib.Path, "rmdir"),
        (shutil, "rmtree"),
    ):
        monkeypatch.setattr(module, name, watch(getattr(module, name)))
    return copies


def recover(folder):
    """Return what the next process finds."""
    with ownership.own(folder):
        pass
    return read(folder)


def test_kill_at_any_moment_leaves_the_old_files_or_the_new(
    tmp_path, moments, monkeypatch
):
    with files.new_folder(
        tmp_path / "out", overwrite=True, outdated=OUTDATED
    ) as folder:
        write(folder, NEW)
    monkeypatch.undo()
    found = [recover(copy) for copy in moments]
    switched = found.index(BOTH)
    assert found == [OLD] * switched + [BOTH] * (len(found) - switched)
    assert switched > 8


@pytest.mark.parametrize("name", NEW)
def test_kill_while_a_failed_move_is_undone_leaves_the_old_files(
    name, tmp_path, moments, monkeypatch
):
    replace = os.replace
    name = pathlib.PurePath(name).parts[0]

    def fail(source, target):
        if pathlib.Path(source).parts[-2:] == (staging.NEW, name):
            moments.clear()
            raise OSError("a bad block")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="a bad block"):
        with files.new_folder(
            tmp_path / "out", overwrite=True, outdated=OUTDATED
        ) as folder:
            write(folder, NEW)
    monkeypatch.undo()
    assert moments
    assert all(recover(copy) == OLD for copy in moments)
    assert read(tmp_path / "out") == OLD


def test_old_files_that_cannot_be_moved_back_are_kept_until_they_can(
    tmp_path, monkeypatch
):
    write(tmp_path / "out", OLD)
    moves = [os.replace]

    def replace(source, target):
        if not moves:
            raise OSError("the disk is gone")
        moves.pop()(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="the disk is gone"):
        with files.new_folder(tmp_path / "out", overwrite=True) as folder:
            write(folder, NEW)
    monkeypatch.undo()
    assert not (tmp_path / "out" / "a.txt").exists()
    assert recover(tmp_path / "out") == OLD


def test_what_is_in_use_and_what_is_foreign_stays(tmp_path):
    write(
        tmp_path,
        {
            ".keras_squeezenet.killed.a.txt/a.txt": "half",
            ".keras_squeezenet.killed.b.txt/lock": "",
            ".a.txt": "foreign",
            ".new.a.txt/a.txt": "foreign",
        },
    )
    with files.new_file(tmp_path / "a.txt") as one:
        one.write_text("one")
        with files.new_file(tmp_path / "a.txt") as other:
            assert one.exists()
            other.write_text("other")
        left = {"/".join(path.parts[-2:]) for path in tmp_path.glob(".k*/*")}
        assert left == {
            f"{one.parent.name}/a.txt",
            f"{one.parent.name}/lock",
            ".keras_squeezenet.killed.b.txt/lock",
        }
    assert read(tmp_path) == {
        "a.txt": "one",
        ".a.txt": "foreign",
        ".new.a.txt/a.txt": "foreign",
        ".keras_squeezenet.killed.b.txt/lock": "",
    }
    staging.sweep(tmp_path)
    assert sorted(read(tmp_path)) == [".a.txt", ".new.a.txt/a.txt", "a.txt"]


def test_temporary_folder_that_is_swept_before_it_is_locked_is_made_again(
    tmp_path, monkeypatch
):
    make, made = staging.tempfile.mkdtemp, []

    def make_swept(*arguments):
        made.append(make(*arguments))
        if len(made) == 1:
            staging.sweep(tmp_path)
        return made[-1]

    monkeypatch.setattr(staging.tempfile, "mkdtemp", make_swept)
    files.write_json(tmp_path / "a.json", 1)
    assert len(made) == 2
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    "make, reason",
    [
        (
            lambda path: OSError(errno.ENOSPC, "No space left on device"),
            "No sp",
        ),
        (
            lambda path: PermissionError(
                errno.EACCES, "Permission denied", path
            ),
            "Permission denied",
        ),
        # As HDF5 and TensorFlow say it.
        (
            lambda path: OSError(
                "failed, errno = 28, 'No space left on device'"
            ),
            "No sp",
        ),
        (
            lambda path: Exception(f"{path}/part-00; Input/output error"),
            "Input/out",
        ),
    ],
)
def test_error_of_the_disk_names_the_output(make, reason, tmp_path):
    message = f"{tmp_path / 'a.npz'} cannot be written: {reason}"
    with pytest.raises(staging.DiskError, match=message):
        with files.new_file(tmp_path / "a.npz") as temporary:
            raise make(str(temporary))
    message = f"{tmp_path / 'out'} cannot be written: {reason}"
    with pytest.raises(staging.DiskError, match=message) as raised:
        with files.new_folder(tmp_path / "out") as folder:
            raise make(str(folder / "saved"))
    # A process hands it to its parent.
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied", "/images/a.png"),
        ConnectionError("no route"),
        ValueError("Permission denied"),
        OSError(errno.EAGAIN, "Resource temporarily unavailable"),
    ],
)
def test_other_errors_are_left_as_they_are(error, tmp_path):
    with pytest.raises(type(error)) as raised:
        with files.new_file(tmp_path / "a.npz"):
            raise error
    assert raised.value is error


def test_missing_folder_is_an_error_of_the_disk(tmp_path):
    path = tmp_path / "missing" / "a.json"
    with pytest.raises(
        staging.DiskError, match=f"{path} cannot be written: No"
    ):
        files.write_json(path, 1)
