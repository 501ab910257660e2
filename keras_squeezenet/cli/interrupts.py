"""Ctrl-C stops a command where the libraries allow it.

A signal handler can raise an exception at any point. While TensorFlow traces a
function, that exception may be swallowed, may leave TensorFlow in a state in
which every later trace fails ("Concurrent access?"), or may crash native code.
A first Ctrl-C within a library therefore waits for the next `check`; a second
one stops at once. Python also swallows exceptions in finalizers, and there
`check` raises the exception again.
"""

import contextlib
import os
import signal
import sys

LIBRARIES = {
    "ai_edge_litert",
    "jax",
    "keras",
    "tensorflow",
    "tensorflow_model_optimization",
    "tf_keras",
    "torch",
}
WAIT = b"\nStopping at the next step. Ctrl-C again stops now.\n"

_received = False


@contextlib.contextmanager
def remembered():
    """Raise `KeyboardInterrupt` on Ctrl-C, at once or at the next `check`.

    A process that ignores Ctrl-C, such as one started by `nohup`, still does.
    """
    global _received
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return

    report = sys.unraisablehook

    def report_others(unraisable):
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            report(unraisable)

    signal.signal(signal.SIGINT, _receive)
    sys.unraisablehook = report_others
    try:
        yield
    finally:
        sys.unraisablehook = report
        signal.signal(signal.SIGINT, before)
        _received = False


def check():
    """Raise `KeyboardInterrupt` if Ctrl-C was pressed."""
    if _received:
        raise KeyboardInterrupt


def _receive(number, frame):
    global _received
    is_first, _received = not _received, True
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
