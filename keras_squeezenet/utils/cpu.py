"""The CPU, and what it computes quickly."""

import os
import pathlib

INFO = pathlib.Path("/proc/cpuinfo")
# The instructions by which bfloat16 is faster than float32. With AVX-512 BF16,
# but without AMX, it is slower on CPUs of Intel.
BFLOAT16_FLAGS = {"GenuineIntel": "amx_bf16", "AuthenticAMD": "avx512_bf16"}


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

    It is `"mixed_bfloat16"` on Linux machines whose CPU has AMX, or is one of
    AMD with AVX-512 BF16, which is about twice as fast there, and `"float32"`
    on others and beside a GPU.
    """
    # The rest of this module is used without TensorFlow too.
    import tensorflow as tf

    # Without oneDNN TensorFlow does not use these instructions.
    has_onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0"
    is_limited = "ONEDNN_MAX_CPU_ISA" in os.environ
    found = describe()
    flag = BFLOAT16_FLAGS.get(found.get("vendor_id", ""))
    is_fast = flag in found.get("flags", "").split()
    if not is_fast or not has_onednn or is_limited:
        return "float32"
    if tf.config.get_visible_devices("GPU"):
        return "float32"
    return "mixed_bfloat16"
