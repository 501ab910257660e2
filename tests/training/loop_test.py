import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from keras_squeezenet import training
from keras_squeezenet.compression import tf_keras_twin

NAMESPACES = pytest.mark.parametrize(
    "namespace", [keras, tf_keras], ids=["keras", "tf_keras"]
)
FEATURES = 4
CLASSES = 3
BATCH_SIZE = 8


def make_model(namespace):
    return namespace.Sequential(
        [
            namespace.Input((FEATURES,)),
            namespace.layers.Dense(CLASSES, activation="softmax", name="top"),
        ]
    )


def make_batches(bad_batch=None):
    """Endless batches of three blobs; `bad_batch` counts from 1."""
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


def train(
    namespace,
    model,
    steps,
    epoch_steps=5,
    learning_rate=0.1,
    batches=None,
    callbacks=(),
):
    """Returns the metrics after each step."""
    seen = []
    batches = batches or make_batches()
    training.compile_classifier(namespace, model, steps, learning_rate)
    for _ in training.epochs(
        namespace,
        model,
        # The data set goes on where the epoch before has left it.
        lambda epoch: batches.skip(epoch * epoch_steps),
        steps,
        epoch_steps,
        lambda **metrics: seen.append(metrics),
        callbacks,
    ):
        pass
    return seen


def learning_rates(namespace, model, steps):
    """The learning rate of each of `steps` steps, and of the next one."""
    schedule = namespace.optimizers.schedules.deserialize(
        model.optimizer.get_config()["learning_rate"]
    )
    return [float(schedule(step)) for step in range(steps + 1)]


@NAMESPACES
@pytest.mark.parametrize("steps,epochs", [(1, 1), (5, 1), (7, 2), (12, 3)])
def test_training_takes_exactly_the_steps_asked_for(namespace, steps, epochs):
    class Count(namespace.callbacks.Callback):
        batches = 0
        epochs = 0

        def on_train_batch_begin(self, batch, logs=None):
            self.batches += 1

        def on_epoch_begin(self, epoch, logs=None):
            self.epochs += 1

    model, count = make_model(namespace), Count()
    seen = train(namespace, model, steps, callbacks=[count])
    assert len(seen) == steps
    assert int(model.optimizer.iterations) == steps
    assert (count.batches, count.epochs) == (steps, epochs)


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
    # So small a rate that the model stays the same.
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
@pytest.mark.parametrize("step", [1, 3])
def test_loss_of_nan_is_an_error_that_names_the_step(namespace, step):
    model = make_model(namespace)
    with pytest.raises(
        training.NonFiniteLossError,
        match=f"became nan in epoch 1 at step {step} of 9. A lower",
    ):
        train(namespace, model, 9, batches=make_batches(bad_batch=step))
    assert int(model.optimizer.iterations) == step


@NAMESPACES
def test_step_of_a_later_epoch_is_counted_from_the_first(namespace):
    with pytest.raises(
        training.NonFiniteLossError, match="in epoch 2 at step 3 of 9"
    ):
        train(
            namespace,
            make_model(namespace),
            9,
            epoch_steps=2,
            batches=make_batches(bad_batch=3),
        )


def variables(model):
    return [np.array(v) for v in (*model.weights, *model.optimizer.variables)]


def make_dropout_model(namespace):
    namespace.utils.set_random_seed(3)
    return namespace.Sequential(
        [
            namespace.Input((FEATURES,)),
            namespace.layers.Dropout(0.5),
            namespace.layers.Dense(CLASSES, activation="softmax", name="top"),
        ]
    )


@NAMESPACES
def test_each_epoch_yields_its_means(namespace):
    model = make_model(namespace)
    training.compile_classifier(namespace, model, 7, 0.1)
    seen = []
    epochs = list(
        training.epochs(
            namespace,
            model,
            lambda epoch: make_batches(),
            steps=7,
            epoch_steps=5,
            advance=lambda **metrics: seen.append(metrics),
        )
    )
    assert [epoch.pop("epoch") for epoch in epochs] == [1, 2]
    for epoch, last_step in zip(epochs, (seen[4], seen[6]), strict=True):
        assert epoch == pytest.approx(last_step)


@NAMESPACES
def test_training_goes_on_from_the_variables_and_the_epoch(namespace):
    """With dropout, whose numbers depend on seed and epoch alone."""

    def epochs(model, first_epoch=0):
        return training.epochs(
            namespace,
            model,
            lambda epoch: make_batches().skip(epoch),
            steps=12,
            epoch_steps=4,
            advance=lambda **metrics: None,
            first_epoch=first_epoch,
            seed=5,
        )

    with tf_keras_twin.generators():
        first, second = (make_dropout_model(namespace) for _ in range(2))
    for model in (first, second):
        training.compile_classifier(namespace, model, 12, 0.1)
        model.optimizer.build(model.trainable_variables)
    whole, saved = [], []
    for epoch in epochs(first):
        whole.append(epoch)
        saved.append(variables(first))
    for variable, value in zip(
        [*second.weights, *second.optimizer.variables], saved[0], strict=True
    ):
        variable.assign(value)
    assert list(epochs(second, first_epoch=1)) == whole[1:]
    for expected, received in zip(saved[-1], variables(second), strict=True):
        np.testing.assert_array_equal(expected, received)
    assert np.any(saved[-1][0] != saved[-2][0])


@NAMESPACES
def test_weight_decay_shrinks_what_no_gradient_moves(namespace):
    model = make_model(namespace)
    model.layers[-1].kernel.assign(np.ones((FEATURES, CLASSES)))
    training.compile_classifier(namespace, model, 1, 0.1, weight_decay=0.5)
    nothing = np.zeros((BATCH_SIZE, FEATURES)), np.zeros(BATCH_SIZE, int)
    batches = tf.data.Dataset.from_tensors(nothing)
    for _ in training.epochs(
        namespace, model, lambda epoch: batches, 1, 1, lambda **metrics: None
    ):
        pass
    np.testing.assert_allclose(model.get_weights()[0], 1 - 0.1 * 0.5)


@NAMESPACES
def test_learning_rate_rises_and_then_falls_to_zero(namespace):
    model = make_model(namespace)
    train(namespace, model, 20, learning_rate=0.3)
    rates = learning_rates(namespace, model, 20)
    np.testing.assert_allclose(rates[:3], [0.1, 0.2, 0.3], rtol=1e-5)
    halfway = 2 + 18 // 2
    assert rates[halfway] == pytest.approx(0.15, rel=1e-5)
    assert rates[20] == pytest.approx(0, abs=1e-7)
    falling = rates[2:]
    assert all(after < before for before, after in zip(falling, falling[1:]))


@NAMESPACES
@pytest.mark.parametrize("steps", [1, 9])
def test_few_steps_begin_at_the_full_learning_rate(namespace, steps):
    model = make_model(namespace)
    train(namespace, model, steps, learning_rate=0.3)
    rates = learning_rates(namespace, model, steps)
    assert rates[0] == pytest.approx(0.3, rel=1e-5)
    assert rates[steps] == pytest.approx(0, abs=1e-7)


@NAMESPACES
def test_learning_rate_follows_the_schedule(namespace):
    model = make_model(namespace)
    seen = []
    train(
        namespace,
        model,
        20,
        callbacks=[
            namespace.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: seen.append(
                    float(model.optimizer.learning_rate)
                )
            )
        ],
    )
    rates = learning_rates(namespace, model, 20)
    # tf_keras shows the rate of the step, Keras 3 that of the next one.
    expected = rates[1:] if namespace is keras else rates[:-1]
    np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-8)


def test_accuracy_counts_every_image_once():
    batches = [
        (np.array([[0], [1], [2]]), np.array([0, 1, 1])),
        (tf.constant([[2]]), tf.constant([2])),
        (np.array([[1], [0]]), np.array([0, 2])),
    ]

    def predict(images):
        assert isinstance(images, np.ndarray)
        # More than one, since only the order of the scores matters.
        return 5 * np.eye(CLASSES)[images[:, 0]]

    seen = []
    share = training.accuracy(
        predict, batches, lambda **metrics: seen.append(metrics)
    )
    assert share == 3 / 6
    assert seen == [
        {"accuracy": 2 / 3},
        {"accuracy": 3 / 4},
        {"accuracy": 3 / 6},
    ]


@pytest.mark.parametrize("offset,expected", [(0, 1), (1, 0)])
def test_accuracy_of_all_and_of_none(offset, expected):
    batches = [(np.arange(CLASSES)[:, None], np.arange(CLASSES))]
    share = training.accuracy(
        lambda images: np.eye(CLASSES)[(images[:, 0] + offset) % CLASSES],
        batches,
        lambda **metrics: None,
    )
    assert share == expected
