"""Ctrl-C, SIGTERM and SIGHUP stop a command where the libraries allow it.

A signal handler can raise an exception at any point. While TensorFlow traces a
function, that exception may be swallowed, may leave TensorFlow in a state in
which every later trace fails ("Concurrent access?"), or may crash native code.
A first signal within a library therefore waits for the next `check`; a second
Ctrl-C stops at once. Further signals of a shutdown are ignored, because they
would interrupt the clean-up. Python also swallows exceptions in finalizers;
`check` then raises the exception again.
"""

import contextlib
import os
import signal
import sys

from keras_squeezenet.utils import signals

LIBRARIES = {
    "ai_edge_litert",
    "jax",
    "keras",
    "nncf",
    "onnx",
    "onnxruntime",
    "openvino",
    "tensorflow",
    "tensorflow_model_optimization",
    "tf_keras",
    "torch",
}
WAIT = b"\nStopping at the next step. Ctrl-C again stops now.\n"

# The number of the first signal.
_received = None


@contextlib.contextmanager
def remembered():
    """Raise `KeyboardInterrupt` on a signal, at once or at the next `check`.

    A signal that the process ignores, as after `nohup`, is still ignored.
    """
    global _received
    _received = None
    before = {number: signal.getsignal(number) for number in signals.STOPS}
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    replaced = [number for number in before if before[number] in defaults]
    report = sys.unraisablehook

    def report_others(unraisable):
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            report(unraisable)

    for number in replaced:
        signal.signal(number, _receive)
    sys.unraisablehook = report_others
    try:
        yield
    finally:
        sys.unraisablehook = report
        for number in replaced:
            signal.signal(number, before[number])


@contextlib.contextmanager
def first():
    """Raise `KeyboardInterrupt` instead of errors that follow a signal.

    Libraries raise such errors, and so does writing to a closed terminal.
    """
    try:
        yield
    except Exception:
        check()
        raise


def check():
    """Raise `KeyboardInterrupt` if a signal has come."""
    if _received:
        raise KeyboardInterrupt


def status():
    """Return the exit status of a command that was stopped."""
    return 128 + (_received or signal.SIGINT)


def _receive(number, frame):
    global _received
    is_first, _received = not _received, _received or number
    if not is_first and number != signal.SIGINT:
        return
    if is_first and _is_in_library(frame):
        # `print` cannot be used: it may be interrupted in the middle.
        with contextlib.suppress(Exception):
            os.write(sys.stderr.fileno(), WAIT)
        return
    raise KeyboardInterrupt


def _is_in_library(frame):
    while frame is not None:
        package, *_ = frame.f_globals.get("__name__", "").split(".")
        if package in LIBRARIES:
            return True
        frame = frame.f_back
    return False
