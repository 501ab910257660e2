"""Images without labels, whose labels are the classes of a teacher."""

import dataclasses

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf

from keras_squeezenet import training
from keras_squeezenet.report import model_card
from keras_squeezenet.training import distillation
from keras_squeezenet.training import network
from keras_squeezenet.training import unlabeled
from keras_squeezenet.utils.progress import Progress

NAMES = ("red", "green", "blue", "grey")
RECIPE = training.Recipe(epochs=4, batch_size=16, learning_rate=1e-2)
ALL = ["train", "validation", "test"]


@pytest.fixture
def images():
    """Normalized images of the quarters, in another order than the classes."""
    return quarters.make_images(64, 0)[0][::-1].astype("float32") - 100


@pytest.fixture
def classes():
    """What they show."""
    return quarters.make_images(64, 0)[1][::-1]


@pytest.fixture
def teacher():
    model = quarters.make_teacher(class_names=NAMES)
    return distillation.load(model, "caffe")


def batches_of(images):
    return tf.data.Dataset.from_tensor_slices(images).batch(16)


def without_labels(dataset):
    return dataclasses.replace(dataset, class_names=())


def label(teacher, train, validation=None, test=None):
    sets = {"train": train, "validation": validation, "test": test}
    return unlabeled.label(teacher, sets, Progress())


def test_data_with_labels_keep_them(images, classes, dataset, teacher):
    labeled = images, classes
    for data in (labeled, batches_of(labeled), dataset, None):
        assert unlabeled.is_labeled(data)
        found, sets = label(teacher, data)
        assert sets["train"] is data
        assert found.labeled == ()


def test_data_without_labels_are_known(images, dataset):
    batches = batches_of(images)
    for data in (
        *(images, tf.constant(images), batches),
        batches.map(lambda images: (images,)),
        without_labels(dataset),
    ):
        assert not unlabeled.is_labeled(data)


def test_labels_are_the_classes_of_the_teacher(images, classes, teacher):
    found, sets = label(teacher, images, batches_of(images))
    for each in (sets["train"], next(iter(sets["validation"].batch(4)))):
        got, labels = (np.asarray(part) for part in each)
        assert labels.dtype == "int64"
        np.testing.assert_array_equal(got.reshape(images.shape), images)
        np.testing.assert_array_equal(labels.ravel(), classes)
    assert found.labeled == ("train", "validation")
    assert teacher.labeled == ()


def test_every_set_of_a_data_set_is_labeled(dataset, teacher):
    whole = dataset.split_validation(0.25)
    found, sets = label(teacher, without_labels(whole))
    labeled = sets["train"]
    assert labeled.class_names == NAMES
    for name in ALL:
        for one, other in zip(whole.split(name), labeled.split(name)):
            np.testing.assert_array_equal(one[0], other[0])
            assert int(one[1]) == int(other[1])
    assert [*found.labeled] == ALL


def test_images_that_are_not_in_batches_are_refused(images, tmp_path):
    single = tf.data.Dataset.from_tensor_slices(images)
    with pytest.raises(ValueError, match="`train` must be batches of images"):
        train(single, images, tmp_path, teacher=quarters.make_teacher())


def test_what_is_without_labels_is_said(images, dataset, teacher):
    found, _ = label(teacher, without_labels(dataset))
    assert unlabeled.describe(found) == (
        "No labels in the training, validation and test set: the classes that "
        "the teacher finds take their place, and accuracy on them is agreement "
        "with the teacher."
    )
    found, _ = label(teacher, dataset, images)
    assert unlabeled.describe(found).startswith("No labels in the validation ")


def test_teacher_of_other_channels_is_refused(images, teacher):
    for data in (images[..., :1], batches_of(images[..., :1])):
        with pytest.raises(ValueError, match="must take images of 1 channels"):
            label(teacher, data)


def train(images, validation, out, recipe=RECIPE, model=None, **options):
    keras.utils.set_random_seed(0)
    return training.train(
        model or quarters.make_classifier(),
        images,
        validation,
        recipe=recipe,
        out=out,
        **options,
    )


def test_network_learns_from_images_and_a_teacher(images, tmp_path):
    teacher = quarters.make_teacher(class_names=NAMES)
    result = train(images, images, tmp_path, teacher=teacher)
    assert result.recipe.distillation == 1
    assert result.dataset["labeled_by_teacher"] == ["train", "validation"]
    assert result.dataset["classes"] == [*NAMES]
    predicted, expected = (
        each.predict_on_batch(images).argmax(axis=1)
        for each in (result.model, teacher)
    )
    assert np.mean(predicted == expected) == result.validation_accuracy > 0.9
    card = (tmp_path / model_card.CARD_FILE).read_text()
    assert "| validation agreement with the teacher | test accuracy |" in card
    assert "model-index" not in card


def test_accuracy_on_labels_is_accuracy(images, classes, tmp_path):
    result = train(
        batches_of(images),
        (images, classes),
        tmp_path,
        RECIPE.replace(max_train_steps=1),
        teacher=quarters.make_teacher(),
    )
    assert result.dataset["labeled_by_teacher"] == ["train"]
    assert result.dataset["classes"] == [*"0123"]
    card = (tmp_path / model_card.CARD_FILE).read_text()
    assert "| validation accuracy | test accuracy |" in card
    assert "model-index" in card


def test_network_is_built_for_the_classes_of_the_teacher(
    images, tmp_path, monkeypatch
):
    built = []

    def build(*arguments, **options):
        built.append(arguments)
        raise quarters.Killed

    monkeypatch.setattr(network, "build", build)
    with pytest.raises(quarters.Killed):
        training.train(
            None, images, images, teacher=quarters.make_teacher(), out=tmp_path
        )
    assert built == [(quarters.SIDE, quarters.CLASSES)]


class Kills(Progress):
    """Kills a run in its second epoch."""

    def task(self, name, steps):
        if name.startswith("epoch 2/"):
            raise quarters.Killed
        return super().task(name, steps)


@pytest.mark.slow
def test_killed_run_is_resumed_to_the_same_end(dataset, tmp_path):
    recipe = RECIPE.replace(epochs=2, augmentation="crop")
    options = {"teacher": quarters.make_teacher(), "recipe": recipe}
    data = without_labels(dataset)
    expected = train(data, None, tmp_path / "whole", **options)
    assert expected.dataset["labeled_by_teacher"] == ALL
    killed = tmp_path / "killed"
    with pytest.raises(quarters.Killed):
        train(data, None, killed, progress=Kills(), **options)
    resumed = train(data, None, killed, resume=True, **options)
    np.testing.assert_equal(
        resumed.model.get_weights(), expected.model.get_weights()
    )


@pytest.mark.parametrize("recipe", [RECIPE, RECIPE.replace(distillation=1)])
def test_images_alone_are_refused_without_a_teacher(recipe, images, tmp_path):
    with pytest.raises(ValueError, match="without labels need a teacher"):
        train(images, images, tmp_path / "out", recipe)
    assert not (tmp_path / "out").exists()


def test_validation_images_alone_are_refused_without_a_teacher(
    images, classes, tmp_path
):
    with pytest.raises(ValueError, match="no labels in the validation set"):
        train((images, classes), images, tmp_path / "out")
