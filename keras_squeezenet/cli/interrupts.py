"""Ctrl-C at a moment that the libraries can bear.

An exception out of a signal handler comes anywhere. In the midst of a trace of
TensorFlow it is caught by a handler of any exception, ends as an error of
TensorFlow's own books ("Concurrent access?"), or crashes native code. So a
Ctrl-C within a library waits for the next `check`, and a second one for
nothing. From a finalizer Python lets no exception out; there too `check` helps.
"""

import contextlib
import os
import signal
import sys

LIBRARIES = frozenset(
    (
        "ai_edge_litert",
        "jax",
        "keras",
        "tensorflow",
        "tensorflow_model_optimization",
        "tf_keras",
        "torch",
    )
)
WAIT = b"\nStopping at the next step. Ctrl-C again stops now.\n"

_received = False


@contextlib.contextmanager
def remembered():
    """Has a Ctrl-C raise `KeyboardInterrupt`, now or at a `check`.

    Where Ctrl-C is ignored, as behind `nohup`, it stays so.
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
    """Raises `KeyboardInterrupt` if there was a Ctrl-C."""
    if _received:
        raise KeyboardInterrupt


def _receive(number, frame):
    global _received
    is_first, _received = not _received, True
    if is_first and _is_in_library(frame):
        # Not `print`, which must not begin while it prints.
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
