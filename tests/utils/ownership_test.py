import concurrent.futures
import errno
import os
import re
import sys
import tempfile

import pytest

from keras_squeezenet.utils import files
from keras_squeezenet.utils import ownership
from keras_squeezenet.utils import staging


def own_elsewhere(folder):
    """Own a folder in another thread, which is another run."""

    def own():
        with ownership.own(folder):
            pass

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        thread.submit(own).result()


def test_second_run_is_told_who_owns_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/squeeze", "train", "--out=a b"])
    with ownership.own(tmp_path):
        message = (
            rf"{tmp_path} is in use by another run: squeeze train '--out=a b', "
            rf"process {os.getpid()} on \S+ since \d+-\d+-\d+ \d+:\d+:\d+\. "
            "Wait for its end"
        )
        with pytest.raises(ownership.InUseError, match=message):
            own_elsewhere(tmp_path)
    own_elsewhere(tmp_path)
    assert os.listdir(tmp_path) == []


def test_owner_may_own_a_folder_again_by_any_path(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    with ownership.own("out"):
        for path in ("out", tmp_path / "out", "link"):
            with ownership.own(path):
                pass
        with pytest.raises(ownership.InUseError):
            own_elsewhere(tmp_path / "out")
        with ownership.own("out/points"):
            own_elsewhere("other")


@pytest.mark.parametrize("is_written", [True, False])
def test_folder_is_made_and_stays_if_something_is_written(is_written, tmp_path):
    with ownership.own(tmp_path / "deep" / "out"):
        files.require_writable(tmp_path / "deep" / "out")
        if is_written:
            files.write_json(tmp_path / "deep" / "out" / "a.json", 1)
    assert os.listdir(tmp_path) == ["deep"] * is_written


def test_what_killed_processes_left_is_removed(tmp_path):
    for name in ("lock", "abc.a.txt/a.txt", "abc.out/new/a.txt"):
        path = tmp_path / f".keras_squeezenet.{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "mine.txt").touch()
    with ownership.own(tmp_path):
        assert sorted(os.listdir(tmp_path)) == [
            *(ownership.LOCK_FILE, "mine.txt")
        ]
    assert os.listdir(tmp_path) == ["mine.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_disk_that_takes_no_file_is_known_at_once(
    number, tmp_path, monkeypatch
):
    def refuse(*arguments, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    out = tmp_path / "out"
    message = re.escape(f"{out} cannot be written: {os.strerror(number)}. ")
    with pytest.raises(staging.DiskError, match=message):
        with ownership.own(out):
            pytest.fail("the work must not start")
    assert os.listdir(tmp_path) == []


def test_file_is_no_folder(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(NotADirectoryError, match="must be a folder"):
        with ownership.own(tmp_path / "out"):
            pass


def test_folder_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(staging.DiskError, match="file/out cannot be written"):
        with ownership.own(tmp_path / "file" / "out"):
            pass
