"""Handle the signals that end a process, and the end of its parent."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

# Signals that ask a process to end. Windows has no SIGHUP.
STOPS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C, SIGTERM and SIGHUP to the end of a short block.

    Only signals that Python handles can be delayed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received = []
    before: dict[int, Any] = {
        number: signal.getsignal(number) for number in STOPS
    }
    delayed = [number for number in before if callable(before[number])]
    for number in delayed:
        signal.signal(number, lambda *arguments: received.append(arguments))
    try:
        yield
    finally:
        for number in delayed:
            signal.signal(number, before[number])
        for number, frame in received:
            before[number](number, frame)


def end_with_parent() -> None:
    """End this process of `multiprocessing` when its parent ends."""
    parent = multiprocessing.parent_process()

    def wait():
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
