import os
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import Stem
from keras_squeezenet import architecture
from keras_squeezenet import compression
from keras_squeezenet import data
from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import compress
from keras_squeezenet.cli import terminal
from keras_squeezenet.compression import compression_run
from keras_squeezenet.training import network
from keras_squeezenet.training import training_run

CLASSES = ("bird", "cat", "dog")
SIDE = 28
SLIM = SqueezeNetConfig(
    base_e=8, incr_e=8, SR=0.25, stem=Stem(8)
).for_small_images()
SLIM_FLAG = '--config={"base_e": 8, "incr_e": 8, "stem": {"filters": 8}}'


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

    def fake_train(model, data, **options):
        calls["training"] = options
        return types.SimpleNamespace(model=model)

    monkeypatch.setattr(
        report, "tables", lambda summary: [report.Table("T", ("a",), [("b",)])]
    )
    monkeypatch.setattr(compression, "compress", fake_compress, raising=False)
    monkeypatch.setattr(training, "train", fake_train, raising=False)
    return calls


@pytest.fixture
def run(run_command, tmp_path):
    """Return a function that runs the command, and returns what it prints."""

    def run(*arguments, out=tmp_path / "out"):
        status, printed, err = run_command(compress, f"--out={out}", *arguments)
        assert (status, err) == (0, "")
        return printed

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
    for one, other in zip(
        model.get_weights(), expected.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_network_is_compressed_for_smaller_images(
    run, load, compressed, trained, tmp_path
):
    model, path = trained
    recipe = tmp_path / "smaller.yaml"
    recipe.write_text("image_size: 20\ndistillation: 0.5\n")
    load["dataset"] = make_dataset(20)
    for flags in (["--image_size=20"], [f"--recipe={recipe}"]):
        run(str(path), *flags)
        assert compressed["recipe"].image_size == 20
        assert load["calls"][-1][1]["image_size"] == 20
        # The network as it is teaches, where a network teaches.
        assert compressed["model"].input_shape == (None, SIDE, SIDE, 3)
        assert_same_weights(compressed["model"], model)
        assert compressed["teacher"] is None


def test_flags_are_the_recipe(run, compressed):
    run(SLIM_FLAG)
    assert compressed["recipe"] == compression.Recipe()
    run(SLIM_FLAG, "--recipe=paper", "--batch_size=64")
    paper = compression.RECIPES["paper"]
    assert compressed["recipe"] == paper.replace(batch_size=64)


def test_validation_images_are_split_off(run, compressed, load):
    run(SLIM_FLAG, "--image_size=96", "--seed=5")
    ((name, options),) = load["calls"]
    assert (name, options["image_size"], options["seed"]) == ("mnist5k", 96, 5)
    found = compressed["data"]
    # A tenth of four images, but at least one.
    sizes = (found.train_size, found.validation_size, found.test_size)
    assert (found.name, *sizes) == ("pets", 3, 1, 4)


@pytest.mark.parametrize(
    "arguments,overwrite",
    [([], False), (["--overwrite"], True), (["--nooverwrite"], False)],
)
def test_output_folder_is_passed_on(
    arguments, overwrite, run, compressed, tmp_path
):
    run(SLIM_FLAG, *arguments)
    assert compressed["out"] == tmp_path / "out"
    assert compressed["overwrite"] is overwrite


@pytest.mark.parametrize(
    "side,config,filters,kernel,stride,padding,conv10_padding",
    [
        (SIDE, "1.1", 64, 3, 1, "same", 0),
        (network.SMALL_IMAGE_SIZE, "complex_bypass", 96, 3, 1, "same", 0),
        (network.SMALL_IMAGE_SIZE + 1, "1.0", 96, 7, 2, "valid", 1),
        (96, "1.1", 64, 3, 2, "valid", 0),
    ],
)
def test_network_fits_the_images_and_has_no_relu_to_get_stuck_in(
    side,
    config,
    filters,
    kernel,
    stride,
    padding,
    conv10_padding,
    run,
    compressed,
    load,
):
    load["dataset"] = make_dataset(side)
    run(f"--config={config}")
    model = compressed["model"]
    assert model.input_shape == (None, side, side, 3)
    assert model.output_shape == (None, len(CLASSES))
    conv1 = model.get_layer("conv1")
    assert (conv1.kernel_size, conv1.strides) == ((kernel,) * 2, (stride,) * 2)
    assert (conv1.filters, conv1.padding) == (filters, padding)
    assert conv1.activation is keras.activations.relu
    assert model.get_layer("conv10").activation is keras.activations.linear
    names = [layer.name for layer in model.layers]
    assert names.count("conv10_pad") == conv10_padding
    assert ("fire2_bypass1x1" in names) is (config == "complex_bypass")


def test_network_is_the_same_for_the_same_seed(run, compressed):
    kernels = []
    for seed in (3, 3, 4):
        run(SLIM_FLAG, f"--seed={seed}")
        kernels.append(compressed["model"].get_layer("conv1").get_weights()[0])
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert (kernels[0] != kernels[2]).any()


@pytest.mark.parametrize("side,suffix", [(SIDE, ".npz"), (96, ".weights.h5")])
def test_weights_are_those_of_the_backbone(
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
        assert_same_weights(model.get_layer(name), pretrained.get_layer(name))
    kernel, bias = model.get_layer("conv10").get_weights()
    assert kernel.shape == (1, 1, 512, len(CLASSES))
    assert kernel.std() == pytest.approx(0.01, rel=0.2)
    assert not bias.any()


def test_new_network_is_trained_first(run, compressed, tmp_path):
    run(
        *("--train_epochs=3", "--learning_rate=0.25", "--batch_size=16"),
        *("--seed=5", "--tensorboard=logs", "--resume", SLIM_FLAG),
    )
    options = compressed["training"]
    assert options["recipe"] == training.Recipe(
        epochs=3, learning_rate=0.25, batch_size=16, seed=5
    )
    assert options["out"] == tmp_path / "out" / compression_run.TRAINING_FOLDER
    assert str(options["tensorboard"]) == os.path.join("logs", "dense")
    assert options["resume"] is compressed["resume"] is True
    assert compressed["trained"].model is compressed["model"]


def test_loss_is_that_of_the_new_network_and_of_every_stage(run, compressed):
    run(SLIM_FLAG, "--class_weight=balanced", "--focal=2")
    for options in (compressed, compressed["training"]):
        assert options["recipe"].class_weight == "balanced"
        assert options["recipe"].focal == 2


def test_teacher_teaches_the_new_network_and_every_stage(run, compressed):
    run(SLIM_FLAG)
    assert compressed["teacher"] is compressed["training"]["teacher"] is None
    run(SLIM_FLAG, "--teacher=imagenet", "--distillation=0.25")
    for options in (compressed, compressed["training"]):
        assert options["teacher"] == "imagenet"
        assert options["recipe"].distillation == 0.25


def test_network_is_its_own_teacher_in_the_stages_alone(run, compressed):
    run(SLIM_FLAG, "--distillation=0.25", "--temperature=2")
    assert compressed["recipe"].distillation == 0.25
    assert compressed["training"]["recipe"].distillation is None


def test_photographs_without_labels_are_those_of_the_model(
    run, compressed, load, trained, tmp_path
):
    (tmp_path / "photo.jpg").touch()
    photographs = f"--dataset={tmp_path}"
    load["dataset"] = make_dataset(class_names=())
    run(trained[1], photographs)
    ((_, options),) = load["calls"]
    assert options["labeled"] is False
    assert not compressed["data"].is_labeled
    with pytest.raises(ValueError, match="without labels need a teacher"):
        run(SLIM_FLAG, photographs)


def test_trained_model_is_not_trained_again(run, compressed, trained):
    model, path = trained
    for argument in (path, f"--model={path}"):
        run(argument)
        assert "training" not in compressed
        assert compressed["trained"] is None
        assert compressed["model"].name == "trained"
        assert_same_weights(compressed["model"], model)


def test_images_have_the_size_of_the_model(run, compressed, load, trained):
    run(trained[1])
    ((_, options),) = load["calls"]
    assert options["image_size"] == SIDE


@pytest.mark.parametrize(
    "flag",
    [
        *("--config=1.0", "--weights=imagenet"),
        *("--train_epochs=3", "--learning_rate=0.1"),
    ],
)
def test_trained_model_takes_no_flag_of_a_new_one(flag, run, compressed):
    with pytest.raises(ValueError, match="is for a new network"):
        run("trained.keras", flag)


@pytest.mark.parametrize(
    "flags, stage",
    [
        (["--bits=5"], "cluster, .* Received: --bits, stages=prune,quantize"),
        (["--stages=prune", "--max_kl=1"], "pack, "),
        (["--recipe=paper", "--target_bytes=1000"], "pack, "),
        (["--recipe=fast_inference", "--prune_epochs=2"], "prune, "),
    ],
)
def test_flag_of_a_stage_that_is_left_out_is_refused(
    flags, stage, run, compressed
):
    with pytest.raises(ValueError, match=f"is for the stage {stage}"):
        run(SLIM_FLAG, *flags)
    assert not compressed
    run(SLIM_FLAG, "--stages=cluster", "--bits=5")
    assert compressed["recipe"].bits == {"*": 5}


@pytest.mark.parametrize(
    "flag,message",
    [
        ("--prune_epochs=0", "`prune_epochs` .* be .*prune_epochs=0"),
        ("--learning_rate=-1", "--learning_rate must be a number of at least"),
        ("--weights=imagnet", "Did you mean 'imagenet'"),
        ("--data_dir=there", "data_dir.*Received: 'mnist5k'"),
        ("missing.keras", "missing.keras"),
        ("--temperature=2", "--temperature is for .*--teacher or --distill"),
        ("--teacher=missing.keras", "missing.keras"),
    ],
)
def test_bad_flag_is_refused_at_once(flag, message, run, load, tmp_path):
    with pytest.raises((ValueError, OSError), match=message):
        run(flag)
    assert load["calls"] == []
    assert not (tmp_path / "out").exists()


def test_output_folder_with_content_is_refused_at_once(run, load, tmp_path):
    earlier = tmp_path / "out" / "model.keras"
    earlier.parent.mkdir()
    earlier.write_text("an earlier run")
    with pytest.raises(FileExistsError, match="out is not empty"):
        run()
    assert load["calls"] == []
    assert earlier.read_text() == "an earlier run"


def test_unknown_data_set_is_an_error_with_similar_names(run, tmp_path):
    with pytest.raises(ValueError, match="'mnist_5k'.*'mnist5k'"):
        run("--dataset=mnist_5k")
    assert not (tmp_path / "out").exists()


def test_work_is_announced_and_its_result_printed(run, compressed):
    printed = run(out="over there")
    text = " ".join(printed.split())
    assert text.startswith("load data ")
    assert (
        "squeezenet, 724,035 parameters, on pets: 3 classes, images of 28x28: "
        "3 training, 1 validation, 4 test" in text
    )
    assert " T a ─ b " in text
    assert printed.splitlines()[-4:] == [
        "Written to over there",
        "Report: over there/report.html",
        "Next: keras-squeezenet predict PHOTOGRAPHS "
        "'--model=over there/model.sqz'",
        "Next: keras-squeezenet evaluate 'over there/model.sqz' "
        "--dataset=mnist5k",
    ]


@pytest.mark.parametrize(
    "path",
    ["/cats/1 [copy].jpg", "/cats[/old].jpg", "/cats/" + "1" * 80],
    ids=["tag", "closing tag", "long"],
)
def test_skipped_images_are_named_as_they_are(path, run, compressed, load):
    load["dataset"] = make_dataset(skipped=(path, "/dogs/2.jpg"))
    lines = run(SLIM_FLAG, out=path.lstrip("/")).splitlines()
    assert f"skipped, cannot be read: {path}" in lines
    assert "skipped, cannot be read: /dogs/2.jpg" in lines
    assert f"Written to {path.lstrip('/')}" in lines


def test_skipped_file_names_need_not_be_unicode(run, compressed, load):
    path = os.fsdecode(b"/cats/\xff.jpg")
    load["dataset"] = make_dataset(skipped=(path,))
    printed = run(SLIM_FLAG)
    assert compressed["data"].skipped == (path,)
    assert "cannot be read: /cats/" in printed


@pytest.mark.parametrize("stage", ["training", "compression"])
def test_ctrl_c_says_how_to_resume_where_there_is_a_checkpoint(
    stage, run, compressed, monkeypatch, tmp_path
):
    last = tmp_path / "out" / compression_run.CHECKPOINT_FILE
    if stage == "training":
        last = (
            last.with_name(compression_run.TRAINING_FOLDER)
            / training_run.LAST_FILE
        )

    def stop(model, data, **options):
        raise KeyboardInterrupt

    def stop_later(model, data, **options):
        last.parent.mkdir(parents=True)
        last.touch()
        raise KeyboardInterrupt

    module, name = {
        "training": (training, "train"),
        "compression": (compression, "compress"),
    }[stage]
    monkeypatch.setattr(module, name, stop)
    with pytest.raises(KeyboardInterrupt, match="^$"):
        run(SLIM_FLAG)
    monkeypatch.setattr(module, name, stop_later)
    with pytest.raises(KeyboardInterrupt, match="with --resume continues"):
        run(SLIM_FLAG)


@pytest.mark.slow
def test_ctrl_c_before_the_first_epoch_ends_leaves_nothing(
    run, dataset, load, monkeypatch, tmp_path
):
    def stop(metrics):
        raise KeyboardInterrupt

    load["dataset"] = dataset
    monkeypatch.setattr(terminal, "format_metrics", stop)
    out = tmp_path / "runs" / "out"
    with pytest.raises(KeyboardInterrupt, match="^$"):
        run(SLIM_FLAG, out=out)
    assert not out.parent.exists()
