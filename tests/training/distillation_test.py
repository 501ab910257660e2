"""The loss of a teacher, and runs with one."""

import contextlib

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf
import tf_keras

from keras_squeezenet import training
from keras_squeezenet.data import splits
from keras_squeezenet.training import distillation
from keras_squeezenet.training import objectives
from keras_squeezenet.utils.progress import Progress

LABELS = np.array([[1, 0, 0], [0, 0.5, 0.5]], "float32")
TEACHER = np.array([[0.7, 0.2, 0.1], [0, 0, 1]], "float32")
STUDENT = np.array([[0.2, 0.3, 0.5], [1, 0, 0]], "float32")

RECIPE = training.Recipe(epochs=8, batch_size=16, learning_rate=1e-2)

both_namespaces = pytest.mark.parametrize("namespace", [keras, tf_keras])


def expected_loss(labels, teacher, student, share, temperature, smoothing=0):
    """Compute the loss of each image in float64."""
    labels, teacher, student = (
        np.maximum(each.astype("float64"), floor)
        for each, floor in ((labels, 0), (teacher, 1e-30), (student, 1e-30))
    )
    q, p = teacher ** (1 / temperature), student ** (1 / temperature)
    q, p = (each / each.sum(axis=1, keepdims=True) for each in (q, p))
    divergence = np.sum(q * np.log(q / p), axis=1)
    smoothed = labels * (1 - smoothing) + smoothing / labels.shape[1]
    # Keras clips the probabilities that the labels are compared with.
    clipped = np.clip(student, 1e-7, 1 - 1e-7)
    of_labels = -np.sum(smoothed * np.log(clipped), axis=1)
    return (1 - share) * of_labels + share * temperature**2 * divergence


@pytest.mark.parametrize(
    "share, temperature, smoothing",
    [(0.5, 4, 0), (0.25, 1, 0.1), (1, 20, 0), (1, 0.1, 0), (1, 100, 0)],
)
def test_loss_is_that_of_the_paper(share, temperature, smoothing):
    of_labels = objectives.Objective(label_smoothing=smoothing).loss
    loss = distillation.objective(share, temperature, of_labels)["loss"]
    np.testing.assert_allclose(
        loss(np.concatenate([LABELS, TEACHER], axis=1), STUDENT),
        expected_loss(LABELS, TEACHER, STUDENT, share, temperature, smoothing),
        rtol=2e-4,
    )


def test_loss_of_equal_outputs_is_that_of_the_labels():
    loss = distillation.objective(1, 4)["loss"]
    y_true = np.concatenate([LABELS, TEACHER], axis=1)
    np.testing.assert_allclose(loss(y_true, TEACHER), [0, 0], atol=1e-6)


@both_namespaces
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_fit_learns_what_its_share_says(namespace, share):
    # The logits are the weights; the labels are the first class.
    labels, teacher = [1, 0, 0], [0, 0.25, 0.75]
    inputs = namespace.Input((1,))
    dense = namespace.layers.Dense(
        3, "softmax", use_bias=False, kernel_initializer="zeros"
    )
    model = namespace.Model(inputs, dense(inputs))
    model.compile(
        optimizer=namespace.optimizers.SGD(0.3),
        **distillation.objective(share, temperature=2),
    )
    images = tf.ones((8, 1))
    y_true = tf.tile(tf.constant([[*labels, *teacher]], tf.float32), (8, 1))
    batches = tf.data.Dataset.from_tensors((images, y_true))
    start = model.evaluate(batches, verbose=0, return_dict=True)
    model.fit(batches.repeat(200), verbose=0)
    end = model.evaluate(batches, verbose=0, return_dict=True)
    (found,) = model.predict_on_batch(np.ones((1, 1)))
    assert {*end} == {"loss", "accuracy", "cross_entropy"}
    assert start["cross_entropy"] == pytest.approx(np.log(3))
    if share == 0:
        assert found[0] > 0.95 and end["accuracy"] == 1
        assert end["loss"] == pytest.approx(end["cross_entropy"])
    elif share == 1:
        np.testing.assert_allclose(found, teacher, atol=0.02)
        assert end["accuracy"] == 0 and end["loss"] < 0.06
    else:
        assert 0.2 < found[0] < 0.8 and found[2] > 2 * found[1]


@both_namespaces
@pytest.mark.parametrize("gap", [50, 1000])
def test_gradient_of_a_certain_and_wrong_student_is_finite(namespace, gap):
    logits = tf.Variable([[gap, 0.0, 0.0], [0.0, 0.0, 0.0]])
    y_true = tf.constant([[0.0, 1, 0, 0, 1, 0]] * 2)
    loss = distillation.objective(0.5, temperature=100)["loss"]
    with tf.GradientTape() as tape:
        found = loss(y_true, namespace.activations.softmax(logits)) * 2.0**15
    gradient = tape.gradient(found, logits).numpy()
    assert np.isfinite(gradient).all()
    # The other one learns.
    assert gradient[1, 1] < 0 < gradient[1, 0]


def test_labels_alone_have_the_gradient_of_keras():
    rng = np.random.default_rng(0)
    logits = tf.Variable(rng.normal(size=(2, 3), scale=30).astype("float32"))
    gradients = []
    for loss in (
        keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        lambda _, y_pred: distillation.objective(
            0, 4, objectives.Objective(label_smoothing=0.1).loss
        )["loss"](np.concatenate([LABELS, TEACHER], axis=1), y_pred),
    ):
        with tf.GradientTape() as tape:
            value = loss(LABELS, keras.activations.softmax(logits))
        gradients.append(tape.gradient(value, logits).numpy())
    np.testing.assert_allclose(2 * gradients[0], gradients[1], rtol=1e-6)


@pytest.fixture
def train(tmp_path):
    """Return a function that trains on wrong labels, the next class."""
    images, labels = quarters.make_images(64, 0)
    wrong = (images - 100.0).astype("float32"), (labels + 1) % 4

    def train(teacher, recipe=RECIPE, out="out", **options):
        keras.utils.set_random_seed(0)
        return training.train(
            quarters.make_classifier(),
            wrong,
            wrong,
            recipe=recipe,
            teacher=teacher,
            out=tmp_path / out,
            **options,
        )

    return train


def test_teacher_is_believed_more_than_wrong_labels(train):
    alone = train(None)
    taught = train(
        quarters.make_teacher(), RECIPE.replace(distillation=0.9), "taught"
    )
    assert alone.validation_accuracy > 0.9
    # The best epoch is chosen by the labels.
    assert taught.history[-1]["validation_accuracy"] < 0.2
    assert taught.teacher["name"] == "wise"


def distance(result, teacher):
    """Return the mean difference of the outputs for the training images."""
    images = quarters.make_images(64, 0)[0] - 100.0
    outputs = [
        each.predict_on_batch(images) for each in (result.model, teacher)
    ]
    return np.abs(np.subtract(*outputs)).mean()


def test_student_ends_nearer_to_the_outputs_of_its_teacher(train):
    teacher = quarters.make_teacher(sharpness=0.002)
    alone = train(None)
    taught = train(teacher, RECIPE.replace(distillation=1), "taught")
    assert distance(taught, teacher) < 0.2 * distance(alone, teacher)


def make_custom_teacher():
    """Return a teacher with a layer that computes in float32 only."""

    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return inputs * tf.constant(2.0)

    wise = quarters.make_teacher()
    doubled = Doubled()(wise.input)
    return keras.Model(wise.input, wise(doubled))


@pytest.mark.parametrize(
    "make, rounds",
    [(quarters.make_teacher, True), (make_custom_teacher, False)],
)
def test_targets_may_be_computed_in_bfloat16(make, rounds):
    images = quarters.make_images(16, 0)[0] - 100.0
    teacher = distillation.Teacher(make(), "it", "caffe")
    split = splits.training_split(
        tf.data.Dataset.from_tensors((images, np.zeros(16, "int64"))), 16
    )
    expected = teacher.outputs(images).numpy()
    exact, rounded = (
        next(iter(teacher.teach(split, dtype).batches(0)))[1][:, -4:].numpy()
        for dtype in (None, "mixed_bfloat16")
    )
    np.testing.assert_allclose(exact, expected, atol=1e-6)
    np.testing.assert_allclose(rounded, expected, atol=0.05)
    assert rounded.dtype == "float32"
    assert np.any(rounded != exact) == rounds


class Kills(Progress):
    """Kills a run in its third epoch."""

    @contextlib.contextmanager
    def task(self, name, steps):
        if name.startswith("epoch 3/"):
            raise quarters.Killed
        yield lambda **metrics: None


def test_killed_run_is_resumed_to_the_same_end(train):
    teacher = quarters.make_teacher()
    recipe = RECIPE.replace(epochs=4)
    expected = train(teacher, recipe)
    with pytest.raises(quarters.Killed):
        train(teacher, recipe, "killed", progress=Kills())
    resumed = train(teacher, recipe, "killed", resume=True)
    assert [row["loss"] for row in resumed.history] == [
        row["loss"] for row in expected.history
    ]
    np.testing.assert_equal(
        resumed.model.get_weights(), expected.model.get_weights()
    )


@pytest.mark.parametrize("changes", [None, {"sharpness": 0.01}])
def test_run_is_resumed_with_its_own_teacher_only(changes, train):
    recipe = RECIPE.replace(epochs=1, distillation=0.5)
    train(quarters.make_teacher(), recipe)
    other = None
    if changes is None:
        recipe = recipe.replace(distillation=None)
    else:
        other = quarters.make_teacher(**changes)
    with pytest.raises(ValueError, match="resumed with the arguments"):
        train(other, recipe, resume=True)
