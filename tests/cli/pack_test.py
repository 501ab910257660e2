import dataclasses
import json
import os

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf
from PIL import Image

from keras_squeezenet import codec
from keras_squeezenet import packing
from keras_squeezenet.cli import pack
from keras_squeezenet.export import saved_model
from keras_squeezenet.packing import measurement
from keras_squeezenet.utils import files

SIDE = 16
CLASSES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("my photographs")
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 256, (20, 24, 3)).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module", autouse=True)
def few_points():
    """Few points of the rate-distortion curve, so that packing is quick."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        quarters.pack_few_points(monkeypatch)
        yield


@pytest.fixture(scope="module")
def packed(model_path, photographs):
    """A result of the library."""
    return packing.pack(model_path, photographs, max_kl=0.01)


@pytest.fixture
def run(run_command, photographs, tmp_path):
    """Return a function that runs the command, and returns what it prints."""

    def run(*arguments):
        status, out, _ = run_command(
            pack,
            *arguments,
            f"--dataset={photographs}",
            f"--out={tmp_path / 'out'}",
        )
        assert status == 0
        return out

    return run


@pytest.fixture
def called(packed, monkeypatch):
    """What `packing.pack` was called with; it gives what was packed before."""
    calls = {"result": packed}

    def fake_pack(model, data, **options):
        calls.update(model=model, data=data, **options)
        return calls["result"]

    monkeypatch.setattr(packing, "pack", fake_pack, raising=False)
    return calls


@pytest.mark.slow
def test_files_are_written_and_the_model_stays(
    run, model_path, packed, tmp_path
):
    before = model_path.read_bytes()
    summary = json.loads(
        run(model_path, "--max_kl=0.01", "--json", "--raw_images")
    )
    out = tmp_path / "out"
    assert sorted(os.listdir(out)) == [
        *("README.md", "model.sqz", "pack.json", "pack.png", "saved_model")
    ]
    assert json.loads((out / "pack.json").read_text()) == summary
    assert summary["bytes"] == (out / "model.sqz").stat().st_size
    assert summary["bytes"] == len(packed.content)
    assert 0 < summary["kl"] <= 0.01
    assert (summary["images"], summary["validation_images"]) == (10, 2)
    assert Image.open(out / "pack.png").size == (1350, 540)
    assert codec.read_labels(out / "model.sqz") == CLASSES
    loaded = codec.load(out / "model.sqz")
    model = keras.models.load_model(model_path)
    x = np.random.default_rng(1).normal(scale=60, size=(4, SIDE, SIDE, 3))
    x = x.astype("float32")
    np.testing.assert_allclose(
        loaded.predict_on_batch(x), model.predict_on_batch(x), atol=0.3
    )
    predict, _ = saved_model.load_signature(out / "saved_model")
    np.testing.assert_allclose(
        predict(x), loaded.predict_on_batch(x), atol=1e-5
    )
    saved = files.content(out / "saved_model")
    assert summary["saved_model_bytes"] == len(saved)
    reloaded = tf.saved_model.load(str(out / "saved_model"))
    images = tf.zeros((2, 30, 20, 3), tf.uint8)
    (outputs,) = reloaded.signatures["raw_images"](images=images).values()
    assert outputs.shape == (2, len(CLASSES))
    assert model_path.read_bytes() == before


def test_flags_reach_the_library(run, called, model_path, photographs):
    run(
        *(model_path, "--target_bytes=9000", "--finetune=12", "--seed=3"),
        *("--images=15",),
    )
    assert (called["model"], called["data"]) == (
        *(str(model_path), str(photographs)),
    )
    names = ("target_bytes", "finetune", "seed", "images", "config", "max_kl")
    assert [called[name] for name in names] == [9000, 12, 3, 15, None, None]
    run("imagenet", "--config=1.0", "--overwrite")
    assert called["config"] == "1.0"


def test_flags_of_a_data_set_reach_the_library(
    run_command, called, model_path, tmp_path
):
    flags = ("--dataset=cifar10", "--data_dir=there", "--skip_bad_images")
    run_command(pack, model_path, *flags, f"--out={tmp_path}/out")
    names = ("data", "data_dir", "skip_bad_images")
    assert [called[name] for name in names] == ["cifar10", "there", True]


def test_figures_and_what_to_run_next_are_printed(
    run_command, called, photographs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    _, out, _ = run_command(
        pack, "a.keras", f"--dataset={photographs}", "--out=over there"
    )
    packed = called["result"]
    lines = out.splitlines()
    assert any(f"{len(packed.content):,}" in line for line in lines)
    assert any(line.startswith("fire9_expand3x3") for line in lines)
    assert max(map(len, lines)) <= 80
    point = packed.point
    assert (
        "On 2 images that the network may have been trained on: divergence "
        f"{point.kl:.4f} ± {point.kl_error:.4f} nats, agreement "
        f"{point.agreement:.2%} ± {point.agreement_error:.2%}."
    ) in " ".join(out.split())
    assert "code training" not in out
    assert lines[-2:] == [
        "Written to over there",
        "Next: keras-squeezenet predict PHOTOGRAPHS "
        "'--model=over there/model.sqz'",
    ]


@pytest.mark.parametrize("lost", [0.005, 0.02])
def test_training_is_recommended_where_accuracy_is_lost(
    lost, run, called, packed
):
    values = {**vars(packed.point), "accuracy": 0.9 - lost}
    del values["lambda_"], values["bytes"], values["estimated_kl"]
    values |= {"accuracy_before": 0.9, "accuracy_error": 0.0}
    called["result"] = dataclasses.replace(
        packed, test=measurement.Measurement(**values), test_images=9
    )
    printed = run("a.keras", "--target_bytes=9000", "--seed=3")
    following = (
        "Training for this size loses less:\nNext: keras-squeezenet compress "
        "a.keras "
    )
    assert (following in printed) == (lost > 0.01)
    if lost > 0.01:
        size = f"--target_bytes={packed.point.bytes}"
        assert f"--seed=3 --recipe=small {size}" in printed


@pytest.mark.parametrize(
    "gain,words", [(0, "found no better codes."), (0.001, "Before code train")]
)
def test_gain_of_code_training_is_printed(gain, words, run, called, packed):
    better = dataclasses.replace(packed.point, kl=packed.point.kl - gain)
    called["result"] = dataclasses.replace(
        packed, point=better, code_training=[packed.point, better]
    )
    printed = run("a.keras", "--finetune=12")
    assert words in printed


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "one model must be given.*Received: none"),
        (
            ["a.keras", "--target_bytes=5", "--max_kl=1"],
            "Received: --target_bytes, --max_kl",
        ),
        (["a.keras", "--data_dir=there"], "data_dir"),
        (["a.keras", "--config=1.0"], "--config is for pretrained weights"),
        (["a.keras", "--images=9"], "--images must be an integer of at least"),
    ],
)
def test_bad_arguments_are_refused(run, called, arguments, error):
    with pytest.raises(ValueError, match=error):
        run(*arguments)
    assert "model" not in called


def test_photographs_are_asked_for(run_command, called):
    with pytest.raises(ValueError, match="photographs must be given: --datas"):
        run_command(pack, "a.keras")


def test_folder_with_content_is_refused_at_once(run, called, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        run("a.keras")
    assert "model" not in called


def test_folder_without_photographs_is_refused(
    run_command, model_path, tmp_path
):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty.*none"):
        run_command(
            *(pack, model_path, f"--dataset={tmp_path / 'empty'}"),
            f"--out={tmp_path / 'out'}",
        )
    assert not (tmp_path / "out").exists()
