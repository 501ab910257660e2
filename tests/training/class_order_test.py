"""The classes of every set are those of the training set, by their names."""

import dataclasses

import numpy as np
import pytest
import quarters
import tensorflow as tf

from keras_squeezenet import compression
from keras_squeezenet import data
from keras_squeezenet import evaluation
from keras_squeezenet import models
from keras_squeezenet import training
from keras_squeezenet.compression import run_images
from keras_squeezenet.training import class_order
from keras_squeezenet.training import distillation
from keras_squeezenet.training import linear_head
from keras_squeezenet.utils.progress import Progress

STATED = ("north", "east", "south", "west")
STEP = training.Recipe(
    epochs=1, batch_size=16, max_train_steps=1, learning_rate=1e-9
)


def run_of(function, model, sets, out, **options):
    """Return the result of `train` or `finetune`, or the `RunImages`."""
    if function == "compress":
        share = 1.0 if "teacher" in options else 0.0
        recipe = compression.Recipe(batch_size=16, distillation=share)
        options |= {"progress": Progress()}
        return run_images.load(models.load(model), sets, recipe, **options)
    data, *others = (sets[name] for name in ("train", "validation", "test"))
    options |= {"recipe": STEP, "out": out, "test": others[1]}
    if function == "train":
        return training.train(
            quarters.make_teacher(), data, others[0], **options
        )
    return training.finetune(model, data, others[0], phases=(), **options)


@pytest.fixture(params=["train", "finetune", "compress"])
def run(request, make_model, tmp_path, monkeypatch, untraced):
    """Return a function that returns the result of a run with some sets.

    What it trains knows the quarters, or learns them at once.
    """
    monkeypatch.setattr(linear_head, "STEPS", 300)

    def run(train, validation=None, test=None, **options):
        sets = {"train": train, "validation": validation, "test": test}
        model = make_model(conv10_activation=None)
        out = tmp_path / "out"
        return run_of(request.param, model, sets, out, **options)

    return run


def test_stated_names_are_those_of_the_report(run, dataset):
    found = run(dataset, name="compass", class_names=[*STATED]).dataset
    assert found["name"] == "compass"
    assert found["classes"] == [*STATED]


@pytest.mark.parametrize(
    "stated, message",
    [
        (STATED[:3], "each of the 4 classes of 'quarters'.* Received: 3 names"),
        ("badc", "do not sort them.*: a, b, c, d. Received: b, a, d, c"),
    ],
)
def test_stated_names_that_are_not_those_of_the_classes_are_refused(
    stated, message, dataset
):
    with pytest.raises(ValueError, match=message):
        class_order.of_run(sets_of(dataset), [*stated])


def sets_of(train, validation=None, test=None):
    return {"train": train, "validation": validation, "test": test}


def part_of(dataset, names):
    """Return the test images of some classes, in the order of the names."""
    places = [dataset.class_names.index(name) for name in names]
    labels = dataset.test.labels()
    kept = dataset.test.select(np.isin(labels, places))
    own = [places.index(label) for label in labels if label in places]
    return data.ImageDataset(
        "later", tuple(names), None, kept.relabel(np.array(own))
    )


def arrays_of(dataset):
    ((images, labels),) = dataset.epoch_batches(64).as_numpy_iterator()
    return images, labels


def test_classes_of_other_sets_are_matched_by_name(run, dataset):
    later = part_of(dataset, "dc")
    found = run(dataset, part_of(dataset, "cabd"), later)
    if isinstance(found, run_images.RunImages):
        labels = [set(found.test.labels.read()), found.test.labels.count(4)]
        assert labels[0] == {2, 3}
        np.testing.assert_array_equal(labels[1], [0, 0, 8, 8])
        found.test.labels.require_classes("test", 4)
        return
    expected = evaluation.evaluate(found.model, later).accuracy
    report = found.to_json()
    report = {**report, **report.get("phases", [{}])[0]}
    assert report["test_accuracy"] == expected > 0.5
    assert report["validation_accuracy"] > 0.5


def test_classes_that_the_training_set_lacks_are_refused(
    run, dataset, tmp_path
):
    later = dataclasses.replace(part_of(dataset, "dc"), class_names=("d", "e"))
    message = (
        "of `validation` must be classes of the training set: a, b, c, d. "
        "Received: e in 'later', which the training set lacks. Give them"
    )
    with pytest.raises(ValueError, match=message):
        run(dataset, later)
    assert list(tmp_path.iterdir()) == []


def test_stated_names_are_matched_and_so_are_those_of_the_folder(dataset):
    renamed = dataclasses.replace(
        part_of(dataset, "cabd"), class_names=("south", "north", "east", "west")
    )
    for later in (part_of(dataset, "cabd"), renamed):
        sets = class_order.of_run(sets_of(dataset, None, later), STATED)
        for images in (sets["train"], sets["test"]):
            assert images.class_names == STATED
        np.testing.assert_array_equal(
            sets["test"].test.labels(), dataset.test.labels()
        )
        # As the phases of `finetune` are given them.
        again = class_order.of_run(sets, STATED)
        assert again["test"].test is sets["test"].test


@pytest.mark.parametrize(
    "options",
    [{"stated": [*"dcba"]}, {"known": tuple("dcba")}],
    ids=["stated", "known"],
)
def test_classes_are_matched_with_those_of_training_arrays(options, dataset):
    arrays = arrays_of(dataset)
    sets = class_order.of_run(sets_of(arrays, dataset), **options)
    assert sets["train"] is arrays
    np.testing.assert_array_equal(
        sets["validation"].test.labels(), 3 - dataset.test.labels()
    )


def test_labels_stay_as_they_are_without_names(dataset):
    arrays = arrays_of(dataset)
    sets = sets_of(arrays, dataset, arrays)
    assert class_order.of_run(sets) == sets


def test_classes_are_matched_with_those_of_a_teacher(run, dataset):
    teacher = quarters.make_teacher(class_names=("a", "b", "c", "d"))
    later = part_of(dataset, "cdba")
    found = run(arrays_of(dataset)[0], later, teacher=teacher)
    if isinstance(found, run_images.RunImages):
        np.testing.assert_array_equal(
            found.validation.labels.read(), dataset.test.labels()
        )
        return
    report = found.to_json()
    report = {**report, **report.get("phases", [{}])[0]}
    assert report["validation_accuracy"] > 0.5


def test_sets_that_a_teacher_has_labeled_have_its_order(dataset):
    teacher = distillation.load(quarters.make_teacher(), "caffe")
    teacher = teacher.having_labeled(["validation"])
    numbered = dataclasses.replace(dataset, class_names=tuple("0123"))
    sets = sets_of(dataset, numbered)
    assert class_order.of_run(sets, teacher=teacher)["validation"] is numbered


def test_several_labels_are_matched_by_name(dataset):
    rows = np.eye(4, dtype="float32")[[0, 1, 2]] + [0, 0, 0, 1]
    images = np.zeros((3, 16, 16, 3), "uint8")
    examples = data.Examples(
        tf.data.Dataset.from_tensor_slices((images, rows.astype("float32")))
    )
    train = data.ImageDataset("some", tuple("abcdef"), examples, examples)
    later = data.ImageDataset("later", tuple("fcba"), None, examples)
    found = class_order.of_run(sets_of(train, later))["validation"].test
    assert found.several_labels
    np.testing.assert_array_equal(
        found.labels(),
        [[1, 0, 0, 0, 0, 1], [1, 0, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0]],
    )


def test_labels_that_are_no_classes_are_refused(dataset):
    bad = dataclasses.replace(dataset, class_names=("c", "b", "a"))
    with pytest.raises(ValueError, match="of `test` must be from 0 to 2"):
        class_order.of_run(sets_of(dataset, None, bad))


def test_weights_and_names_of_images_are_kept():
    images = np.zeros((3, 16, 16, 3), "uint8")
    elements = tf.data.Dataset.from_tensor_slices((images, [0, 1, 0]))
    examples = data.Examples(
        elements, names=["x", "y", "z"], weights=np.arange(3)
    )
    later = data.ImageDataset("later", ("b", "a"), examples, examples)
    found = later.in_classes(("a", "b", "c"), [1, 0])
    for split in (found.train, found.test):
        assert split.names == ["x", "y", "z"]
        np.testing.assert_array_equal(split.weights, [0, 1, 2])
        np.testing.assert_array_equal(split.labels(), [1, 0, 1])
    assert found.class_names == ("a", "b", "c")
