import json
import os

import keras
import pytest

from keras_squeezenet import export as library
from keras_squeezenet import models
from keras_squeezenet.cli import export
from keras_squeezenet.export import exporter

FILE = exporter.ExportedFile(
    *("litert_int8", "model_int8.tflite", 12_345, "0" * 64, "raw"),
    max_difference=0.0123,
    agreement=0.975,
    accuracy=0.5,
)


@pytest.fixture
def called(monkeypatch):
    """What `export.export` was called with."""
    calls = {}

    def fake_export(model, to, out, **options):
        calls.update(model=model, to=to, out=out, **options)
        return exporter.ExportResult(
            *("mine.keras", 227, 3, 1000, 300, "test", 200, 0.55, (FILE,))
        )

    monkeypatch.setattr(library, "export", fake_export, raising=False)
    return calls


@pytest.fixture
def run(run_command, tmp_path):
    def run(*arguments):
        status, out, _ = run_command(
            export, *arguments, f"--out={tmp_path / 'out'}"
        )
        assert status == 0
        return out

    return run


def test_files_are_written_and_printed(run, tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))
    path = tmp_path / "mine.keras"
    models.save(model, path)
    out = run(path, "--to=litert,saved_model")
    written = json.loads((tmp_path / "out" / "export.json").read_text())
    assert sorted(os.listdir(tmp_path / "out")) == [
        *("export.json", "model.tflite", "saved_model")
    ]
    assert written["model"] == str(path)
    (litert, saved_model) = written["files"]
    assert f"{litert['bytes']:,}" in out
    assert "Compared with the Keras model on 8 random images." in out
    assert max(litert["max_difference"], saved_model["max_difference"]) < 1e-5


def test_flags_reach_the_library(run, called, tmp_path):
    run(
        *("a.keras", "--to=litert_int8", "--calibration=photos"),
        *("--dataset=flowers", "--images=120", "--input=preprocessed"),
        *("--seed=3", "--skip_bad_images", "--data_dir=there", "--overwrite"),
        "--runtime=tfjs",
    )
    assert called.pop("progress")
    assert called == {
        "model": "a.keras",
        "to": ["litert_int8"],
        "out": str(tmp_path / "out"),
        "calibration": "photos",
        "test": "flowers",
        "input": "preprocessed",
        "config": None,
        "image_size": None,
        "class_names": None,
        "normalization": None,
        "images": 120,
        "data_dir": "there",
        "seed": 3,
        "skip_bad_images": True,
        "runtime": "tfjs",
        "overwrite": True,
    }


def test_figures_are_printed(run, called):
    lines = run("a.keras", "--to=litert").splitlines()
    (row,) = [line for line in lines if line.startswith("model_int8.tflite")]
    assert row.split()[1:] == ["12,345", "1.2e-02", "97.50%", "50.00%"]
    assert (
        "Compared with the Keras model on 200 test images; its accuracy is "
        "55.00%."
    ) in " ".join(lines)
    # The last line has the path of the folder.
    assert max(map(len, lines[:-1])) <= 80


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--to=litert"], "one model must be given"),
        (["a.keras"], "a format must be given.*Received: none"),
        (["a.keras", "--to=litret"], "'litret'. Did you mean 'litert'?"),
        (["a.keras", "--to=litert", "--config=1.0"], "--config is for"),
        (["a.keras", "--to=litert", "--images=0"], "--images must be"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, run, called):
    with pytest.raises(ValueError, match=error):
        run(*arguments)
    assert not called


def test_folder_with_content_is_refused_at_once(run, called, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        run("a.keras", "--to=litert")
    assert not called
