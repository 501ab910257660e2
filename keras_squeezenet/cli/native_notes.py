"""Notes of native code are kept off the terminal; all else is shown.

The libraries under TensorFlow write notes to file descriptor 2, whatever level
is set. While a command runs, a process of its own reads what arrives there,
drops the notes, and passes on the rest. It outlives a crash, so that the
message of a crash is seen.
"""

import atexit
import contextlib
import os
import subprocess
import sys

# Information and warnings in the formats of Abseil, TensorFlow and LiteRT, and
# what TensorFlow calls errors and is none: libraries that it registers twice, a
# GPU's driver that is not there, and data types that oneDNN leaves to Eigen.
NOTES = (
    r"[IW]\d{4} \d\d:\d\d:"
    r"|\d{4}-\d\d-\d\d [\d:.]+: [IW] "
    r"|WARNING: All log messages before absl::InitializeLog"
    r"|INFO: "
    r"|.*Unable to register cu\w+ factory"
    r"|.*computation placer already registered"
    r"|.*failed call to cuInit: .*\(303\)"
    r"|.*oneDNN supports DT_\w+ only on platforms"
)
FILTER = """
import os, re, sys
notes = re.compile(sys.argv[1].encode())
for line in sys.stdin.buffer:
    if not notes.match(line):
        os.write(1, line)
"""
# Seconds to wait for the last lines.
TIMEOUT = 5


def drop() -> None:
    """Drop the notes until the process ends.

    Python's own `sys.stderr` is not filtered.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    sys.stderr = os.fdopen(
        os.dup(terminal), "w", buffering=1, errors="backslashreplace"
    )
    reader = subprocess.Popen(
        [sys.executable, "-E", "-S", "-c", FILTER, NOTES],
        stdin=subprocess.PIPE,
        stdout=terminal,
        # Ctrl-C is for the command alone.
        start_new_session=True,
    )
    assert reader.stdin
    os.dup2(reader.stdin.fileno(), 2)
    reader.stdin.close()
    atexit.register(_end, reader, terminal)


def _end(reader, terminal):
    os.dup2(terminal, 2)
    # A process that the command has started may still write.
    with contextlib.suppress(subprocess.TimeoutExpired):
        reader.wait(TIMEOUT)
