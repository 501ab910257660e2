"""Try a LiteRT file in another process before it is used in this one.

On some damaged files the interpreter crashes or hangs.
"""

import subprocess
import sys

# Several times what v1.0 needs for an image of 1024x1024.
SECONDS = 60
# The limit of CPU time ends the other process even if this one is killed.
LIMITS = f"""
import sys
content = sys.stdin.buffer.read()
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))
    resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
except (ImportError, OSError, ValueError):
    pass
"""
RUN = """
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_content=content)
interpreter.allocate_tensors()
interpreter.invoke()
"""


def require_runnable(content: bytes) -> None:
    """Raise a `ValueError` unless a file runs once, on zeros."""
    try:
        ended = subprocess.run(
            [sys.executable, "-c", LIMITS + RUN],
            input=content,
            capture_output=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(
            f"it took LiteRT more than {SECONDS} seconds; it is damaged or too "
            "large. Copy or convert it again."
        ) from error
    if ended.returncode:
        lines = ended.stderr.decode(errors="replace").splitlines()
        reason = lines[-1] if lines else "LiteRT cannot read it"
        if ended.returncode < 0:
            reason = f"LiteRT crashes on it (signal {-ended.returncode})"
        raise ValueError(
            f"it is damaged: {reason.rstrip('.')}. Copy or convert it again."
        )
