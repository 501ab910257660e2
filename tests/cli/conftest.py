"""What the tests of the commands share."""

import keras
import pytest
from absl.testing import flagsaver


@pytest.fixture
def run_main():
    """Returns a function that calls a command's `main` with flags."""

    def run(command, *arguments):
        saved = flagsaver.save_flag_values(command.FLAGS)
        try:
            command.FLAGS(["program", *arguments])
            command.main()
        finally:
            flagsaver.restore_flag_values(saved, command.FLAGS)

    return run


@pytest.fixture
def run_command(capsys):
    """Returns a function that runs a command, as `main` does.

    It takes the command's module and the arguments, and returns the exit
    status, the standard output and the standard error.
    """

    def run(command, *arguments):
        saved = flagsaver.save_flag_values(command.FLAGS)
        status = 0
        try:
            _, *positional = command.FLAGS(["program", *map(str, arguments)])
            command.main(positional)
        except SystemExit as stopped:
            status = stopped.code
        finally:
            flagsaver.restore_flag_values(saved, command.FLAGS)
            keras.config.enable_interactive_logging()
        return status, *capsys.readouterr()

    return run
