"""Networks of several labels: trained, evaluated, and refused elsewhere."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf

from keras_squeezenet import classifier
from keras_squeezenet import compression
from keras_squeezenet import data
from keras_squeezenet import evaluation
from keras_squeezenet import export
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet import packing
from keras_squeezenet import training
from keras_squeezenet.cli import evaluate
from keras_squeezenet.report import model_card
from keras_squeezenet.training import linear_head
from keras_squeezenet.training import network

NAMES = ("a", "b", "c", "d")


def make_images(count, seed):
    """Images in which any of the quarters are bright, and rows of which are."""
    rng = np.random.default_rng(seed)
    rows = rng.random((count, 4)) < [0.5, 0.4, 0.3, 0.2]
    images = rng.integers(0, 100, (count, 16, 16, 3))
    for image, row in zip(images, rows):
        for label in np.flatnonzero(row):
            top, left = 8 * (label // 2), 8 * (label % 2)
            image[top : top + 8, left : left + 8] += 150
    return images.astype("uint8"), rows.astype("float32")


@pytest.fixture(scope="module")
def several():
    def split(count, seed):
        images = make_images(count, seed)
        return data.Examples(tf.data.Dataset.from_tensor_slices(images))

    return data.ImageDataset(
        "several", NAMES, split(256, 0), split(128, 1), split(128, 2)
    )


def make_model():
    """A small network of layers that files may have."""
    inputs = keras.Input((16, 16, 3))
    small = keras.initializers.RandomNormal(stddev=2e-3)
    x = keras.layers.Conv2D(
        8, 4, strides=4, activation="relu", kernel_initializer=small
    )(inputs)
    x = keras.layers.Conv2D(16, 4, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(4, "sigmoid")(x), name="many")


@pytest.fixture(scope="module")
def trained(several, tmp_path_factory):
    keras.utils.set_random_seed(0)
    out = tmp_path_factory.mktemp("several") / "out"
    recipe = training.Recipe(epochs=16, batch_size=16, learning_rate=1e-2)
    return training.train(make_model(), several, recipe=recipe, out=out), out


def test_labels_are_learned_and_every_class_is_measured(trained):
    result, _ = trained
    first, *_, last = result.history
    assert last["loss"] < 0.1 < first["loss"] < math.log(2)
    assert result.validation_accuracy > 0.97 < result.test_accuracy
    assert last["accuracy"] > 0.97
    assert [row["label"] for row in result.several_labels] == [*NAMES]
    for row in result.several_labels:
        assert 0 < row["threshold"] < 1
        assert row["average_precision"] > 0.95 < row["f1"] + 0.05


def test_thresholds_are_in_the_file_and_in_the_card(trained):
    result, out = trained
    chosen = tuple(row["threshold"] for row in result.several_labels)
    found = metadata.read(out / "model.keras")
    assert (found.class_names, found.thresholds) == (NAMES, chosen)
    assert classifier.load(out / "model.keras").thresholds == chosen
    card = (out / model_card.CARD_FILE).read_text()
    assert "test mean average precision" in card
    assert "enumerate(network.thresholds)" in card
    assert "type: mean_average_precision" in card


def test_evaluation_is_that_of_the_training(trained, several, capsys):
    result, out = trained
    found = evaluation.evaluate(out / "model.keras", several)
    assert found.accuracy == pytest.approx(result.test_accuracy, abs=1e-6)
    summary = found.to_json()
    assert summary["mean_average_precision"] == found.accuracy
    assert "confusion" not in summary
    for row, expected in zip(summary["classes"], result.several_labels):
        assert row["f1"] == pytest.approx(expected["f1"])
        assert row["threshold"] == expected["threshold"]
    evaluate.print_summary(evaluate.terminal.make_console(), summary)
    shown = capsys.readouterr().out
    assert "mean average precision" in shown and "threshold" in shown
    with pytest.raises(ValueError, match="must be of images with one label"):
        _ = found.confusion


def test_rows_are_evaluated_by_name(trained):
    result, _ = trained
    x, rows = make_images(64, 3)
    normalized = x[..., ::-1] - np.array([103.939, 116.779, 123.68], "float32")
    found = evaluation.evaluate(result.model, (normalized, rows))
    assert found.accuracy > 0.95
    with pytest.raises(ValueError, match="must be rows of 0 and 1"):
        evaluation.evaluate(result.model, (normalized, rows.argmax(1)))


def test_squeezenet_leaves_the_loss_of_a_guess(several, tmp_path):
    """With a ReLU before the sigmoid it would stay at ln 2."""
    keras.utils.set_random_seed(0)
    model = network.build(16, 4, quarters.TINY, several_labels=True)
    recipe = training.Recipe(epochs=12, batch_size=32, learning_rate=2e-3)
    result = training.train(model, several, recipe=recipe, out=tmp_path / "out")
    assert result.history[-1]["loss"] < 0.8 * math.log(2)
    assert result.test_accuracy > 0.8


def test_head_of_several_labels_is_a_logistic_regression_of_each(
    several, tmp_path, monkeypatch, untraced
):
    monkeypatch.setattr(linear_head, "STEPS", 400)
    keras.utils.set_random_seed(0)
    model = network.build(16, 4, quarters.TINY, several_labels=True)
    result = training.finetune(
        *(model, several), phases=(), out=tmp_path / "out", learning_curve=True
    )
    (head,) = result.phases
    # Even random features tell the quarters; a guess has 0.35.
    assert head["test_accuracy"] > 0.6
    assert result.early["standard_error"] is None
    assert metadata.of(result.model).thresholds
    curve = result.early["learning_curve"]
    assert curve[-1]["validation_accuracy"] == head["validation_accuracy"]


def test_network_is_built_for_the_labels(several, monkeypatch, tmp_path):
    built = {}

    def build(*arguments, **options):
        built.update(options)
        raise quarters.Killed

    monkeypatch.setattr(network, "build", build)
    with pytest.raises(quarters.Killed):
        training.train(None, several, out=tmp_path / "out")
    assert built == {"weights": None, "several_labels": True}


def refused(model, images, tmp_path, **options):
    with pytest.raises(ValueError) as error:
        training.train(model, images, out=tmp_path / "out", **options)
    return str(error.value)


def test_labels_and_last_layer_must_fit(several, dataset, tmp_path):
    softmax = quarters.make_classifier()
    assert "several_labels=True" in refused(softmax, several, tmp_path)
    assert "must have several labels" in refused(
        make_model(), dataset, tmp_path
    )
    x, rows = make_images(32, 0)
    images = (x.astype("float32"), rows)
    assert "ends with a sigmoid" in refused(
        *(softmax, images, tmp_path), validation=images, normalization="raw"
    )


def test_label_of_no_or_all_validation_images_has_no_threshold(tmp_path):
    x, rows = make_images(64, 0)
    x = x.astype("float32")
    for value, count in ((0, "0 of 64"), (1, "64 of 64")):
        other = rows.copy()
        other[:, 2] = value
        found = refused(
            *(make_model(), (x, rows), tmp_path),
            validation=(x, other),
            class_names=NAMES,
            normalization="raw",
        )
        assert f"Received: {count} images with 'c'" in found


def test_exports_keep_the_sigmoid_and_the_thresholds(
    trained, several, tmp_path
):
    result, out = trained
    chosen = tuple(row["threshold"] for row in result.several_labels)
    exported = export.export(
        out / "model.keras",
        ["litert", "onnx", "saved_model"],
        tmp_path / "out",
        test=several,
    )
    for file in exported.files:
        assert file.max_difference < 1e-4
        assert file.accuracy == pytest.approx(result.test_accuracy, abs=1e-3)
        found = classifier.load(tmp_path / "out" / file.name)
        assert found.thresholds == chosen
    content = (tmp_path / "out" / "model.tflite").read_bytes()
    assert b"is at least: %g" % chosen[0] in content
    with pytest.raises(ValueError, match="'web' is for networks of one label"):
        export.export(out / "model.keras", "web", tmp_path / "web")


def test_label_of_no_training_image_is_refused(tmp_path):
    x, rows = make_images(64, 0)
    rows[:, 1] = 0
    x = x.astype("float32")
    found = refused(
        *(make_model(), (x, rows), tmp_path),
        validation=(x, rows),
        normalization="raw",
    )
    assert "Received: none of '1'" in found


def test_other_commands_say_that_they_take_one_label(several, tmp_path):
    model = network.build(16, 4, quarters.TINY, several_labels=True)
    with pytest.raises(ValueError, match="compression takes networks of one"):
        compression.compress(model, several, out=tmp_path / "out")
    with pytest.raises(ValueError, match="packing takes networks of one label"):
        packing.pack(model, several)
    one_label = quarters.make_classifier(), quarters.make_teacher()
    for student, teacher in (
        *((model, make_model()), (model, one_label[1])),
        (one_label[0], make_model()),
    ):
        with pytest.raises(ValueError, match="distillation takes networks of"):
            training.train(
                *(student, several), teacher=teacher, out=tmp_path / "out"
            )


def test_metadata_need_a_threshold_for_each_class():
    with pytest.raises(
        ValueError, match="Received: 2 thresholds for 3 classes"
    ):
        metadata.Metadata(class_names=("a", "b", "c"), thresholds=(0.5, 0.5))
    with pytest.raises(
        ValueError, match="one for each of at least two classes"
    ):
        metadata.Metadata(class_names=("a",), thresholds=(0.5,))
    with pytest.raises(ValueError, match="greater than 0 and below 1"):
        metadata.Metadata(thresholds=(0.5, 1))


def test_saved_model_keeps_its_thresholds(tmp_path):
    model = make_model()
    found = dataclasses.replace(
        metadata.describe(model), thresholds=(0.1, 0.2, 0.3, 0.4)
    )
    metadata.attach(model, found)
    models.save(model, tmp_path / "model.keras")
    assert metadata.of(models.load(tmp_path / "model.keras")) == found
