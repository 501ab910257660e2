"""Ctrl-C that does not get lost.

TensorFlow has handlers of any exception, `KeyboardInterrupt` too, where it
looks at a function to trace; a Ctrl-C in that moment would change nothing.
Nor would one in a finalizer or a callback of the garbage collector: from there
Python lets no exception out, and prints a traceback instead.
"""

import contextlib
import signal
import sys

_received = False


@contextlib.contextmanager
def remembered():
    """Has a Ctrl-C raise `KeyboardInterrupt` now, and at every `check`.

    Where Ctrl-C is ignored, as behind `nohup`, it stays so.
    """
    global _received
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return

    def remember(number, frame):
        global _received
        _received = True
        raise KeyboardInterrupt

    report = sys.unraisablehook

    def report_others(unraisable):
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            report(unraisable)

    signal.signal(signal.SIGINT, remember)
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
