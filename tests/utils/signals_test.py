import os
import signal
import subprocess
import sys
import threading

import pytest

from keras_squeezenet.utils import signals


@pytest.mark.parametrize("number", signals.STOPS)
def test_signal_waits_for_the_end_of_what_is_not_interrupted(
    number, default_handlers
):
    def stop(number, frame):
        raise KeyboardInterrupt

    signal.signal(number, stop)
    done = []
    with pytest.raises(KeyboardInterrupt):
        with signals.uninterrupted():
            signal.raise_signal(number)
            done.append(1)
    assert done == [1]
    assert signal.getsignal(number) is stop


def test_ctrl_c_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals.uninterrupted():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_write_without_signals():
    done = []

    def work():
        with signals.uninterrupted():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]


PARENT = """
import multiprocessing, os, signal, sys, time
from keras_squeezenet.utils import signals

def work(connection):
    signals.end_with_parent()
    connection.send(os.getpid())
    time.sleep(60)

if __name__ == "__main__":
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    processes.Process(target=work, args=(theirs,)).start()
    print(ours.recv(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_process_ends_with_its_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    # Its end is that of its standard output, which the child has too.
    ended = subprocess.run(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=30,
    )
    assert ended.returncode == -signal.SIGKILL
    assert int(ended.stdout)
