import pytest

from keras_squeezenet.cli import runs


def test_ctrl_c_says_how_to_resume_where_there_is_something(tmp_path):
    def stop():
        with runs.resumable(tmp_path, "*/last.npz", "state.npz"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        stop()
    assert not stopped.value.args
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "last.npz").touch()
    with pytest.raises(
        KeyboardInterrupt,
        match="^The last finished epoch is saved: the same command with "
        "--resume continues from there.$",
    ):
        stop()
