import json
import os

import keras
import pytest

from keras_squeezenet import classifier
from keras_squeezenet import models
from keras_squeezenet.cli import benchmark
from keras_squeezenet.evaluation import latency


@pytest.fixture
def timed(monkeypatch):
    """What is timed, in fixed times: 10 ms for Keras, 5 for each other."""
    calls = {}

    def measure(paths, batch_sizes, **options):
        assert all(map(os.path.exists, paths.values()))
        calls.update(paths=paths, batch_sizes=batch_sizes, **options)
        return [
            latency.summarize(name, size, [seconds * size] * 3, 70.4)
            for size in batch_sizes
            for name in paths
            for seconds in [0.01 if name == "keras.keras" else 0.005]
        ]

    monkeypatch.setattr(latency, "measure", measure)
    return calls


@pytest.fixture
def model_path(tmp_path, monkeypatch):
    monkeypatch.setattr(
        benchmark,
        "available",
        lambda is_calibrated: (["litert"], ["onnx is not installed"]),
    )
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))
    models.save(model, tmp_path / "mine.keras")
    return tmp_path / "mine.keras"


@pytest.fixture
def run(run_command):
    def run(*arguments):
        status, out, _ = run_command(benchmark, *arguments)
        assert status == 0
        return out

    return run


def test_ratios_are_to_keras(run, timed, model_path, tmp_path):
    out = tmp_path / "out"
    printed = run(
        model_path, "--batch_size=8", "--threads=2", "--calls=9", f"--out={out}"
    )
    assert timed["batch_sizes"] == [1, 8]
    assert (timed["threads"], timed["calls"]) == (2, 9)
    lines = [line.split() for line in printed.splitlines()]
    rows = {line[0]: line[1:6] for line in lines if len(line) == 7}
    assert rows == {
        "keras.keras": ["10.00", "1.00", "80.00", "1.00", "70"],
        "model.tflite": ["5.00", "0.50", "40.00", "0.50", "70"],
    }
    assert "Not timed: onnx is not installed" in printed
    written = json.loads((out / "benchmark.json").read_text())
    assert written["files"][1]["8"]["median"] == pytest.approx(40)
    assert (out / "benchmark.png").read_bytes().startswith(b"\x89PNG")


def test_keras_takes_images_of_the_size_of_the_files(
    run, timed, model_path, monkeypatch
):
    model = keras.models.load_model(model_path)
    config = model.get_config()
    config["layers"][0]["config"]["batch_shape"] = (None, None, None, 3)
    models.save(keras.Model.from_config(config), model_path)
    measure, sides = latency.measure, {}

    def look(paths, *arguments, **options):
        for name, path in paths.items():
            sides[name] = classifier.load(path).image_size
        return measure(paths, *arguments, **options)

    monkeypatch.setattr(latency, "measure", look)
    run(model_path, "--image_size=12")
    assert sides == {"keras.keras": 12, "model.tflite": 12}


def test_files_of_an_export_are_timed(run, timed, tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"")
    row = {"name": "model.tflite", "bytes": 1234, "accuracy": 0.5}
    page = {"format": "web", "name": "web", "bytes": 1, "accuracy": 0.5}
    manifest = {
        "model": "mine",
        "image_size": 8,
        "accuracy": 0.5,
        "files": [row, page],
    }
    (tmp_path / "export.json").write_text(json.dumps(manifest))
    summary = json.loads(run(tmp_path, "--json", "--batch_size=1"))
    assert timed["batch_sizes"] == [1]
    (found,) = summary["files"]
    assert (found["bytes"], found["accuracy"]) == (1234, 0.5)
    assert found["1"]["median"] == pytest.approx(5)


def test_manifest_of_another_program_is_refused(run, timed, tmp_path):
    (tmp_path / "export.json").write_text('{"files": [1]}')
    with pytest.raises(ValueError, match="is not the manifest of an export"):
        run(tmp_path)
    assert not timed


def test_formats_that_cannot_be_timed_are_named():
    chosen, left_out = benchmark.available(is_calibrated=False)
    assert {"litert", "saved_model"} <= set(chosen)
    assert "web" not in chosen
    assert "the format litert_int8 needs --calibration" in left_out
    assert "litert_int8" in benchmark.available(is_calibrated=True)[0]
