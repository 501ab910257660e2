"""Every `model` argument is resolved by `models.load`."""

import os
import time

import keras
import numpy as np
import pytest
from weight_arrays import assert_same
from weight_arrays import weights_of

from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet import squeezenet


@pytest.fixture(scope="module")
def model():
    return squeezenet.SqueezeNet(weights=None, input_shape=(32, 32, 3))


def test_a_model_is_copied_with_its_names_and_weights(model):
    copied = models.load(model)
    assert copied is not model
    assert copied.name == model.name
    assert list(weights_of(copied)) == list(weights_of(model))
    assert_same(weights_of(copied), weights_of(model))
    copied.get_layer("conv1").bias.assign_add(np.ones(64, "float32"))
    assert not model.get_layer("conv1").bias.numpy().any()


def test_a_copy_in_another_precision_has_outputs_in_float32(trained_model):
    copied = models.copy(trained_model, "mixed_bfloat16")
    assert copied.layers[1].compute_dtype == "bfloat16"
    assert copied.layers[1].kernel.dtype == "float32"
    assert copied.layers[-1].compute_dtype == "float32"
    shape = (16, *trained_model.input_shape[1:])
    images = np.random.default_rng(0).normal(0, 50, shape)
    expected, received = (
        each.predict_on_batch(images) for each in (trained_model, copied)
    )
    assert received.dtype == "float32" and expected.std() > 0.1
    np.testing.assert_allclose(received, expected, atol=0.05)
    assert np.any(received != expected)


def test_a_sequential_model_is_copied_in_another_precision():
    chain = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)]
    )
    copied = models.copy(chain, "mixed_bfloat16")
    assert [layer.compute_dtype for layer in copied.layers] == [
        "bfloat16",
        "float32",
    ]


@keras.saving.register_keras_serializable("models_test")
class Nameless(keras.layers.Layer):
    """A layer whose configuration has no name."""

    def call(self, inputs):
        return inputs

    def get_config(self):
        return {}


def test_custom_layers_and_models_are_copied_in_another_precision():
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(2)(Nameless()(inputs))
    copied = models.copy(keras.Model(inputs, outputs), "float32")
    assert type(copied.layers[1]) is Nameless


def test_a_keras_file_is_loaded(tmp_path, model):
    model.save(tmp_path / "model.keras")
    loaded = models.load(tmp_path / "model.keras")
    assert_same(weights_of(loaded), weights_of(model))


def test_a_saved_file_is_one_of_keras_whatever_the_clock_says(
    tmp_path, model, monkeypatch
):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    models.save(model, tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same(weights_of(loaded), weights_of(model))
    assert os.listdir(tmp_path) == ["model.keras"]


def test_a_misspelled_name_suggests_the_nearest():
    with pytest.raises(FileNotFoundError, match="Did you mean 'imagenet'?"):
        models.load("imagnet")


def test_another_type_is_refused():
    with pytest.raises(ValueError, match=r"keras.Model.*Received: model=3"):
        models.load(3)


def test_home_is_expanded(make_model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    model = make_model()
    found = metadata.Metadata(normalization="raw", image_size=16)
    metadata.attach(model, found)
    models.save(model, tmp_path / "m.keras")
    assert models.load("~/m.keras").name == "squeezenet"
    assert models.read_metadata("~/m.keras") == found


def test_a_resized_network_computes_the_same_on_images_of_its_size(model):
    images = np.random.default_rng(0).normal(size=(2, 48, 48, 3))
    resized = models.resize(models.load(model), 48)
    assert resized.input_shape == (None, 48, 48, 3)
    assert metadata.of(resized).image_size == 48
    assert_same(weights_of(resized), weights_of(model))
    any_size = squeezenet.SqueezeNet(weights=None, input_shape=(48, 48, 3))
    any_size.set_weights(model.get_weights())
    np.testing.assert_allclose(
        resized(images), any_size(images), rtol=0, atol=1e-7
    )


def test_frozen_layers_stay_frozen_in_a_resized_network(model):
    frozen = models.load(model)
    frozen.get_layer("conv1").trainable = False
    assert models.frozen_layers(models.resize(frozen, 48)) == {"conv1"}


def test_images_too_small_for_a_network_are_refused(model):
    with pytest.raises(ValueError, match=r"too small.*image_size=2"):
        models.resize(model, 2)
