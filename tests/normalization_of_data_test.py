"""Every entry takes the images that the network was trained on, or refuses."""

import dataclasses

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf

from keras_squeezenet import classifier
from keras_squeezenet import compression
from keras_squeezenet import evaluation
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet import packing
from keras_squeezenet import preprocess_input
from keras_squeezenet import training
from keras_squeezenet.training import training_run

PIXELS, LABELS = quarters.make_images(32, 0)
NAMES = ("a", "b", "c", "d")
ENTRIES = {
    "train": training.train,
    "finetune": training.finetune,
    "compress": compression.compress,
    "pack": packing.pack,
    "evaluate": evaluation.evaluate,
    "scan_sensitivity": compression.scan_sensitivity,
}
WITH_VALIDATION = ("train", "finetune", "compress")


class WorkError(Exception):
    """The checks are done, and the work would begin."""


@pytest.fixture
def call(make_model, tmp_path, monkeypatch):
    """Return a function that calls an entry up to its work."""
    model = make_model(conv10_activation=None)

    def work(*arguments, **options):
        raise WorkError

    monkeypatch.setattr(training_run.Run, "begin", work)
    monkeypatch.setattr(training.finetuning_run.Run, "fit_head", work)
    monkeypatch.setattr(compression.compression_run.Run, "begin", work)
    monkeypatch.setattr(packing.packer.Packer, "__init__", work)
    monkeypatch.setattr(evaluation.labeled_outputs, "evaluate", work)
    monkeypatch.setattr(compression.sensitivity, "scan", work)

    def call(entry, data, **options):
        if entry in WITH_VALIDATION:
            options = {"out": tmp_path / "out", "validation": data, **options}
        ENTRIES[entry](model, data, **options)

    call.model = model
    return call


def as_batches(images, labels):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)


@pytest.mark.parametrize("entry", ENTRIES)
def test_images_as_keras_loads_them_are_refused(entry, call):
    # As `image_dataset_from_directory` has them, and as files are decoded.
    batches = as_batches(PIXELS.astype("float32"), LABELS)
    for data in (batches, (PIXELS, LABELS)):
        with pytest.raises(ValueError, match="that `preprocess_input` returns"):
            call(entry, data)


@pytest.mark.parametrize("entry", ENTRIES)
def test_images_are_taken_if_their_normalization_is_stated(entry, call):
    with pytest.raises(WorkError):
        call(entry, as_batches(PIXELS, LABELS), normalization="raw")


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_network_for_raw_images_takes_no_others(entry, call):
    metadata.attach(call.model, metadata.describe(call.model, "raw"))
    preprocessed = preprocess_input(PIXELS.astype("float32"))
    with pytest.raises(ValueError, match="values of normalization='raw'"):
        call(entry, (preprocessed, LABELS))
    with pytest.raises(ValueError, match="Received: normalization='caffe'"):
        call(entry, (preprocessed, LABELS), normalization="caffe")


@pytest.mark.parametrize("entry", [*WITH_VALIDATION, "scan_sensitivity"])
def test_classes_in_another_order_are_refused(entry, call, dataset):
    found = metadata.describe(call.model, class_names=NAMES[::-1])
    metadata.attach(call.model, found)
    options = {"validation": None} if entry in WITH_VALIDATION else {}
    with pytest.raises(ValueError, match="order of the network's: d, c, b, a"):
        call(entry, dataset, **options)


def make_classifier():
    """A network of two layers that learns raw images in a second."""
    layers = keras.layers
    small = keras.initializers.RandomNormal(stddev=1e-3)
    x = inputs = keras.Input((quarters.SIDE, quarters.SIDE, 3))
    x = layers.Conv2D(8, 4, 4, activation="relu", kernel_initializer=small)(x)
    x = layers.Conv2D(quarters.CLASSES, 4)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Activation("softmax")(x))


@pytest.fixture(scope="module")
def raw_run(dataset, tmp_path_factory):
    """The folder of a network that was trained on raw images."""
    out = tmp_path_factory.mktemp("raw") / "out"
    keras.utils.set_random_seed(0)
    training.train(
        make_classifier(),
        as_batches(PIXELS, LABELS),
        as_batches(PIXELS, LABELS),
        recipe=training.Recipe(epochs=6, batch_size=16, learning_rate=1e-2),
        normalization="raw",
        class_names=NAMES,
        out=out,
    )
    return out


def test_names_of_a_packed_file_have_the_order_of_the_network(call):
    found = metadata.describe(call.model, class_names=NAMES)
    metadata.attach(call.model, found)
    with pytest.raises(ValueError, match="order of the network's: a, b, c, d"):
        call("pack", PIXELS, class_names=list(NAMES[::-1]))


def test_run_keeps_what_it_was_trained_on(raw_run, dataset):
    path = raw_run / training_run.MODEL_FILE
    expected = metadata.Metadata("raw", quarters.SIDE, 3, NAMES)
    assert models.read_metadata(path) == expected
    result = evaluation.evaluate(path, dataset)
    assert result.accuracy > 0.9
    assert [name for _, name in result.classes] == list(NAMES)


def test_data_set_gets_the_normalization_of_the_network(
    raw_run, dataset, tmp_path
):
    # Without any step, so that the accuracy is that of the network.
    recipe = training.Recipe(epochs=1, max_train_steps=1, learning_rate=1e-9)
    out = tmp_path / "out"
    path = raw_run / training_run.MODEL_FILE
    result = training.train(path, dataset, recipe=recipe, out=out)
    assert result.dataset["normalization"] == "raw"
    assert result.test_accuracy > 0.9


def test_predictions_are_those_of_the_images_of_training(raw_run):
    network = classifier.load(raw_run / training_run.MODEL_FILE)
    probabilities = network.predict(PIXELS)
    assert np.mean(probabilities.argmax(axis=1) == LABELS) > 0.9
    assert dataclasses.replace(network, normalization="caffe").predict(
        PIXELS
    ) != pytest.approx(probabilities)
