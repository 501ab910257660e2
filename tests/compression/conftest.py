"""A network and a data set small enough to be compressed in a test."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import data
from keras_squeezenet import training

SIDE = 16
CLASSES = 4
BATCH_SIZE = 16
STEPS = 6
TINY = SqueezeNetConfig(
    base_e=16, incr_e=16, SR=0.25, pools=("conv1", "fire4")
).for_small_images()


def make_images(count, seed):
    """Images whose class is the quarter that is bright."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    images = rng.integers(0, 100, (count, SIDE, SIDE, 3))
    half = SIDE // 2
    for image, label in zip(images, labels):
        top, left = half * (label // 2), half * (label % 2)
        image[top : top + half, left : left + half] += 150
    return images.astype("uint8"), labels.astype("int64")


@pytest.fixture(scope="session")
def dataset():
    def split(count, seed):
        return tf.data.Dataset.from_tensor_slices(make_images(count, seed))

    return data.ImageDataset(
        name="quarters",
        image_size=SIDE,
        class_names=("a", "b", "c", "d"),
        train=split(64, 0),
        test=split(32, 1),
        train_size=64,
        test_size=32,
    )


@pytest.fixture(scope="session")
def make_model():
    """Returns a function that builds an untrained tiny SqueezeNet."""

    def make_model(**changes):
        return SqueezeNet(
            weights=None,
            input_shape=(SIDE, SIDE, 3),
            classes=CLASSES,
            config=dataclasses.replace(TINY, **changes),
        )

    return make_model


@pytest.fixture
def fit(dataset):
    """Trains a tf_keras model, as the pipeline has it done."""

    def fit(model, steps, callbacks=()):
        training.compile_classifier(tf_keras, model, steps, 1e-3)
        epochs = training.train(
            tf_keras,
            model,
            lambda epoch: dataset.epoch_batches(BATCH_SIZE, epoch=epoch),
            steps,
            epoch_steps=4,
            advance=lambda **metrics: None,
            callbacks=callbacks,
        )
        return list(epochs)

    return fit


@pytest.fixture
def calibration(dataset):
    return [
        np.asarray(images)
        for images, _ in dataset.train_batches(BATCH_SIZE).take(2)
    ]


@pytest.fixture(scope="session")
def trained_model(make_model, dataset):
    """Trained a little, so that its outputs mean something."""
    keras.utils.set_random_seed(0)
    model = make_model()
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss="sparse_categorical_crossentropy",
    )
    model.fit(
        dataset.train_batches(16), steps_per_epoch=30, epochs=1, verbose=0
    )
    return model


@pytest.fixture(scope="session")
def test_images(dataset):
    """Preprocessed."""
    return np.concatenate(
        [np.asarray(images) for images, _ in dataset.test_batches(32)]
    )
