"""Commands load only what they need, and so answer at once."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_squeezenet import codec
from keras_squeezenet import metadata
from keras_squeezenet.cli import main

FRAMEWORKS = {"keras", "tensorflow", "jax", "torch"}
# What a listing has no use for either.
HEAVY = {"numpy", "requests", "PIL", "matplotlib", "ai_edge_litert"}
NAMES = ("red", "green", "blue")
SIDE = 8
PROGRAM = """
import json, pathlib, sys
from keras_squeezenet.cli import main
for arguments in json.loads(sys.argv[1]):
    try:
        main.run(["keras-squeezenet", *arguments])
    except SystemExit as stopped:
        assert stopped.code == 0, stopped.code
status = pathlib.Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
peak = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
# Lines that follow what the commands print.
print()
print(json.dumps([*sys.modules]))
print(json.dumps(peak[0] / 2**10 if peak else None))
"""


def run(*commands):
    """Runs commands in one process.

    Returns the output, the modules that were loaded, and the peak of the memory
    in MiB, or `None`.
    """
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    *lines, modules, peak = ended.stdout.splitlines()
    return "\n".join(lines), {*json.loads(modules)}, json.loads(peak)


@pytest.fixture(scope="module")
def litert_path(tmp_path_factory):
    """A network that finds the strongest color, by its mean."""

    def classify(images):
        bgr = tf.reduce_mean(images, axis=(1, 2))
        return tf.nn.softmax(tf.reverse(bgr, axis=[-1]))

    function = tf.function(classify).get_concrete_function(
        tf.TensorSpec((1, SIDE, SIDE, 3))
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    path = tmp_path_factory.mktemp("litert") / "model.tflite"
    found = metadata.Metadata(image_size=SIDE, class_names=NAMES)
    path.write_bytes(metadata.append(converter.convert(), found))
    return path


def test_litert_file_predicts_without_a_framework(litert_path, tmp_path):
    photograph = tmp_path / "green.png"
    pixels = np.full((300, 400, 3), (50, 200, 50), "uint8")
    Image.fromarray(pixels).save(photograph)
    out, modules, peak = run(
        ["predict", f"--model={litert_path}", "--json", str(photograph)]
    )
    (result,) = json.loads(out)
    assert result["predictions"][0]["label"] == "green"
    assert not modules & FRAMEWORKS
    assert peak is None or peak < 150


def test_files_are_inspected_without_a_framework(
    litert_path, make_model, tmp_path
):
    path = tmp_path / "model.sqz"
    codec.save(make_model(), path)
    out, modules, _ = run(["inspect", str(path)])
    assert "conv10" in out
    assert not modules & {*FRAMEWORKS, "h5py", "pyfive", "google.protobuf"}


def test_listing_and_help_load_nothing_heavy():
    out, modules, _ = run(
        ["weights", "list"],
        ["weights", "list", "--json"],
        ["--version"],
        *([name, "--help"] for name in main.COMMANDS),
    )
    assert "imagenet_torchvision" in out
    assert out.count("usage: ") == len(main.COMMANDS)
    assert not modules & {*FRAMEWORKS, *HEAVY}
