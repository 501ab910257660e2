import json
import os
import subprocess
import sys

import pytest

# Half of the default epochs: enough to learn, short enough for a test.
EPOCHS = [
    "--train_epochs=3",
    "--prune_epochs=2",
]


@pytest.mark.end_to_end
@pytest.mark.slow
def test_command_compresses_real_digits(tmp_path):
    out = tmp_path / "out"
    # Where it is set, the notes of the libraries are shown.
    environment = dict(os.environ)
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "keras_squeezenet", "compress"),
            *(*EPOCHS, f"--out={out}"),
        ],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    report = json.loads((out / "report.json").read_text())
    stages = {stage["name"]: stage for stage in report["stages"]}
    files = {file["name"]: file for file in report["files"]}
    dense, int8 = stages["dense"], files["model_int8.tflite"]
    assert dense["accuracy"] > 0.85
    assert int8["accuracy"] > dense["accuracy"] - 0.05
    packed, size = files["model.sqz"], files["model.sqz"]["bytes"]
    assert packed["accuracy"] > dense["accuracy"] - 0.05
    assert stages["packed"]["bytes"] == size < dense["bytes"] / 20
    assert stages["packed"]["density"] < 0.4
    assert 9 * int8["gzip_bytes"] < dense["bytes"]
    assert f"{size:,} (this file)" in finished.stdout
    assert f"{size:,} (test set)" in finished.stdout
    for measured in (*stages.values(), *files.values()):
        assert f"{measured['accuracy']:.2%}" in finished.stdout
    for layer in report["layers"]:
        assert layer["name"] in finished.stdout
    assert f"Report: {out / 'report.html'}" in finished.stdout
    assert f"keras-squeezenet evaluate {out / 'model.sqz'}" in finished.stdout
    assert_latency_is_measured(out / "model.keras", environment)


def assert_latency_is_measured(path, environment):
    """Time what the command wrote, in every runtime."""
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "keras_squeezenet", "benchmark", path),
            *("--calls=3", "--batch_size=1"),
        ],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert finished.returncode == 0, finished.stderr
    for name in ("keras.keras", "model.tflite", "saved_model_packed"):
        assert f"{name} " in finished.stdout
