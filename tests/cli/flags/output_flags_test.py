import os

import pytest

from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.utils import ownership


@pytest.fixture
def flag_values():
    values = command_flags.CommandFlags()
    output_flags.define(values, "a.json")
    return values


def test_folder_must_be_empty_without_overwrite(flag_values, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    flag_values.parse([f"--out={tmp_path}"])
    with pytest.raises(FileExistsError, match="not empty.*--overwrite"):
        output_flags.require_valid(flag_values)
    flag_values.parse(["--overwrite"])
    output_flags.require_valid(flag_values)


def test_overwrite_without_a_folder_is_refused(flag_values):
    output_flags.require_valid(flag_values)
    flag_values.parse(["--overwrite"])
    with pytest.raises(ValueError, match="^--overwrite needs --out"):
        output_flags.require_valid(flag_values)


@pytest.mark.parametrize(
    "flags, is_owned",
    [
        ({"out": "out", "distribution": None}, True),
        ({"out": "out", "distribution": "multi_worker"}, False),
        ({"out": None}, False),
        ({}, False),
    ],
)
def test_output_folder_is_owned_as_long_as_a_command_runs(
    flags, is_owned, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    flag_values = command_flags.CommandFlags()
    with flag_values.group("All"):
        for name, value in flags.items():
            flag_values.define(str, name, value, "a flag")
    with output_flags.owned(flag_values):
        assert os.listdir() == ["out"] * is_owned
        if is_owned:
            assert os.listdir("out") == [ownership.LOCK_FILE]
    assert os.listdir() == []
