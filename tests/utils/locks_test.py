import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from keras_squeezenet.utils import locks

HOLD = """
import os, pathlib, signal, sys
from keras_squeezenet.utils import locks
with locks.hold(pathlib.Path(sys.argv[1]), "a note"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def test_one_at_a_time_holds_a_lock(path):
    for note in ("one", "another"):
        with locks.hold(path, note) as is_locked:
            assert is_locked
            assert path.read_text() == note
            with pytest.raises(locks.HeldError, match=f"^{note}$"):
                with locks.hold(path):
                    pytest.fail("the lock is held")
            assert path.read_text() == note
        assert not path.exists()


def test_error_frees_a_lock(path):
    with pytest.raises(ValueError), locks.hold(path):
        raise ValueError
    with locks.hold(path):
        pass


def test_killed_process_holds_no_lock(path):
    ended = subprocess.run(
        [sys.executable, "-c", HOLD, path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "a note"
    with locks.hold(path, "b"):
        assert path.read_text() == "b"
    assert not path.exists()


def test_file_that_its_holder_removes_meanwhile_is_made_again(
    path, monkeypatch
):
    calls = []
    flock = fcntl.flock

    def remove_first(descriptor, operation):
        calls.append(descriptor)
        if len(calls) == 1:
            path.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with locks.hold(path):
        assert len(calls) == 2
        assert path.exists()


def test_file_system_without_locks_is_used_without(path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locks.hold(path) as is_locked:
        assert not is_locked


def test_link_to_another_file_is_not_followed(path, tmp_path):
    other = tmp_path / "other"
    path.symlink_to(other)
    for expected in (None, "text"):
        with pytest.raises(OSError, match="lock must be a file, not a link"):
            with locks.hold(path, "note"):
                pytest.fail("the lock is a link")
        assert (other.read_text() if other.exists() else None) == expected
        other.write_text("text")


def test_folder_or_pipe_is_no_lock(path):
    for make in (os.mkdir, os.mkfifo):
        make(path)
        with pytest.raises(OSError, match="lock must be a file, not a link"):
            with locks.hold(path):
                pytest.fail("the lock is no file")
        path.rmdir() if path.is_dir() else path.unlink()
