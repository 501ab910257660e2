import contextlib
import os
import signal
import subprocess
import sys

import keras
import pytest
import rich.console
import tensorflow as tf

from keras_squeezenet.cli import interrupts
from keras_squeezenet.cli import terminal
from keras_squeezenet.utils import signals

pytestmark = pytest.mark.usefixtures("default_handlers")


def press_ctrl_c_unheard():
    """Do what TensorFlow does while it traces: catch everything."""
    with contextlib.suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("no KeyboardInterrupt was raised")


@pytest.mark.parametrize("number", signals.STOPS)
def test_signal_raises_at_once(number):
    with interrupts.remembered():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert interrupts.status() == 128 + number


def test_signals_of_a_shutdown_do_not_cut_the_clean_up():
    cleaned = []
    with interrupts.remembered(), pytest.raises(KeyboardInterrupt):
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append(1)
    assert cleaned == [1]
    assert interrupts.status() == 129


def test_errors_that_follow_a_signal_are_not_the_reason():
    with interrupts.remembered():
        with pytest.raises(OSError), interrupts.first():
            raise OSError("the disk")
        press_ctrl_c_unheard()
        with pytest.raises(KeyboardInterrupt), interrupts.first():
            raise OSError("the terminal is gone")


def test_ctrl_c_that_was_swallowed_ends_the_next_step():
    progress = terminal.ConsoleProgress(rich.console.Console(quiet=True))
    with interrupts.remembered(), pytest.raises(KeyboardInterrupt):
        with progress.task("train", 3) as advance:
            advance(loss=1.0)
            press_ctrl_c_unheard()
            advance(loss=1.0)
            pytest.fail("the second step must not end")


class Finalized:
    """Run code where Python lets no exception out, as in JAX's callback."""

    def __init__(self, code):
        self.code = code

    def __del__(self):
        self.code()


@pytest.fixture
def unraisable(monkeypatch):
    reports = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda report: reports.append(report.exc_type)
    )
    return reports


def test_ctrl_c_in_a_finalizer_prints_no_traceback_and_is_kept(unraisable):
    with interrupts.remembered(), pytest.raises(KeyboardInterrupt):
        Finalized(lambda: os.kill(os.getpid(), signal.SIGINT))
        interrupts.check()
        pytest.fail("the Ctrl-C was lost")
    assert unraisable == []


def test_other_errors_of_a_finalizer_are_still_reported(unraisable):
    with interrupts.remembered():
        Finalized(lambda: 1 / 0)
    Finalized(lambda: 1 / 0)
    assert unraisable == [ZeroDivisionError, ZeroDivisionError]


def press_ctrl_c(*unused):
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    "call_back",
    [
        lambda function: keras.tree.map_structure(function, [1]),
        lambda function: tf.data.Dataset.range(1).map(
            lambda number: function() or number
        ),
    ],
    ids=["keras", "trace"],
)
def test_ctrl_c_within_a_library_waits_for_a_check(call_back, capfd):
    with interrupts.remembered(), pytest.raises(KeyboardInterrupt):
        call_back(press_ctrl_c)
        said = capfd.readouterr().err
        assert "Stopping at the next step. Ctrl-C again stops now." in said
        interrupts.check()
        pytest.fail("the Ctrl-C was lost")


def test_second_ctrl_c_within_a_library_stops_at_once():
    with interrupts.remembered(), pytest.raises(KeyboardInterrupt):
        keras.tree.map_structure(press_ctrl_c, [1])
        keras.tree.map_structure(press_ctrl_c, [1])
        pytest.fail("the second Ctrl-C was not heard")


@pytest.mark.parametrize("steps", [1, None])
def test_ctrl_c_ends_a_task_and_starts_none(steps):
    progress = terminal.ConsoleProgress(rich.console.Console(quiet=True))
    with interrupts.remembered():
        with pytest.raises(KeyboardInterrupt):
            with progress.task("trace", steps):
                keras.tree.map_structure(press_ctrl_c, [1])
        with pytest.raises(KeyboardInterrupt):
            with progress.task("next", steps):
                pytest.fail("another task must not start")


def test_one_command_does_not_stop_the_next():
    with interrupts.remembered():
        press_ctrl_c_unheard()
    with interrupts.remembered():
        interrupts.check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", signals.STOPS)
def test_ignored_signal_stays_ignored(number):
    signal.signal(number, signal.SIG_IGN)
    with interrupts.remembered():
        os.kill(os.getpid(), number)
        interrupts.check()
    assert signal.getsignal(number) is signal.SIG_IGN


TRACES = """
import random, signal, time
import tensorflow as tf
from keras_squeezenet.cli import interrupts
from keras_squeezenet.data import augmentations

signal.signal(signal.SIGINT, signal.default_int_handler)
images = tf.data.Dataset.from_tensors(tf.zeros((16, 16, 3), tf.uint8))


def change(index, images):
    draws = augmentations.draw([0, index], "flip_crop")
    draws = {name: each[tf.newaxis] for name, each in draws.items()}
    # As it is inside `tf.function`, which would trace it once.
    return augmentations.augment.python_function(images, draws, "flip_crop")


def trace():
    images.batch(1).enumerate().map(change)


trace()
started = time.monotonic()
trace()
seconds = time.monotonic() - started
delays = random.Random(1)
stopped = 0
for _ in range(30):
    try:
        with interrupts.remembered():
            signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGINT))
            delay = 1e-4 + seconds * delays.random()
            signal.setitimer(signal.ITIMER_REAL, delay)
            trace()
            time.sleep(2 * seconds)
            interrupts.check()
    except KeyboardInterrupt:
        stopped += 1
print(stopped)
"""


@pytest.mark.end_to_end
@pytest.mark.slow
def test_tensorflow_survives_a_ctrl_c_at_any_moment_of_a_trace():
    ended = subprocess.run(
        [sys.executable, "-c", TRACES], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "30\n"
