"""A network and a data set small enough to be compressed in a test."""

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
