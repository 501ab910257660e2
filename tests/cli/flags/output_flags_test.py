import pytest

from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import output_flags


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
