import contextlib
import copy
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot
from keras_squeezenet.data import splits
from keras_squeezenet.training import epochs
from keras_squeezenet.training import optimizers
from keras_squeezenet.utils.progress import Progress

NAMESPACES = pytest.mark.parametrize(
    "namespace", [keras, tf_keras], ids=["keras", "tf_keras"]
)
FEATURES = 4
CLASSES = 3
BATCH_SIZE = 8


def make_model(namespace, dropout=0):
    return namespace.Sequential(
        [
            namespace.Input((FEATURES,)),
            namespace.layers.Dropout(dropout),
            namespace.layers.Dense(CLASSES, activation="softmax", name="top"),
        ]
    )


def make_augmented(namespace, dropout):
    """Return such a model with an augmentation in a nested model."""
    flip = namespace.Sequential(
        [
            namespace.layers.Reshape((2, 2, 1)),
            namespace.layers.RandomFlip(seed=3),
            namespace.layers.Flatten(),
        ]
    )
    inputs = namespace.Input((FEATURES,))
    x = namespace.layers.Dropout(dropout)(flip(inputs))
    top = namespace.layers.Dense(CLASSES, activation="softmax")
    return namespace.Model(inputs, top(x))


def make_batches(bad_batch=None):
    """Return endless batches of three blobs; `bad_batch` counts from 1."""
    rng = np.random.default_rng(0)
    labels = np.arange(5 * BATCH_SIZE) % CLASSES
    images = (
        rng.normal(size=(len(labels), FEATURES))
        + 2 * np.eye(CLASSES, FEATURES)[labels]
    )
    batches = tf.data.Dataset.from_tensor_slices(
        (images.astype("float32"), labels)
    ).batch(BATCH_SIZE)
    if bad_batch is not None:
        bad = tf.fill((BATCH_SIZE, FEATURES), math.nan)
        batches = batches.enumerate(1).map(
            lambda i, batch: (
                tf.where(i == bad_batch, bad, batch[0]),
                batch[1],
            )
        )
    return batches.repeat()


class Listener(Progress):
    """Progress that records the tasks and the metrics of each step."""

    def __init__(self):
        self.tasks, self.steps = [], []

    @contextlib.contextmanager
    def task(self, name, steps):
        self.tasks.append((name, steps))
        yield lambda **metrics: self.steps.append(metrics)

    @property
    def trained(self):
        return [metrics for metrics in self.steps if "accuracy" in metrics]


def make_fit(
    namespace, model, steps, epoch_steps=5, learning_rate=0.1, **options
):
    """Return a fit of a model; every epoch has the accuracy 0.5."""

    def make(restarts):
        optimizers.compile_classifier(namespace, model, steps, learning_rate)
        return model

    batches = options.pop("batches", make_batches())
    # Each epoch has the batches that follow those of the epoch before.
    split = splits.Split(
        lambda epoch, start: batches.skip(epoch * epoch_steps + start),
        epoch_steps,
        40,
    )
    options = {
        "make": make,
        "measure": lambda model: 0.5,
        "save": lambda: None,
        "reseed": epochs.reseed if namespace is keras else tfmot.reseed,
        "progress": Listener(),
        **options,
    }
    return epochs.Fit(namespace=namespace, train=split, steps=steps, **options)


def train(*arguments, **options):
    """Train, and return the metrics after each step."""
    fit = make_fit(*arguments, **options)
    fit.run()
    return fit.progress.trained


@NAMESPACES
@pytest.mark.parametrize("steps,expected", [(1, 1), (5, 1), (7, 2), (12, 3)])
def test_training_takes_exactly_the_steps_asked_for(namespace, steps, expected):
    class Count(namespace.callbacks.Callback):
        batches = 0
        epochs = 0

        def on_train_batch_begin(self, batch, logs=None):
            self.batches += 1

        def on_epoch_begin(self, epoch, logs=None):
            self.epochs += 1

    model, count = make_model(namespace), Count()
    seen = train(namespace, model, steps, callbacks=(count,))
    assert len(seen) == steps
    assert int(model.optimizer.iterations) == steps
    assert (count.batches, count.epochs) == (steps, expected)


@NAMESPACES
def test_one_step_changes_the_weights(namespace):
    model = make_model(namespace)
    before = model.get_weights()[0]
    train(namespace, model, 1)
    # The first step of Adam is the learning rate.
    np.testing.assert_allclose(
        abs(model.get_weights()[0] - before), 0.1, rtol=1e-3
    )


@NAMESPACES
def test_training_learns(namespace):
    model = make_model(namespace)
    seen = train(namespace, model, 50)
    assert seen[-1]["loss"] < 0.4 < seen[0]["loss"]
    assert seen[-1]["accuracy"] > 0.85


@NAMESPACES
def test_each_step_reports_the_means_over_its_epoch(namespace):
    model = make_model(namespace)
    # The learning rate is too small to change the model.
    seen = train(namespace, model, 7, learning_rate=1e-9)
    losses, accuracies = [], []
    for images, labels in make_batches().take(5):
        probabilities = model.predict_on_batch(images)
        labels = labels.numpy()
        losses.append(
            np.mean(-np.log(probabilities[np.arange(len(labels)), labels]))
        )
        accuracies.append(np.mean(np.argmax(probabilities, -1) == labels))
    assert len(set(accuracies)) > 1

    def running(values):
        means = [np.mean(values[: i + 1]) for i in range(5)]
        return means + means[:2]

    assert [set(metrics) for metrics in seen] == [{"loss", "accuracy"}] * 7
    np.testing.assert_allclose(
        [metrics["loss"] for metrics in seen], running(losses), rtol=1e-4
    )
    np.testing.assert_allclose(
        [metrics["accuracy"] for metrics in seen],
        running(accuracies),
        rtol=1e-4,
    )


@NAMESPACES
@pytest.mark.parametrize(
    "step,epoch_steps,epoch", [(1, 5, 1), (3, 5, 1), (3, 2, 2)]
)
def test_loss_of_nan_is_an_error_that_names_the_step(
    namespace, step, epoch_steps, epoch
):
    model = make_model(namespace)
    with pytest.raises(
        epochs.NonFiniteLossError,
        match=f"became nan in epoch {epoch} at step {step} of 9. Try a lower",
    ):
        train(
            *(namespace, model, 9, epoch_steps),
            batches=make_batches(bad_batch=step),
        )
    assert int(model.optimizer.iterations) == step


@NAMESPACES
def test_each_epoch_has_its_means(namespace):
    fit = make_fit(namespace, make_model(namespace), 7, name="prune")
    fit.run()
    assert fit.progress.tasks == [
        ("prune epoch 1/2", 6),
        ("prune epoch 2/2", 3),
    ]
    seen = fit.progress.trained
    for number, (epoch, step) in enumerate(zip(fit.state.history, (4, 6)), 1):
        assert epoch["epoch"] == number
        assert epoch["steps"] == (5, 2)[number - 1]
        assert epoch["validation_accuracy"] == 0.5
        assert epoch["loss"] == pytest.approx(seen[step]["loss"])
        assert epoch["accuracy"] == pytest.approx(seen[step]["accuracy"])


def run_whole(namespace, *numbers, make_model=make_model):
    """Return the states that a fit saves, and a function that resumes one.

    The function asserts that the fit ends as the whole one, and returns it.
    """
    with tf_keras_twin.generators():
        first, second = (make_model(namespace, dropout=0.5) for _ in range(2))
    second.set_weights(first.get_weights())
    states = []
    whole = make_fit(
        *(namespace, first, *numbers),
        seed=5,
        save=lambda: states.append(copy.deepcopy(whole.state)),
    )
    whole.run()

    def resume(state):
        resumed = make_fit(*(namespace, second, *numbers), seed=5, state=state)
        resumed.run()
        for one, other in zip(resumed.state.history, whole.state.history):
            assert {**one, "seconds": 0} == {**other, "seconds": 0}
        np.testing.assert_equal(
            epochs.variables(first), epochs.variables(second)
        )
        return resumed

    return states, resume


@NAMESPACES
def test_fit_is_resumed_from_its_state(namespace):
    """So is dropout: its masks depend only on the seed and the epoch."""
    states, resume = run_whole(namespace, 12, 4)
    resume(states[0])
    assert np.any(states[-1].training[0] != states[-2].training[0])


def test_fit_with_augmentation_layers_is_resumed(monkeypatch):
    monkeypatch.setattr(epochs, "SAVE_SECONDS", 0)
    states, resume = run_whole(keras, 12, 6, make_model=make_augmented)
    resume(states[8])


@NAMESPACES
def test_fit_is_resumed_within_an_epoch(namespace, monkeypatch):
    """Its metrics are those of the whole epoch, and its dropout goes on."""
    monkeypatch.setattr(epochs, "SAVE_SECONDS", 0)
    states, resume = run_whole(namespace, 12, 6)
    assert [(len(state.history), state.step) for state in states] == [
        *((0, step) for step in (1, 2, 3, 4)),
        (1, 0),
        *((1, step) for step in (1, 2, 3, 4)),
        (2, 0),
    ]
    resumed = resume(states[8])
    assert resumed.progress.tasks == [("epoch 2/2", 3)]


def test_steps_within_the_interval_are_not_saved():
    saved = []
    fit = make_fit(
        *(keras, make_model(keras), 10), save=lambda: saved.append(None)
    )
    fit.run()
    assert len(saved) == 2


@pytest.mark.parametrize(
    "settled,patience,best,trained",
    [(0, None, 2, 5), (16, None, 4, 5), (0, 2, 2, 5), (0, 1, 2, 4)],
)
def test_best_epoch_is_the_later_of_equals_once_settled(
    settled, patience, best, trained
):
    accuracies = iter([0.5, 0.75, 0.75, 0.25, 0.5])
    fit = make_fit(
        *(keras, make_model(keras), 25),
        measure=lambda model: next(accuracies),
        settled=settled,
        patience=patience,
    )
    model = fit.run()
    assert fit.state.best == best
    assert len(fit.state.history) == trained
    if best == trained - 1:
        np.testing.assert_equal(fit.state.best_weights, model.get_weights())


def test_fit_that_is_stuck_restarts_and_says_so(monkeypatch, caplog):
    monkeypatch.setattr(epochs, "STUCK_UPDATES", 3)
    zeros = tf.zeros((BATCH_SIZE, FEATURES)), tf.zeros(BATCH_SIZE, tf.int64)
    labels = tf.data.Dataset.from_tensors(
        (zeros[0], tf.range(BATCH_SIZE) % CLASSES)
    ).repeat()
    restarts = []

    def make(number):
        restarts.append(number)
        model = make_model(keras)
        optimizers.compile_classifier(keras, model, 10, 1e-9)
        return model

    fit = make_fit(
        *(keras, None, 10),
        make=make,
        batches=labels,
        plateau=epochs.Plateau(2, math.log(CLASSES), 1 / CLASSES),
    )
    fit.run()
    assert restarts == [0, 1, 2]
    assert fit.state.restarts == 2
    assert len(fit.state.history) == 2
    assert fit.progress.tasks[-1][0] == "try 3, epoch 2/2"
    assert len(caplog.messages) == 2
    assert "that of a random guess (1.099)" in caplog.messages[0]


@pytest.mark.parametrize(
    "accuracy,restarts,done,expected",
    [
        (0.3, 0, 300, True),
        # A network that classifies has a high loss for another reason.
        (0.6, 0, 300, False),
        (0.3, 2, 300, False),
        (0.3, 0, 299, False),
    ],
)
def test_plateau_is_the_loss_and_the_accuracy_of_a_guess(
    accuracy, restarts, done, expected
):
    state = epochs.State(
        restarts=restarts, history=[{"loss": 5.0, "accuracy": accuracy}]
    )
    plateau = epochs.Plateau(2, math.log(4), 1 / 4)
    assert plateau.holds(state, done, 1000, penalty=3.0) == expected
    assert not plateau.holds(state, done, 1000, penalty=4.0)
    assert not plateau.holds(state, done, 2000, penalty=3.0)
