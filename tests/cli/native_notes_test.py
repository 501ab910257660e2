import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from keras_squeezenet.cli import native_notes
native_notes.drop()
os.write(2, b"I0000 00:00:1795868917.741162 491 port.cc:153] a note\\n")
os.write(2, b"WARNING: All log messages before absl::InitializeLog() ...\\n")
os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\\n")
os.write(
    2,
    b"E0000 00:00:1796101923.272182 491 cuda_platform.cc:52] failed call to "
    b"cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR "
    b"(303)\\n",
)
os.write(
    2,
    b"E0000 00:00:1796101975.884802 491 util.cc:131] oneDNN supports DT_HALF "
    b"only on platforms with AVX-512. Falling back to the default "
    b"Eigen-based implementation if present.\\n",
)
os.write(2, b"E0000 00:00:1795868917.741162 491 x.cc:1] an error\\n")
print("of Python", file=sys.stderr)
os.write(2, b"terminate called without an active exception\\n")
{end}
"""


def run(end):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "end,status", [("", 0), ("os.abort()", -signal.SIGABRT)]
)
def test_notes_are_dropped_and_all_else_is_shown(end, status):
    ended = run(end)
    assert ended.returncode == status
    assert sorted(ended.stderr.splitlines()) == [
        "E0000 00:00:1795868917.741162 491 x.cc:1] an error",
        "of Python",
        "terminate called without an active exception",
    ]


def test_crash_of_native_code_is_explained():
    ended = run(
        "import ctypes, faulthandler\nfaulthandler.enable()\n"
        "ctypes.string_at(0)"
    )
    assert ended.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in ended.stderr
