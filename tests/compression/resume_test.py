"""Runs that are killed and resumed end as if they had not been."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import quarters

from keras_squeezenet import compression
from keras_squeezenet.compression import compression_run
from keras_squeezenet.compression import filter_selection
from keras_squeezenet.compression import run_state
from keras_squeezenet.compression.stages import prune_filters
from keras_squeezenet.training import training_run
from keras_squeezenet.utils import checkpoints

RECIPE = compression.Recipe(
    stages=("prune", "quantize", "pack"),
    prune_epochs=2,
    quantize_epochs=2,
    batch_size=16,
    litert=(),
)


def run(make_model, dataset, out, recipe=RECIPE, **options):
    # Names of layers have numbers, and are a part of the size of a file.
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    result = compression.compress(
        make_model(),
        dataset.split_validation(0.25),
        recipe=recipe,
        out=out,
        **options,
    )
    return result.model, result.report


@contextlib.contextmanager
def killed_in_saves(monkeypatch, *numbers):
    """Kill a run after each of these writes of its checkpoint, from 1."""
    save, done = checkpoints.save, []

    def save_and_die(*arguments):
        save(*arguments)
        done.append(arguments)
        if len(done) in numbers:
            raise quarters.Killed

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "save", save_and_die)
        yield patched


def curve_of(report):
    """The files that were measured, but for their names of layers."""
    return [
        (point["lambda"], point["kl"], point["accuracy"])
        for point in report["packing"]["curve"]
    ]


@pytest.mark.end_to_end
@pytest.mark.slow
def test_killed_run_ends_as_one_that_was_not(
    untraced, make_model, dataset, tmp_path, monkeypatch
):
    quarters.pack_few_points(monkeypatch)
    expected_model, expected = run(make_model, dataset, tmp_path / "whole")
    out = tmp_path / "out"
    # In the first epoch of pruning, and after packing.
    with killed_in_saves(monkeypatch, 2, 8):
        for resume in (False, True):
            with pytest.raises(quarters.Killed):
                run(make_model, dataset, out, resume=resume)
            assert os.listdir(out) == [compression_run.CHECKPOINT_FILE]
    model, report = run(make_model, dataset, out, resume=True)
    np.testing.assert_equal(expected_model.get_weights(), model.get_weights())
    assert curve_of(expected) == curve_of(report)
    for one, other in zip(expected["stages"], report["stages"], strict=True):
        assert one["history"] == other["history"]
        assert one["accuracy"] == other["accuracy"]
    assert compression_run.CHECKPOINT_FILE not in os.listdir(out)


@pytest.mark.end_to_end
@pytest.mark.slow
def test_killed_run_keeps_the_filters_that_it_chose(
    untraced, make_model, dataset, tmp_path, monkeypatch
):
    recipe = RECIPE.replace(
        stages=("prune_filters", "prune"),
        prune_filters_epochs=2,
        prune_epochs=1,
    )
    expected, _ = run(make_model, dataset, tmp_path / "whole", recipe)
    out = tmp_path / "out"

    def choose_again(*arguments):
        raise AssertionError("the filters are chosen")

    # After the choice, after an epoch, and before the next stage's.
    with killed_in_saves(monkeypatch, 2, 3, 5) as patched:
        for resume in (False, True, True):
            with pytest.raises(quarters.Killed):
                run(make_model, dataset, out, recipe, resume=resume)
            patched.setattr(filter_selection, "select", choose_again)
    model, report = run(make_model, dataset, out, recipe, resume=True)
    np.testing.assert_equal(expected.get_weights(), model.get_weights())
    assert [stage["name"] for stage in report["stages"]] == [
        *("dense", "narrowed", "pruned")
    ]


def test_unfinished_run_is_not_overwritten_unasked(
    make_model, dataset, tmp_path
):
    out = tmp_path / "out"
    checkpoints.save(
        out / compression_run.CHECKPOINT_FILE, run_state.State(), {}
    )
    before = (out / compression_run.CHECKPOINT_FILE).read_bytes()
    with pytest.raises(FileExistsError, match="Pass --resume .* --overwrite"):
        run(make_model, dataset, out)
    with pytest.raises(ValueError, match="arguments"):
        run(make_model, dataset, out, resume=True)
    assert (out / compression_run.CHECKPOINT_FILE).read_bytes() == before


def test_run_is_resumed_with_its_own_model_only(
    make_model, dataset, tmp_path, monkeypatch
):
    def make_other():
        model = make_model()
        model.get_layer("conv10").bias.assign([1, 0, 0, 0])
        return model

    out, recipe = tmp_path / "out", RECIPE.replace(stages=())
    with killed_in_saves(monkeypatch, 1):
        with pytest.raises(quarters.Killed):
            run(make_model, dataset, out, recipe)
    with pytest.raises(ValueError, match="the model .* other weights .*overw"):
        run(make_other, dataset, out, recipe, resume=True)
    assert os.listdir(out) == [compression_run.CHECKPOINT_FILE]


def test_resumed_run_does_not_measure_again_whether_it_is_possible(
    make_model, dataset, tmp_path, monkeypatch
):
    recipe = RECIPE.replace(stages=("prune_filters",), prune_filters_epochs=0)
    out = tmp_path / "out"
    with killed_in_saves(monkeypatch, 1):
        with pytest.raises(quarters.Killed):
            run(make_model, dataset, out, recipe)

    def refuse(*arguments):
        raise ValueError("the machine is slower than it was")

    monkeypatch.setattr(prune_filters.PruneFilters, "require_possible", refuse)
    # After the choice of the filters.
    with killed_in_saves(monkeypatch, 1):
        with pytest.raises(quarters.Killed):
            run(make_model, dataset, out, recipe, resume=True)


COMMAND = [
    *(sys.executable, "-m", "keras_squeezenet", "compress", "--resume"),
    '--config={"base_e": 8, "incr_e": 8, "stem": {"filters": 8}}',
    *("--image_size=16", "--batch_size=1000", "--train_epochs=1"),
    *("--max_train_steps=1", "--stages=prune", "--litert="),
]


@pytest.mark.end_to_end
@pytest.mark.slow
def test_command_that_was_killed_in_its_training_is_resumed(tmp_path):
    pytest.importorskip("mlxtend")
    out = tmp_path / "out"
    command = [*COMMAND, f"--out={out}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 300
        state = out / compression_run.TRAINING_FOLDER / training_run.LAST_FILE
        while not state.exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert os.listdir(out)
    subprocess.run(command, env=environment, check=True)
    report = json.loads((out / "report.json").read_text())
    assert [stage["kind"] for stage in report["stages"]] == ["train", "prune"]
    assert not [name for name in os.listdir(out) if name.startswith(".")]
