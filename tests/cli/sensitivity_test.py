import json
import types

import keras
import pytest

from keras_squeezenet import compression
from keras_squeezenet import data
from keras_squeezenet.cli import sensitivity
from keras_squeezenet.compression import tf_keras_twin

SCAN = {
    "images": 12,
    "accuracy": 0.75,
    "layers": [
        {
            "name": name,
            "weights": 1234,
            "densities": [
                {"density": 0.5, "accuracy": 0.5},
                {"density": 0.1, "accuracy": 0.25},
            ],
            "bits": [
                {"bits": 8, "accuracy": 0.75},
                {"bits": 2, "accuracy": 0.125},
            ],
        }
        for name in ("conv1", "fire2_squeeze1x1")
    ],
}


@pytest.fixture
def run(run_command, dataset, monkeypatch):
    """Return a function that runs the command, and returns what it prints."""
    monkeypatch.setattr(data, "load", lambda name, **options: dataset)

    def run(*arguments):
        status, out, _ = run_command(sensitivity, *arguments)
        assert status == 0
        return out

    return run


@pytest.fixture
def called(monkeypatch):
    """What the library was called with; it measures nothing."""
    calls = {}

    def fake_scan(model, data, **options):
        calls.update(model=model, data=data, **options)
        return types.SimpleNamespace(to_json=lambda: SCAN)

    monkeypatch.setattr(
        compression, "scan_sensitivity", fake_scan, raising=False
    )
    return calls


@pytest.mark.slow
def test_files_have_the_figures_and_the_model_stays(run, model_path, tmp_path):
    content = model_path.read_bytes()
    out = tmp_path / "out"
    flags = ["--densities=0.5", "--bits=4", "--images=4"]
    printed = run(model_path, *flags, f"--out={out}")
    scan = json.loads((out / "sensitivity.json").read_text())
    assert scan["images"] == 4
    kernels = tf_keras_twin.kernels(keras.models.load_model(model_path))
    assert [row["name"] for row in scan["layers"]] == list(kernels)
    for row in scan["layers"]:
        assert row["weights"] == kernels[row["name"]].size
        assert f"{row['name']} " in printed
    assert (out / "sensitivity.png").read_bytes().startswith(b"\x89PNG")
    assert model_path.read_bytes() == content


def test_tables_have_the_figures_of_the_json(run, called, model_path, tmp_path):
    printed = run(model_path, f"--out={tmp_path / 'out'}")
    lines = [line.split() for line in printed.splitlines()]
    text = " ".join(printed.split())
    assert "75.00% on 12 images without compression" in text
    assert ["layer", "weights", "50%", "10%"] in lines
    assert ["conv1", "1,234", "50.00%", "25.00%"] in lines
    assert ["layer", "weights", "8", "bits", "2", "bits"] in lines
    assert ["fire2_squeeze1x1", "1,234", "75.00%", "12.50%"] in lines
    text = (tmp_path / "out" / "sensitivity.json").read_text()
    assert json.loads(text) == SCAN
    assert json.loads(run(model_path, "--json")) == SCAN


def test_flags_reach_the_library(run, called, model_path, dataset):
    run(
        *(f"--model={model_path}", "--densities=0.5,0.1", "--bits=8,2"),
        *("--images=6", "--seed=3"),
    )
    assert called["data"] is dataset
    assert called["model"].input_shape == (None, 16, 16, 3)
    names = ("densities", "bits", "images", "seed")
    assert [called[name] for name in names] == [[0.5, 0.1], [8, 2], 6, 3]


@pytest.mark.parametrize(
    "arguments,message",
    [
        ([], "one model must be given.* Received: none"),
        (["a.h5"], "Received: a.h5"),
        (["a.keras", "--densities=0"], "at most 1. Received: --densities=0"),
        (["a.keras", "--bits=x"], "from 2 to 8. Received: --bits=x"),
        (["a.keras", "--bits="], "from 2 to 8. Received: --bits="),
        (["a.keras", "--overwrite"], "--overwrite needs --out"),
        (["a.keras", "--data_dir=there"], "data_dir"),
        (["missing.keras"], "missing.keras"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, run, called):
    with pytest.raises((ValueError, OSError), match=message):
        run(*arguments)
    assert not called


def test_folder_with_content_is_refused_before_the_scan(
    run, called, model_path, tmp_path
):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        run(model_path, f"--out={tmp_path}")
    assert not called


def test_model_of_another_shape_is_refused(run, make_model, tmp_path):
    model = keras.models.clone_model(
        make_model(), input_tensors=keras.Input((32, 32, 3))
    )
    model.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"16, 16, 3\).*32, 32, 3\)"):
        run(tmp_path / "other.keras")
