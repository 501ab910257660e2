"""A network and a data set small enough to be compressed in a test."""

import dataclasses

import numpy as np
import pytest
import quarters
import short_networks
import tf_keras

from keras_squeezenet.training import optimizers

BATCH_SIZE = 16


@pytest.fixture(scope="session")
def make_model(make_model):
    """Return a function that builds an untrained network of 8 kernels.

    To trace the wrappers of 26 would take most of the time of the tests.
    """
    stem = dataclasses.replace(quarters.TINY.stem, filters=16)
    size = {"stem": stem, "base_e": 48, "incr_e": 0}
    return lambda **changes: short_networks.shorten(
        make_model(**{**size, **changes})
    )


@pytest.fixture
def fit(dataset):
    """Return a function that trains a tf_keras model."""

    def fit(model, steps, callbacks=()):
        optimizers.compile_classifier(tf_keras, model, steps, 1e-3)
        model.run_eagerly = True
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


@pytest.fixture(scope="session")
def make_scan():
    """Return a function that makes the scan of layers by their weights.

    The divergence of a layer is proportional to its factor, 1 by default, and
    to the squared sparsity or the squared error of its shared values.
    """

    def make_scan(weights, **factors):
        return {
            "layers": [
                {
                    "name": name,
                    "weights": size,
                    "densities": [
                        {
                            "density": density,
                            "kl": factors.get(name, 1) * (1 - density) ** 2,
                        }
                        for density in (0.75, 0.5, 0.25, 0.1)
                    ],
                    "bits": [
                        {"bits": bits, "kl": factors.get(name, 1) * 4.0**-bits}
                        for bits in (8, 6, 5, 4)
                    ],
                }
                for name, size in weights.items()
            ]
        }

    return make_scan
