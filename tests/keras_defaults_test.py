"""Every public entry works whatever the user's defaults of Keras are."""

import keras
import numpy as np
import pytest
import quarters
import short_networks

from keras_squeezenet import classifier
from keras_squeezenet import codec
from keras_squeezenet import compression
from keras_squeezenet import evaluation
from keras_squeezenet import models
from keras_squeezenet import packing
from keras_squeezenet import training
from keras_squeezenet.export import litert
from keras_squeezenet.export import saved_model
from keras_squeezenet.utils import backend

SETTERS = {
    "mixed_bfloat16": keras.config.set_dtype_policy,
    "mixed_float16": keras.config.set_dtype_policy,
    "channels_first": keras.config.set_image_data_format,
    "float16": keras.config.set_floatx,
}
ONE_STEP = {"batch_size": 16, "max_train_steps": 1}


@pytest.fixture(params=SETTERS)
def default(request, untraced, monkeypatch):
    """A default of Keras that the user has set."""
    quarters.pack_few_points(monkeypatch)
    SETTERS[request.param](request.param)
    return request.param


@pytest.fixture
def model(default, make_model):
    """What the user builds with the default, where TensorFlow can run it."""
    if default != "channels_first":
        return short_networks.shorten(make_model())
    with backend.channels_last():
        return short_networks.shorten(make_model())


@pytest.fixture(scope="module")
def images():
    found, labels = quarters.make_images(32, 0)
    return found.astype("float32") - 100, labels


def as_is():
    return (
        keras.config.dtype_policy().name,
        keras.config.image_data_format(),
        keras.config.floatx(),
    )


def compress(model, data, out):
    recipe = compression.Recipe(
        stages=("prune",), litert=("float32",), **ONE_STEP
    )
    return compression.compress(model, data, data, recipe=recipe, out=out)


def train(model, data, out):
    recipe = training.Recipe(epochs=1, **ONE_STEP)
    return training.train(model, data, data, recipe=recipe, out=out)


def finetune(model, data, out):
    return training.finetune(model, data, data, phases=(), out=out)


ENTRIES = {
    "classify": lambda model, data, out: classifier.load(model).predict(
        np.zeros((1, quarters.SIDE, quarters.SIDE, 3))
    ),
    "compress": compress,
    "evaluate": lambda model, data, out: evaluation.evaluate(model, data),
    "finetune": finetune,
    "litert": lambda model, data, out: litert.convert_float32(model),
    "pack": lambda model, data, out: packing.pack(model, data, max_kl=10),
    "save": lambda model, data, out: models.save(model, f"{out}.keras"),
    "saved_model": lambda model, data, out: saved_model.save(model, out),
    "sensitivity": lambda model, data, out: compression.scan_sensitivity(
        model, data, densities=[0.5], bits=[], images=4
    ),
    "sqz": lambda model, data, out: codec.save(model, out),
    "train": train,
}


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES)
def test_entry_works_under_the_default(entry, default, model, images, tmp_path):
    before = as_is()
    ENTRIES[entry](model, images, tmp_path / "out")
    assert as_is() == before


def test_files_and_names_load_under_the_default(
    default, model, images, tmp_path
):
    codec.save(model, tmp_path / "m.sqz")
    models.save(model, tmp_path / "m.keras")
    loaded = {
        "sqz": codec.load(tmp_path / "m.sqz"),
        "keras": models.load(tmp_path / "m.keras"),
    }
    one = loaded["sqz"].predict_on_batch(images[0][:4])
    other = loaded["keras"].predict_on_batch(images[0][:4])
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert models.load("cifar10").predict_on_batch(
        np.zeros((1, 32, 32, 3))
    ).shape == (1, 10)
    assert training.build(32, 4).input_shape == (None, 32, 32, 3)
