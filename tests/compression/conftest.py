"""A network and a data set small enough to be compressed in a test."""

import numpy as np
import pytest
import tf_keras

from keras_squeezenet.training import optimizers

BATCH_SIZE = 16


@pytest.fixture
def fit(dataset):
    """Return a function that trains a tf_keras model."""

    def fit(model, steps, callbacks=()):
        optimizers.compile_classifier(tf_keras, model, steps, 1e-3)
        model.fit(
            dataset.epoch_batches(BATCH_SIZE).repeat(),
            steps_per_epoch=steps,
            callbacks=list(callbacks),
            verbose=0,
        )

    return fit


@pytest.fixture
def calibration(dataset):
    return [
        np.asarray(images)
        for images, _ in dataset.train_batches(BATCH_SIZE).take(2)
    ]
