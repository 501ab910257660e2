import types

import numpy as np
import pytest

from keras_squeezenet import data
from keras_squeezenet import training
from keras_squeezenet.cli import finetune

PHASE = {"seconds": 1.25, "validation_accuracy": 0.975, "test_accuracy": 0.95}
RESULT = types.SimpleNamespace(
    several_labels=None,
    kept="all",
    dataset={"labeled_by_teacher": []},
    phases=[
        {"name": "head", **PHASE},
        {"name": "top", **PHASE, "history": [{}]},
        {"name": "all", **PHASE, "history": [{}, {}]},
    ],
)


@pytest.fixture
def called(monkeypatch, dataset):
    """What `training.finetune` was called with; it trains nothing."""
    calls = {}

    def fake_finetune(model, images, **options):
        calls.update(model=model, images=images, **options)
        return RESULT

    monkeypatch.setattr(data, "load", lambda name, **options: dataset)
    monkeypatch.setattr(training, "finetune", fake_finetune, raising=False)
    return calls


@pytest.fixture
def run(run_command, tmp_path):
    """Returns a function that runs the command with command line flags."""

    def run(*arguments, out=tmp_path / "out"):
        return run_command(finetune, f"--out={out}", *arguments)

    return run


def test_head_and_phases_learn_as_the_flags_say(run, called):
    run(
        *("--weights=cifar10", "--class_weight=a:2,d:0.5", "--focal=2"),
        *("--label_smoothing=0.1", "--seed=3", "--top_epochs=0"),
    )
    (phase,) = called["phases"]
    for recipe in (called["recipe"], phase.recipe):
        assert recipe.class_weight == {"a": 2, "d": 0.5}
        assert (recipe.focal, recipe.label_smoothing) == (2, 0.1)
        assert recipe.seed == 3


def test_defaults_are_the_librarys_and_weights_those_of_the_flag(run, called):
    _, out, _ = run("--weights=cifar10", out="there")
    assert called["phases"] == list(training.PHASES)
    expected = training.build(32, 4, weights="cifar10")
    for name in ("conv1", "fire9_expand3x3"):
        np.testing.assert_array_equal(
            called["model"].get_layer(name).get_weights()[0],
            expected.get_layer(name).get_weights()[0],
        )
    lines = out.splitlines()
    rows = [line.split() for line in lines]
    assert ["head", "1.2", "97.50%", "95.00%"] in rows
    assert ["all", "2", "1.2", "97.50%", "95.00%", "yes"] in rows
    assert lines[-3:] == [
        "Written: model.keras, report.json, README.md in there",
        "Next: keras-squeezenet predict PHOTOGRAPHS --model=there/model.keras",
        "Next: keras-squeezenet compress there/model.keras --dataset=mnist5k "
        "--out=there/small",
    ]


def test_learning_curve_is_drawn_on_request(run, called):
    run("--weights=cifar10")
    assert not called["learning_curve"]
    run("--weights=cifar10", "--learning_curve")
    assert called["learning_curve"]


def test_flags_change_every_phase(run, called):
    run(
        "--weights=cifar10",
        "--top_epochs=0",
        "--all_epochs=3",
        "--learning_rate_factor=0.5",
        "--augmentation=none",
        "--batch_size=8",
        "--seed=4",
        "--precision=mixed_bfloat16",
    )
    (phase,) = called["phases"]
    default = training.PHASES[1]
    assert phase.name == "all" and phase.modules is None
    assert phase.recipe == default.recipe.replace(
        epochs=3,
        learning_rate=default.recipe.learning_rate / 2,
        augmentation=None,
        batch_size=8,
        seed=4,
        precision="mixed_bfloat16",
    )


def test_teacher_teaches_in_every_phase(run, called):
    run(
        *("--weights=cifar10", "--teacher=imagenet"),
        *("--distillation=0.25", "--temperature=2"),
    )
    assert called["teacher"] == "imagenet"
    assert len(called["phases"]) == 2
    for phase in called["phases"]:
        assert phase.recipe.distillation == 0.25
        assert phase.recipe.temperature == 2


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--distillation=0.5"], "`distillation` needs a teacher"),
        (["--distillation=2"], "`distillation` must be from 0 to 1"),
        (["--temperature=2"], "--temperature is for distillation"),
        (["--teacher=imagnet"], "Did you mean 'imagenet'"),
        (
            ["--teacher=imagenet", "--top_epochs=0", "--all_epochs=0"],
            "phases after the head, and there must be one",
        ),
    ],
)
def test_bad_flag_is_refused_at_once(flags, message, run, called, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(*flags)
    assert not called
    assert not (tmp_path / "out").exists()


def test_earlier_run_is_refused_before_images_are_loaded(
    run, monkeypatch, tmp_path
):
    monkeypatch.setattr(data, "load", None)
    (tmp_path / "model.keras").touch()
    with pytest.raises(FileExistsError, match="not empty"):
        run(out=tmp_path)
