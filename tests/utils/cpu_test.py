import pytest
import tensorflow as tf

from keras_squeezenet.utils import cpu

NEW = """processor\t: 0
model name\t: New CPU
flags\t\t: fpu avx512f avx512_bf16 amx_bf16

processor\t: 1
model name\t: New CPU
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
        "model name": "New CPU",
        "flags": "fpu avx512f avx512_bf16 amx_bf16",
    }


def test_other_systems_say_nothing_and_compute_in_float32(info):
    assert cpu.describe() == {}
    assert cpu.precision() == "float32"


@pytest.mark.parametrize(
    "flags, expected",
    [
        ("avx512_bf16 amx_bf16", "mixed_bfloat16"),
        ("amx_bf16", "mixed_bfloat16"),
        ("avx512_bf16", "float32"),
        ("avx512f avx512_vnni", "float32"),
    ],
)
def test_bfloat16_is_for_cpus_with_its_instructions(info, flags, expected):
    info.write_text(NEW.replace("avx512f avx512_bf16 amx_bf16", flags))
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
