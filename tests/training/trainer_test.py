"""Whole training runs, and runs that are killed."""

import contextlib
import csv
import dataclasses
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf

from keras_squeezenet import data
from keras_squeezenet import report as report_module
from keras_squeezenet import training
from keras_squeezenet.data import image_dataset
from keras_squeezenet.evaluation import labeled_outputs
from keras_squeezenet.training import distributed
from keras_squeezenet.training import epochs
from keras_squeezenet.training import training_run
from keras_squeezenet.utils import files
from keras_squeezenet.utils.progress import Progress

# With everything that has a state, or draws random numbers.
RECIPE = training.Recipe(
    epochs=3,
    batch_size=16,
    accumulation=2,
    augmentation="crop",
    rand_augment=0.5,
    mixup=0.2,
    cutmix=0.5,
    average=0.9,
    label_smoothing=0.1,
    validation_share=0.25,
)
# As arrays and batches have it.
PLAIN = RECIPE.replace(augmentation=None, rand_augment=0.0)


@pytest.fixture
def train(dataset, tmp_path):
    """Return a function that trains a new model and returns its report too."""

    def train(
        recipe=RECIPE,
        out=tmp_path / "out",
        images=dataset,
        activation="relu",
        **options,
    ):
        keras.utils.set_random_seed(0)
        model = quarters.make_classifier(activation=activation)
        result = training.train(
            model, images, recipe=recipe, out=out, **options
        )
        return result.model, result.to_json()

    return train


def last_arrays(out):
    with np.load(out / training_run.LAST_FILE) as file:
        return {name: file[name] for name in file.files if name != "json"}


def assert_same_end(out, expected):
    """Check for the same weights and optimizer state, bit for bit."""
    np.testing.assert_equal(last_arrays(out), last_arrays(expected))
    kept, wanted = (
        keras.models.load_model(folder / training_run.MODEL_FILE)
        for folder in (out, expected)
    )
    np.testing.assert_equal(kept.get_weights(), wanted.get_weights())


def test_run_writes_its_files_and_the_model_of_its_best_epoch(
    train, dataset, tmp_path
):
    model, report = train(training.Recipe(epochs=3, batch_size=16))
    out = tmp_path / "out"
    assert sorted(os.listdir(out)) == sorted(training_run.FILES)
    accuracies = [row["validation_accuracy"] for row in report["history"]]
    best = report["best_epoch"] - 1
    assert len(accuracies) == 3
    assert accuracies[best] == max(accuracies) == report["validation_accuracy"]
    # An epoch has three whole batches of its 58 images.
    images = report["images_per_second"] * report["seconds"]
    assert images == pytest.approx(3 * 3 * 16, rel=0.01)
    with open(out / training_run.HISTORY_FILE, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [*"123"]
    assert [float(row["validation_accuracy"]) for row in rows] == accuracies
    assert json.loads((out / report_module.JSON_FILE).read_text()) == report
    loaded = keras.models.load_model(out / training_run.MODEL_FILE)
    held_out = dataset.split_validation(0.1)
    for batches, accuracy in (
        (held_out.validation_batches(16), report["validation_accuracy"]),
        (dataset.test_batches(16), report["test_accuracy"]),
    ):
        measured = labeled_outputs.evaluate(loaded.predict_on_batch, batches)
        assert measured.accuracy == accuracy
    np.testing.assert_equal(loaded.get_weights(), model.get_weights())


def test_model_that_is_written_is_a_plain_one(train, tmp_path):
    train(RECIPE.replace(max_train_steps=2, precision="mixed_float16"))
    loaded = keras.models.load_model(tmp_path / "out" / training_run.MODEL_FILE)
    assert not loaded.compiled
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    assert not any(isinstance(layer, keras.Model) for layer in loaded.layers)
    assert all(weight.regularizer is None for weight in loaded.weights)


def test_run_under_a_policy_of_bfloat16_is_in_float32_and_resumed(
    train, tmp_path
):
    keras.config.set_dtype_policy("bfloat16")
    recipe = RECIPE.replace(epochs=1, max_train_steps=2)
    model, _ = train(recipe)
    assert {weight.dtype for weight in model.weights} == {"float32"}
    again, _ = train(recipe, resume=True)
    loaded = keras.models.load_model(tmp_path / "out" / training_run.MODEL_FILE)
    assert {weight.dtype for weight in loaded.weights} == {"float32"}
    for found in (again, loaded):
        np.testing.assert_equal(found.get_weights(), model.get_weights())


def test_network_is_built_for_weights_or_none(dataset, tmp_path, monkeypatch):
    built = []

    def build(*arguments, weights):
        built.append((*arguments, weights))
        raise quarters.Killed

    monkeypatch.setattr(training_run.network, "build", build)
    for model in (None, "imagenet"):
        with pytest.raises(quarters.Killed):
            training.train(model, dataset, out=tmp_path / "out")
    assert built == [(16, 4, None), (16, 4, "imagenet")]


def test_one_hot_labels_are_learned_as_their_numbers_are(
    train, dataset, tmp_path
):
    (images, labels), *_ = dataset.train_batches(48).take(1)
    x, y = np.asarray(images), np.asarray(labels)
    recipe = PLAIN.replace(max_train_steps=6)
    for name, rows in (("numbers", y), ("rows", np.eye(4)[y])):
        train(recipe, tmp_path / name, (x, rows), validation=(x, rows))
    assert_same_end(tmp_path / "rows", tmp_path / "numbers")


def test_images_without_weight_are_not_learned(train, dataset):
    (images, labels), *_ = dataset.train_batches(64).take(1)
    x, y = np.asarray(images), np.asarray(labels)
    wrong = np.arange(64) % 2
    y_seen = np.where(wrong, (y + 1) % 4, y)
    recipe = training.Recipe(epochs=20, batch_size=16, learning_rate=1e-2)
    _, report = train(
        recipe, images=(x, y_seen, 2.0 * (1 - wrong)), validation=(x, y)
    )
    last = report["history"][-1]
    # Of the weighted images nearly all are learned, but the others are seen.
    assert report["validation_accuracy"] > 0.9
    assert last["accuracy"] < 0.7
    assert last["loss"] < 0.5 < last["cross_entropy"]


def test_images_of_a_data_set_without_weight_are_not_learned(train, dataset):
    images, labels = quarters.make_images(64, 0)
    wrong = np.arange(64) % 8 >= 4
    seen = np.where(wrong, (labels + 1) % 4, labels)
    examples = data.Examples(
        tf.data.Dataset.from_tensor_slices((images, seen)),
        weights=(2.0 * ~wrong).astype("float32"),
    )
    weighted = dataclasses.replace(
        dataset, train=examples, validation=dataset.test
    )
    recipe = training.Recipe(epochs=20, batch_size=16, learning_rate=1e-2)
    _, report = train(recipe, images=weighted)
    last = report["history"][-1]
    assert report["validation_accuracy"] > 0.9
    assert last["accuracy"] < 0.7
    assert last["loss"] < 0.5 < last["cross_entropy"]
    for mixed in ({"mixup": 0.2}, {"cutmix": 0.2}):
        with pytest.raises(ValueError, match="must have no sample weights"):
            train(recipe.replace(**mixed), images=weighted, overwrite=True)


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_weighted_images_are_not_mixed(train, mixing):
    x, y = quarters.make_images(16, 0)
    images = (x.astype("float32"), y, np.ones(16))
    recipe = training.Recipe(batch_size=16, **{mixing: 0.2})
    with pytest.raises(ValueError, match="which then must have no sample w"):
        train(recipe, images=images, validation=images[:2], normalization="raw")


def test_rare_classes_are_learned_with_their_weight(train, tmp_path):
    x, y = quarters.make_images(256, 0)
    few = (y != 3) | (np.cumsum(y == 3) <= 2)
    x, y = x[few].astype("float32"), y[few]
    recipe = training.Recipe(epochs=6, batch_size=16, learning_rate=3e-3)
    recalls = []
    for weight in (None, "balanced"):
        model, report = train(
            recipe.replace(class_weight=weight),
            tmp_path / str(weight),
            (x, y),
            validation=(x, y),
            normalization="raw",
        )
        tests, labels = quarters.make_images(64, 1)
        found = model.predict_on_batch(tests.astype("float32"))
        recalls.append(np.mean(found.argmax(1)[labels == 3] == 3))
    assert recalls[0] < recalls[1]
    assert report["recipe"]["class_weight"] == "balanced"
    assert "cross_entropy" in report["history"][0]


def test_arrays_and_batches_are_trained_on(train, dataset, tmp_path):
    (images, labels), *_ = dataset.train_batches(48).take(1)
    arrays = np.asarray(images), np.asarray(labels)
    recipe = PLAIN.replace(max_train_steps=2)
    _, report = train(recipe, images=arrays, validation=arrays, name="mine")
    assert report["dataset"]["name"] == "mine"
    assert report["dataset"]["train_images"] == 48
    assert report["test_accuracy"] is None
    batches = tf.data.Dataset.from_tensor_slices(arrays).batch(16)
    _, report = train(
        recipe,
        out=tmp_path / "batches",
        images=batches,
        validation=arrays,
        test=batches,
    )
    assert report["dataset"]["test_images"] == 48


def test_arrays_need_a_validation_set(train):
    images = np.zeros((4, 16, 16, 3), "float32"), np.arange(4)
    with pytest.raises(ValueError, match="`validation` must be"):
        train(PLAIN, images=images)


def test_training_learns(train):
    _, report = train(
        training.Recipe(epochs=20, batch_size=16, learning_rate=1e-2)
    )
    assert report["history"][-1]["loss"] < 0.5 < math.log(4) - 0.5
    assert report["test_accuracy"] > 0.8


@pytest.mark.parametrize(
    "changes", [{"optimizer": "sgd", "weight_decay": 1e-3}, {"mixup": 0.0}]
)
def test_other_recipes_run(changes, train):
    _, report = train(RECIPE.replace(max_train_steps=2, **changes))
    assert math.isfinite(report["history"][0]["loss"])


def test_patience_counts_epochs_since_the_best(train, monkeypatch):
    accuracies = iter([0.5, 0.75, 0.25, 0.5, 1.0])
    monkeypatch.setattr(
        training_run.Run, "_accuracy", lambda *arguments: next(accuracies)
    )
    recipe = training.Recipe(epochs=9, batch_size=16, patience=2)
    _, report = train(recipe)
    assert len(report["history"]) == 4
    assert report["best_epoch"] == 2


@keras.saving.register_keras_serializable("trainer_test")
def relu_without_nan(x):
    """As the ReLU of some CPUs: NaN is not above 0."""
    return keras.ops.where(x > 0, x, 0.0)


def test_nan_behind_a_relu_stops_training_and_keeps_the_run_before(
    train, tmp_path, dataset
):
    (images, labels), *_ = dataset.train_batches(32).take(1)
    arrays = np.asarray(images), np.asarray(labels)
    recipe = training.Recipe(
        epochs=3, batch_size=16, learning_rate=1e-3, clip_norm=0
    )
    train(recipe.replace(epochs=1), images=arrays, validation=arrays)
    kept = (tmp_path / "out" / training_run.MODEL_FILE).read_bytes()
    bad = arrays[0].copy()
    # The images are shuffled, and those of the first batch are checked.
    bad[16:] = np.nan
    with pytest.raises(
        training.NonFiniteLossError,
        match="weights became NaN in epoch 1, by step 2 of 6",
    ):
        train(
            recipe,
            out=tmp_path / "bad",
            images=(bad, arrays[1]),
            validation=arrays,
            activation=relu_without_nan,
        )
    assert not (tmp_path / "bad").exists()
    assert (tmp_path / "out" / training_run.MODEL_FILE).read_bytes() == kept


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    """The folder of an uninterrupted run."""
    out = tmp_path_factory.mktemp("whole") / "out"
    keras.utils.set_random_seed(0)
    training.train(quarters.make_classifier(), dataset, recipe=RECIPE, out=out)
    return out


@contextlib.contextmanager
def died_in_write(monkeypatch, number):
    """Kill what runs within, before it replaces a file for that time."""
    replace, done = os.replace, []

    def die(*arguments):
        done.append(arguments)
        if len(done) == number:
            raise quarters.Killed
        replace(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "replace", die)
        with pytest.raises(quarters.Killed):
            yield patched


# In the first checkpoint, after it, and in the last epoch.
@pytest.mark.parametrize("writes", [1, 2, 11])
def test_run_that_died_in_any_write_ends_as_one_that_did_not(
    writes, whole, train, tmp_path, monkeypatch
):
    with died_in_write(monkeypatch, writes):
        train()
    train(resume=True)
    assert_same_end(tmp_path / "out", whole)
    assert sorted(os.listdir(tmp_path / "out")) == sorted(training_run.FILES)


# In the first epoch, and in the second one between two steps that make one
# update.
@pytest.mark.parametrize("writes,step", [(3, 2), (12, 3)])
def test_run_that_died_within_an_epoch_ends_as_one_that_did_not(
    writes, step, train, tmp_path, monkeypatch
):
    recipe = RECIPE.replace(batch_size=8, rand_augment=0.5, epochs=2)
    train(recipe, out=tmp_path / "whole")
    with died_in_write(monkeypatch, writes) as patched:
        patched.setattr(epochs, "SAVE_SECONDS", 0)
        train(recipe)
    out = tmp_path / "out"
    with np.load(out / training_run.LAST_FILE) as file:
        assert json.loads(file["json"].tobytes())["state"]["step"] == step
    train(recipe, resume=True)
    assert_same_end(out, tmp_path / "whole")
    ended, whole = (
        [
            {**row, "seconds": None}
            for row in csv.DictReader(
                (folder / training_run.HISTORY_FILE).read_text().splitlines()
            )
        ]
        for folder in (out, tmp_path / "whole")
    )
    assert ended == whole


def test_finished_run_is_not_trained_again(train, whole, tmp_path):
    before = last_arrays(whole)
    _, report = train(out=whole, resume=True)
    assert len(report["history"]) == 3
    assert report["test_accuracy"] is not None
    np.testing.assert_equal(last_arrays(whole), before)


def test_run_is_resumed_with_its_own_arguments_only(train, whole):
    with pytest.raises(ValueError, match="recipe.seed was 0. Received: 1"):
        train(RECIPE.replace(seed=1), out=whole, resume=True)


def test_run_that_is_resumed_with_other_weights_says_so(
    train, dataset, tmp_path, caplog
):
    recipe = RECIPE.replace(max_train_steps=2)
    expected, _ = train(recipe)
    train(recipe, resume=True)
    assert "given" not in caplog.text
    # The weights of another seed.
    found = training.train(
        quarters.make_classifier(),
        dataset,
        recipe=recipe,
        out=tmp_path / "out",
        resume=True,
    )
    assert "differ from those of the model given. Pass --over" in caplog.text
    np.testing.assert_equal(found.model.get_weights(), expected.get_weights())


def test_earlier_run_is_not_overwritten_unasked(train, whole, tmp_path):
    before = (whole / training_run.MODEL_FILE).read_bytes()
    with pytest.raises(FileExistsError, match="pass --resume .* --overwrite"):
        train(out=whole)
    assert (whole / training_run.MODEL_FILE).read_bytes() == before
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty"):
        train(out=tmp_path, resume=True)


def test_overwriting_starts_again_and_leaves_other_files(train, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    recipe = RECIPE.replace(max_train_steps=2)
    train(recipe, out=tmp_path, overwrite=True)
    _, report = train(recipe.replace(seed=1), out=tmp_path, overwrite=True)
    assert report["recipe"]["seed"] == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_earlier_run_is_not_resumed_as_one_that_was_killed(train, monkeypatch):
    recipe = RECIPE.replace(max_train_steps=2)
    train(recipe)
    with died_in_write(monkeypatch, 1):
        train(recipe, overwrite=True)
    with pytest.raises(FileExistsError, match="is not empty"):
        train(recipe, resume=True)


def test_model_that_does_not_fit_is_refused(train):
    arrays = np.zeros((4, 8, 8, 3), "float32"), np.arange(4)
    with pytest.raises(ValueError, match=r"images of shape \(8, 8, 3\)"):
        train(PLAIN, images=arrays, validation=arrays)


def test_run_that_is_stuck_restarts_at_half_the_rate(train, monkeypatch):
    rates = []
    compile_for = training_run.optimizers.compile_for

    def note(recipe, *arguments):
        rates.append(recipe.learning_rate)
        compile_for(recipe, *arguments)

    monkeypatch.setattr(training_run.optimizers, "compile_for", note)
    monkeypatch.setattr(epochs, "STUCK_UPDATES", 3)
    # The learning rate is too small to change any weight.
    recipe = training.Recipe(
        epochs=2, batch_size=16, learning_rate=1e-9, restarts=1
    )
    _, report = train(recipe)
    assert rates == [1e-9, 5e-10]
    assert report["restarts"] == 1
    assert len(report["history"]) == 2


@pytest.mark.slow
def test_tensorboard_gets_its_logs(train, tmp_path):
    pytest.importorskip("tensorboard")
    train(RECIPE.replace(max_train_steps=2), tensorboard=tmp_path / "logs")
    assert list((tmp_path / "logs").rglob("events.*"))


PROGRAM = """
import sys
sys.path[:0] = [sys.argv[1]]
import trainer_test
trainer_test.epochs.SAVE_SECONDS = float(sys.argv[3])
trainer_test.train_long(sys.argv[2])
"""


def train_long(out):
    keras.utils.set_random_seed(0)
    training.train(
        quarters.make_classifier(),
        quarters.make_dataset(),
        recipe=RECIPE.replace(epochs=6),
        out=out,
        resume=True,
    )


# After an epoch, and within the first one.
@pytest.mark.parametrize(
    "file,interval",
    [(training_run.HISTORY_FILE, 600), (training_run.LAST_FILE, 0)],
)
@pytest.mark.end_to_end
@pytest.mark.slow
def test_process_that_is_killed_ends_as_one_that_was_not(
    file, interval, tmp_path
):
    here = pathlib.Path(__file__).parent
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, here.parent, out, str(interval)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*sys.path, str(here)]),
        },
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 300
        while not (out / file).exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    with np.load(out / training_run.LAST_FILE) as last:
        state = json.loads(last["json"].tobytes())["state"]
    assert len(state["history"]) < 6
    train_long(out)
    train_long(tmp_path / "whole")
    assert_same_end(out, tmp_path / "whole")
    assert sorted(os.listdir(out)) == sorted(training_run.FILES)


def test_worker_that_is_not_the_first_can_be_stopped_by_its_progress(
    train, tmp_path
):
    class Stops(Progress):
        @contextlib.contextmanager
        def task(self, name, steps):
            def advance(**metrics):
                raise KeyboardInterrupt

            yield advance

    workers = distributed.Distribution()
    workers.shard = image_dataset.Shard(1, 2)
    with pytest.raises(KeyboardInterrupt):
        train(distribution=workers, progress=Stops())
    assert not (tmp_path / "out").exists()
