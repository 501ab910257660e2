"""The loss of labels, of their weights and of those of the classes."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from keras_squeezenet import training
from keras_squeezenet.data import labels as labels_lib
from keras_squeezenet.data import splits
from keras_squeezenet.training import objectives

LABELS = np.array([[1, 0, 0], [0, 0.5, 0.5]], "float32")
OUTPUTS = np.array([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]], "float32")
WEIGHTS = np.array([2, 1, 0.5], "float32")
NAMES = ["rose", "tulip", "lily"]

both_namespaces = pytest.mark.parametrize("namespace", [keras, tf_keras])


def make_model(namespace):
    inputs = namespace.Input((3,))
    dense = namespace.layers.Dense(3, "softmax", kernel_initializer="zeros")
    return namespace.Model(inputs, dense(inputs))


def make_split(labels, is_weighted=False, several=False):
    known = labels_lib.Labels(lambda: np.asarray(labels), several=several)
    return splits.Split(
        lambda epoch: None, 1, len(labels), known, is_weighted=is_weighted
    )


@pytest.mark.parametrize("focal", [0, 0.5, 2])
@pytest.mark.parametrize("smoothing", [0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_loss_is_that_of_its_formula(focal, smoothing, weights):
    objective = objectives.Objective(smoothing, focal, weights)
    smoothed = LABELS * (1 - smoothing) + smoothing / 3
    terms = smoothed * (1 - OUTPUTS) ** focal * np.log(OUTPUTS)
    expected = -(terms * (1 if weights is None else weights)).sum(axis=1)
    found = objective.loss(tf.constant(LABELS), tf.constant(OUTPUTS))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@both_namespaces
@pytest.mark.parametrize("focal", [0, 0.5, 2])
def test_gradient_of_weighted_classes_is_that_of_the_formula(namespace, focal):
    """The gradient of TensorFlow's loss is wrong if labels do not sum to 1."""
    model = make_model(namespace)
    objective = objectives.Objective(focal=focal, weights=WEIGHTS)
    model.compile(
        namespace.optimizers.SGD(1.0), **objective.compiled(namespace, 3)
    )
    images = np.eye(3, dtype="float32")[:1]
    model.fit(images, np.eye(3, dtype="float32")[:1], verbose=0)
    kernel, _ = model.get_weights()
    p = 1 / 3
    slope = (1 - p) ** focal - focal * p * (1 - p) ** (focal - 1) * np.log(p)
    expected = WEIGHTS[0] * slope * np.array([1 - p, -p, -p])
    np.testing.assert_allclose(kernel[0], expected, rtol=1e-4)


def test_focal_loss_of_certain_outputs_has_a_gradient():
    outputs = tf.Variable([[1.0, 0.0, 0.0]])
    for focal in (0.5, 2.0):
        objective = objectives.Objective(focal=focal)
        for label in range(3):
            with tf.GradientTape() as tape:
                loss = objective.loss(tf.one_hot([label], 3), outputs)
            assert np.isfinite(tape.gradient(loss, outputs)).all()


@both_namespaces
def test_weighted_loss_is_beside_the_cross_entropy(namespace):
    model = make_model(namespace)
    objective = objectives.Objective(has_sample_weights=True)
    model.compile(
        namespace.optimizers.SGD(0.0), **objective.compiled(namespace, 3)
    )
    batches = tf.data.Dataset.from_tensors(
        (np.ones((2, 3)), LABELS, np.array([0.0, 4.0]))
    )
    found = model.evaluate(batches, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(2 * np.log(3), rel=1e-6)
    assert found["cross_entropy"] == pytest.approx(np.log(3), rel=1e-6)
    plain = objectives.Objective(label_smoothing=0.1)
    assert [each.__name__ for each in plain.compiled(keras, 3)["metrics"]] == [
        "accuracy"
    ]


def test_balanced_classes_have_the_same_part_in_the_loss():
    recipe = training.Recipe(class_weight="balanced")
    objective = objectives.of(recipe, make_split([0, 0, 0, 1, 1, 2]), NAMES)
    np.testing.assert_allclose(objective.weights, [2 / 3, 1, 2])
    rows = make_split(np.repeat(LABELS, [2, 4], axis=0))
    objective = objectives.of(recipe, rows, NAMES)
    np.testing.assert_allclose(objective.weights, [1, 1, 1])


def test_class_without_training_images_cannot_be_balanced():
    recipe = training.Recipe(class_weight="balanced")
    with pytest.raises(ValueError, match="Received: none of 'lily'. Add some"):
        objectives.of(recipe, make_split([0, 0, 1]), NAMES)


def test_classes_have_the_weights_of_their_names():
    recipe = training.Recipe(class_weight={"lily": 3}, focal=2)
    objective = objectives.of(recipe, make_split([0, 1], True), NAMES)
    np.testing.assert_array_equal(objective.weights, [1, 1, 3])
    assert (objective.focal, objective.has_sample_weights) == (2, True)


def test_weights_of_unknown_classes_are_refused():
    recipe = training.Recipe(class_weight={"lilly": 3})
    with pytest.raises(ValueError, match="rose, tulip, lily. .*mean 'lily'?"):
        objectives.of(recipe, make_split([0, 1]), NAMES)


@pytest.mark.parametrize(
    "weights",
    ["even", {}, {"rose": 0}, {"rose": -1}, {"rose": True}, {1: 2}, [1, 2]],
)
def test_other_weights_of_classes_are_refused(weights):
    with pytest.raises(ValueError, match="`class_weight` must be 'balanced'"):
        training.Recipe(class_weight=weights)


def test_recipe_keeps_its_weights_as_json():
    recipe = training.Recipe(class_weight={"rose": 2.5})
    assert dataclasses.asdict(recipe)["class_weight"] == {"rose": 2.5}


SEVERAL = objectives.KINDS[True]
BOTH = np.array([[1, 1, 0], [0, 0, 0]], "float32")


@pytest.mark.parametrize("focal", [0, 2])
@pytest.mark.parametrize("weights", [None, np.array([[2, 1, 1], [1, 1, 0.5]])])
def test_loss_of_several_labels_is_that_of_its_formula(focal, weights):
    objective = objectives.Objective(0.1, focal, weights, kind=SEVERAL)
    present, absent = (1, 1) if weights is None else weights
    smoothed = BOTH * 0.9 + 0.05
    terms = smoothed * np.log(OUTPUTS) + (1 - smoothed) * np.log(1 - OUTPUTS)
    wrong = np.where(BOTH == 1, 1 - OUTPUTS, OUTPUTS)
    factor = wrong**focal * np.where(BOTH == 1, present, absent)
    found = objective.loss(tf.constant(BOTH), tf.constant(OUTPUTS))
    np.testing.assert_allclose(found, -(terms * factor).mean(axis=1), rtol=1e-5)


@both_namespaces
def test_several_labels_are_learned_and_measured(namespace):
    inputs = namespace.Input((3,))
    dense = namespace.layers.Dense(3, "sigmoid", kernel_initializer="zeros")
    model = namespace.Model(inputs, dense(inputs))
    objective = objectives.Objective(kind=SEVERAL)
    model.compile(
        namespace.optimizers.SGD(30.0), **objective.compiled(namespace, 3)
    )
    batches = tf.data.Dataset.from_tensors((np.eye(3), 1 - np.eye(3)))
    start = model.evaluate(batches, verbose=0, return_dict=True)
    assert start["loss"] == pytest.approx(np.log(2), rel=1e-6)
    model.fit(batches.repeat(30), verbose=0)
    end = model.evaluate(batches, verbose=0, return_dict=True)
    assert end["loss"] < 0.1
    assert end["accuracy"] == pytest.approx(1, abs=1e-3)


def test_guess_of_several_labels_knows_how_often_each_is():
    loss, accuracy = SEVERAL.guess(np.array([2, 1]), 4)
    expected = (np.log(2) - 0.25 * np.log(0.25) - 0.75 * np.log(0.75)) / 2
    assert loss == pytest.approx(expected)
    assert accuracy == 0.375


def test_several_labels_are_balanced_against_their_absence():
    recipe = training.Recipe(class_weight="balanced")
    split = make_split(
        [[1, 1, 0], [1, 0, 1], [0, 0, 0], [0, 0, 0]], False, True
    )
    objective = objectives.of(recipe, split, NAMES)
    np.testing.assert_allclose(
        objective.weights, [[1, 2, 2], [1, 2 / 3, 2 / 3]], rtol=1e-6
    )
    recipe = training.Recipe(class_weight={"tulip": 3})
    objective = objectives.of(recipe, split, NAMES)
    np.testing.assert_array_equal(objective.weights, [[1, 3, 1], [1, 1, 1]])


def test_label_that_no_training_image_has_is_refused():
    split = make_split([[1, 1, 0], [0, 0, 0]], False, True)
    with pytest.raises(ValueError, match="several .* Received: none of 'lily'"):
        objectives.of(training.Recipe(), split, NAMES)
