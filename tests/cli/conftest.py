"""What the tests of the commands share."""

import os
import signal
import subprocess
import sys
import time

import keras
import pytest
from absl.testing import flagsaver

# Ctrl-C works even where the process that started it ignores it.
COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from keras_squeezenet.cli import main
main.run(["keras-squeezenet", *sys.argv[1:]])
"""


@pytest.fixture
def run_command(capsys):
    """Return a function that runs a command in this process.

    It takes the command's module and the arguments, and returns the exit
    status, the standard output and the standard error. What `main` makes a
    message of is raised.
    """

    def run(command, *arguments):
        saved = flagsaver.save_flag_values(command.FLAGS)
        status = 0
        try:
            positional = command.FLAGS.parse(list(map(str, arguments)))
            command.main(*positional)
        except SystemExit as stopped:
            status = stopped.code
        finally:
            flagsaver.restore_flag_values(saved, command.FLAGS)
            keras.config.enable_interactive_logging()
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a command in a process of its own."""
    processes = []

    def start(*arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "PYTHONUNBUFFERED": "1",
                **environment,
            },
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def wait_for():
    """Return a function that waits until a process has made a file."""

    def wait_for(path, process):
        deadline = time.monotonic() + 300
        while not path.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    return wait_for


@pytest.fixture
def interrupt():
    """Return a function that sends Ctrl-C, and returns what was printed."""

    def interrupt(process):
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in stderr
        return stdout

    return interrupt


@pytest.fixture(scope="session")
def model_path(trained_model, dataset, tmp_path_factory):
    """The path of a trained network as `train` leaves it."""
    from keras_squeezenet.utils import files

    folder = tmp_path_factory.mktemp("trained")
    trained_model.save(folder / "model.keras")
    files.write_json(
        folder / "report.json",
        {"dataset": {"classes": list(dataset.class_names)}},
    )
    return folder / "model.keras"
