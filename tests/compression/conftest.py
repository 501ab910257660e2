"""A network and a data set small enough to be compressed in a test."""

import keras
import numpy as np
import pytest
import tf_keras

from keras_squeezenet import training

BATCH_SIZE = 16


@pytest.fixture
def fit(dataset):
    """Trains a tf_keras model, as the pipeline has it done."""

    def fit(model, steps, callbacks=()):
        training.compile_classifier(tf_keras, model, steps, 1e-3)
        epochs = training.epochs(
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
