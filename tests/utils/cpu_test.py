import pytest
import tensorflow as tf

from keras_squeezenet.utils import cpu

NEW = """processor\t: 0
vendor_id\t: GenuineIntel
flags\t\t: fpu avx512f avx512_bf16 amx_bf16

processor\t: 1
vendor_id\t: GenuineIntel
flags\t\t: fpu
"""


@pytest.fixture
def info(tmp_path, monkeypatch):
    """The file that Linux describes the CPU in, on a machine without a GPU."""
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(cpu, "INFO", path)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    for name in ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    return path


def test_description_is_that_of_the_first_core(info):
    info.write_text(NEW)
    assert cpu.describe() == {
        "processor": "0",
        "vendor_id": "GenuineIntel",
        "flags": "fpu avx512f avx512_bf16 amx_bf16",
    }


def test_other_systems_say_nothing_and_compute_in_float32(info):
    assert cpu.describe() == {}
    assert cpu.precision() == "float32"


@pytest.mark.parametrize(
    "vendor, flags, expected",
    [
        ("GenuineIntel", "avx512_bf16 amx_bf16", "mixed_bfloat16"),
        ("GenuineIntel", "amx_bf16", "mixed_bfloat16"),
        ("GenuineIntel", "avx512_bf16", "float32"),
        ("GenuineIntel", "avx512f avx512_vnni", "float32"),
        ("AuthenticAMD", "avx512f avx512_bf16", "mixed_bfloat16"),
        ("AuthenticAMD", "avx512f avx512_vnni", "float32"),
        ("HygonGenuine", "avx512_bf16", "float32"),
    ],
)
def test_bfloat16_is_for_cpus_that_are_fast_in_it(
    info, vendor, flags, expected
):
    info.write_text(
        NEW.replace("GenuineIntel", vendor).replace(
            "avx512f avx512_bf16 amx_bf16", flags
        )
    )
    assert cpu.precision() == expected


def test_beside_a_gpu_computation_is_in_float32(info, monkeypatch):
    info.write_text(NEW)
    monkeypatch.setattr(
        tf.config, "get_visible_devices", lambda kind: [f"{kind}:0"]
    )
    assert cpu.precision() == "float32"


@pytest.mark.parametrize(
    "name, value",
    [("TF_ENABLE_ONEDNN_OPTS", "0"), ("ONEDNN_MAX_CPU_ISA", "AVX2")],
)
def test_bfloat16_needs_all_of_onednn(info, monkeypatch, name, value):
    info.write_text(NEW)
    monkeypatch.setenv(name, value)
    assert cpu.precision() == "float32"
