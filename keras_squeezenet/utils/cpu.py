"""The CPU, and what it computes quickly."""

import os
import pathlib

INFO = pathlib.Path("/proc/cpuinfo")
# Without these instructions bfloat16 is slower than float32.
BFLOAT16_FLAG = "amx_bf16"


def describe() -> dict[str, str]:
    """Return what Linux says of the first core; elsewhere an empty dict."""
    try:
        first = INFO.read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    lines = [line.partition(":") for line in first.splitlines()]
    return {key.strip(): value.strip() for key, _, value in lines}


def precision() -> str:
    """Return the dtype policy to compute in where rounding does no harm.

    It is `"mixed_bfloat16"` on Linux machines whose CPU has AMX, which is about
    twice as fast there, and `"float32"` on others and beside a GPU.
    """
    # The rest of this module is used without TensorFlow too.
    import tensorflow as tf

    # Without oneDNN TensorFlow does not use AMX.
    has_onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0"
    is_limited = "ONEDNN_MAX_CPU_ISA" in os.environ
    has_amx = BFLOAT16_FLAG in describe().get("flags", "").split()
    if not has_amx or not has_onednn or is_limited:
        return "float32"
    if tf.config.get_visible_devices("GPU"):
        return "float32"
    return "mixed_bfloat16"
