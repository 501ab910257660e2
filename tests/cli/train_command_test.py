import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import types

import keras
import pytest

from keras_squeezenet import data
from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import train
from keras_squeezenet.data import image_dataset
from keras_squeezenet.training import distributed
from keras_squeezenet.training import trainer

# No value is a default.
RECIPE = training.Recipe(
    epochs=7,
    batch_size=16,
    accumulation=2,
    max_train_steps=15,
    seed=18,
    validation_share=0.25,
    optimizer="sgd",
    momentum=0.5,
    learning_rate=0.25,
    schedule="linear",
    warmup=0.2,
    clip_norm=2.0,
    restarts=1,
    weight_decay=0.125,
    label_smoothing=0.2,
    augmentation="crop",
    rand_augment=0.3,
    mixup=0.4,
    cutmix=0.6,
    average=0.5,
    patience=3,
    precision="mixed_bfloat16",
)
REPORT = {
    "history": [{}, {}, {}],
    "best_epoch": 2,
    "validation_accuracy": 0.975,
    "test_accuracy": 0.9625,
    "seconds": 12.34,
    "images_per_second": 1234.5,
}


@pytest.fixture
def trained(monkeypatch, dataset):
    """What `training.train` was called with; it trains nothing."""
    calls = {}

    def fake_train(model, images, **options):
        calls.update(model=model, images=images, **options)
        return types.SimpleNamespace(to_json=lambda: REPORT)

    monkeypatch.setattr(data, "load", lambda name, **options: dataset)
    monkeypatch.setattr(training, "train", fake_train, raising=False)
    return calls


@pytest.fixture
def run(run_main, tmp_path):
    """Returns a function that runs the command with command line flags."""

    def run(*arguments, out=tmp_path / "out"):
        run_main(train, f"--out={out}", *arguments)

    return run


def test_default_is_the_default_recipe(run, trained):
    run()
    assert trained["recipe"] == training.RECIPES["default"]


def test_every_field_of_a_recipe_is_a_flag(run, trained):
    default = dataclasses.asdict(training.RECIPES["default"])
    values = dataclasses.asdict(RECIPE)
    for name, value in values.items():
        assert value != default[name], name
    run(*(f"--{name}={value}" for name, value in values.items()))
    assert trained["recipe"] == RECIPE


def test_augmentation_can_be_turned_off(run, trained):
    run("--augmentation=none")
    assert trained["recipe"].augmentation is None


def test_recipe_by_name_and_from_a_file(run, trained, tmp_path):
    run("--recipe=paper", "--epochs=2")
    assert trained["recipe"] == training.RECIPES["paper"].replace(epochs=2)
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 3\nmixup: 0.5\n")
    run(f"--recipe={path}")
    assert trained["recipe"] == training.Recipe(epochs=3, mixup=0.5)


@pytest.mark.parametrize("flag", ["--epochs=0", "--mixup=2", "--recipe=tiny"])
def test_bad_flag_is_refused_at_once(flag, run, trained, tmp_path):
    name = flag.strip("-").partition("=")[0]
    with pytest.raises(ValueError, match=f"{name}.* must be .*{name}="):
        run(flag)
    assert not trained
    assert not (tmp_path / "out").exists()


def test_network_is_that_of_the_flags_for_the_images(run, trained):
    run('--config={"base_e": 16, "incr_e": 16, "pools": ["conv1"]}')
    model = trained["model"]
    assert model.input_shape == (None, 16, 16, 3)
    assert model.output_shape == (None, 4)
    assert model.get_layer("fire2_expand3x3").filters == 8


def test_images_are_held_out_and_flags_passed_on(run, trained, tmp_path):
    run("--validation_share=0.25", "--overwrite", "--tensorboard=logs")
    assert trained["images"].validation_size == 16
    assert trained["out"] == str(tmp_path / "out")
    assert trained["overwrite"] and not trained["resume"]
    assert trained["tensorboard"] == "logs"


def test_result_and_what_to_run_next_are_printed(run, trained, capsys):
    run("--data_dir=pictures", out="there")
    lines = capsys.readouterr().out.splitlines()
    text = " ".join(" ".join(lines).split())
    assert "on quarters: 4 classes, images of 16x16" in text
    assert "3 2 97.50% 96.25% 12.3 1,234" in text
    assert (
        "Written: model.keras, history.csv, report.json, last.npz in there"
        in lines
    )
    assert (
        "Next: keras-squeezenet compress --model=there/model.keras "
        "--dataset=mnist5k --data_dir=pictures" in lines
    )


def test_earlier_run_is_refused_before_images_are_loaded(
    run, monkeypatch, tmp_path
):
    monkeypatch.setattr(data, "load", None)
    (tmp_path / trainer.LAST_FILE).touch()
    with pytest.raises(FileExistsError, match="pass --resume"):
        run(out=tmp_path)


def test_one_device_unless_told_otherwise(run, trained):
    run()
    assert type(trained["distribution"]) is distributed.Distribution


def test_workers_are_those_of_the_flag_and_the_first_one_prints(
    run, trained, monkeypatch, capsys
):
    asked = []
    workers = distributed.Distribution()

    def distribute(name):
        asked.append(name)
        return workers

    monkeypatch.setattr(distributed, "distribute", distribute)
    for index, prints in enumerate((True, False)):
        workers.shard = image_dataset.Shard(index, 2)
        run("--distribution=multi_worker")
        assert trained["distribution"] is workers
        assert bool(capsys.readouterr().out) is prints
    assert asked == ["multi_worker"] * 2


def test_missing_cluster_is_refused_before_images_are_loaded(run, monkeypatch):
    monkeypatch.setattr(data, "load", None)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="TF_CONFIG must name two workers"):
        run("--distribution=multi_worker")


# Ctrl-C works even where the process that started it ignores it.
COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from keras_squeezenet.cli import main
main.run(["keras-squeezenet", *sys.argv[1:]])
"""
SMALL = (
    "--dataset=mnist5k",
    "--image_size=16",
    "--recipe=paper",
    '--config={"base_e": 16, "incr_e": 16}',
)


@pytest.fixture
def start(tmp_path):
    """Returns a function that starts a command in a process of its own."""
    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *map(str, arguments)],
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
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_ctrl_c_keeps_the_last_epoch_and_says_how_to_go_on(start, tmp_path):
    pytest.importorskip("mlxtend")
    out = tmp_path / "out"
    arguments = ("train", *SMALL, "--batch_size=500", f"--out={out}")
    process = start(*arguments, "--epochs=1000")
    deadline = time.monotonic() + 300
    while not (out / report.JSON_FILE).exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert stdout.splitlines()[-1] == (
        "keras-squeezenet train: stopped. The last epoch that was finished is "
        "kept: the same command with --resume goes on from there."
    )
    assert sorted(os.listdir(out)) == sorted(trainer.FILES)
    assert json.loads((out / report.JSON_FILE).read_text())["history"]
    keras.models.load_model(out / trainer.MODEL_FILE)


@pytest.mark.slow
def test_other_commands_take_the_model(start, tmp_path, shared_data):
    out = tmp_path / "out"
    photographs = shared_data / "flowers12"
    for arguments in (
        (
            "train",
            f"--dataset={photographs}",
            "--image_size=32",
            "--max_train_steps=2",
            "--rand_augment=0",
            f"--out={out}",
        ),
        (
            "predict",
            f"--weights={out / 'model.keras'}",
            "--top=1",
            "--json",
            next((photographs / "test").rglob("*.jpg")),
        ),
    ):
        process = start(*arguments)
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
    (result,) = json.loads(stdout)
    label = result["predictions"][0]["label"]
    assert label in os.listdir(photographs / "train")
