import json

import numpy as np
import pytest

from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet.cli import inspect
from keras_squeezenet.pretrained import download

NET = "imagenet_deep_compression"


@pytest.fixture
def run(run_command):
    """Returns the standard output of the command, which ends well."""

    def run(*arguments):
        status, out, _ = run_command(inspect, *arguments)
        assert status == 0
        return out

    return run


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.npz"
    kernel = np.arange(24, dtype="float32").reshape(1, 1, 6, 4)
    kernel[kernel < 12] = 0
    np.savez(
        path,
        **{"conv1/kernel": kernel, "conv1/bias": np.ones(4, "float32")},
        **{"conv2/kernel": kernel + 1, "conv2/bias": np.ones(4, "float32")},
    )
    return path


def test_layers_are_measured(run, weights):
    assert run(f"--model={weights}") == run(weights)
    lines = run(weights).splitlines()
    rows = [line.split() for line in lines if line.startswith("conv")]
    assert rows == [
        ["conv1", "1x1x6x4", "24", "50.0%", "13", "4", "4"],
        ["conv2", "1x1x6x4", "24", "100.0%", "13", "4", "4"],
    ]
    assert lines[-1] == (
        f"{weights}: 2 kernels of 48 weights, 75.0% of them not zero"
    )


def test_last_line_says_what_a_network_takes(run, make_model, tmp_path):
    model = make_model()
    names = ["c\x1b[2J", *"abcde"]
    metadata.attach(model, metadata.describe(model, "raw", names))
    models.save(model, tmp_path / "model.keras")
    assert run(tmp_path / "model.keras").splitlines()[-1] == (
        "It takes images of 16x16 with 3 channels and normalization='raw'; "
        "classes: c\\x1b[2J, a, b, c, d, ..."
    )


def test_json_has_the_same_figures(run, weights):
    rows = json.loads(run(weights, "--json"))
    assert rows[0] == {
        "name": "conv1",
        "shape": [1, 1, 6, 4],
        "weights": 24,
        "density": 0.5,
        "distinct_values": 13,
        "distinct_values_per_channel": 4,
        "bits": 4,
    }
    assert [row["name"] for row in rows] == ["conv1", "conv2"]


def test_public_source_has_the_published_density(run, shared_data, monkeypatch):
    monkeypatch.setenv(download.MIRROR, str(shared_data / "weights"))
    out = run(NET)
    assert "26 kernels of 1,244,448 weights, 33.4% of them not zero" in out
    (fire8,) = [line for line in out.splitlines() if "fire8_expand3x3" in line]
    assert fire8.split()[1:4] == ["3x3x64x256", "147,456", "29.9%"]


def test_folder_of_compress_is_shown_by_its_report(run, tmp_path):
    stage = {"name": "dense", "accuracy": 0.9, "density": 1.0, "seconds": 2.5}
    stage |= {"distinct_values": 4096, "bytes": 2_905_128}
    stage |= {"gzip_bytes": 2_691_234, "huffman_bytes": 2_712_345}
    summary = {"version": 3, "stages": [stage], "layers": [], "files": []}
    summary |= {"dataset": {"test_images": 1000}, "packing": None}
    (tmp_path / "report.json").write_text(json.dumps(summary))
    lines = run(tmp_path).splitlines()
    titles = [line.strip() for line in lines if line[:1].isupper()]
    assert titles == ["Stages", "Layers", "Files"]
    (row,) = [line.split() for line in lines if line.startswith("dense")]
    assert row == [
        *("dense", "90.00%", "100.0%", "4,096", "2.5"),
        # An older report does not have the operations.
        *("-", "2,905,128", "2,712,345"),
    ]
    assert json.loads(run(tmp_path, "--json")) == summary


def test_one_path_is_expected(run):
    with pytest.raises(ValueError, match="one model must be given"):
        run()


def test_folder_with_another_report_is_refused(run, tmp_path):
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(ValueError, match="of version 3. Received: version=No"):
        run(tmp_path)
