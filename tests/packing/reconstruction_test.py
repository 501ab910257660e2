import keras
import numpy as np
import pytest

from keras_squeezenet.packing import reconstruction

IMAGES = np.random.default_rng(0).normal(scale=60, size=(8, 16, 16, 3))
IMAGES = IMAGES.astype("float32")


def coarse(kernel, levels=6):
    step = np.abs(kernel).max() / levels
    return (np.rint(kernel / step) * step).astype("float32")


def outputs_after(model, code):
    """Return the logits of the model with the weights from `code`."""
    chosen = {}

    def remember(name, weights, fit_bias):
        kernel, bias = code(name, weights, fit_bias)
        chosen[name] = [kernel] if bias is None else [kernel, bias]
        return kernel, bias

    before = model.get_weights()
    reconstruction.run(model, IMAGES, remember)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    copy = keras.models.clone_model(model)
    for name, weights in chosen.items():
        copy.get_layer(name).set_weights(weights)
    assert len(chosen) == sum(bool(layer.weights) for layer in model.layers)
    logits = keras.Model(copy.input, copy.get_layer("pool10").output)
    return logits.predict_on_batch(IMAGES)


@pytest.fixture(scope="module")
def model(small_model, randomize):
    return randomize(keras.models.clone_model(small_model))


def fitted(name, weights, fit_bias):
    kernel = coarse(weights)
    return kernel, fit_bias(kernel).astype("float32")


def test_reconstruction_halves_the_error(model):
    def as_they_are(name, weights, fit_bias):
        layer = model.get_layer(name)
        kernel, bias = layer.get_weights()
        return coarse(kernel), bias

    logits = keras.Model(model.input, model.get_layer("pool10").output)
    expected = logits.predict_on_batch(IMAGES)
    errors = [
        np.mean((outputs_after(model, code) - expected) ** 2)
        for code in (as_they_are, fitted)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_weights_without_errors_are_not_changed(model):
    def nothing(name, weights, fit_bias):
        kernel, bias = model.get_layer(name).get_weights()
        np.testing.assert_allclose(weights, kernel, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(fit_bias(kernel), bias, rtol=1e-4, atol=1e-3)
        return kernel, bias

    reconstruction.run(model, IMAGES, nothing)


def test_result_does_not_depend_on_the_batches(model, monkeypatch):
    outputs = []
    for size in (3, 8):
        monkeypatch.setattr(reconstruction, "BATCH_SIZE", size)
        outputs.append(outputs_after(model, fitted))
    np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-3)


def test_layers_without_biases_stay_without():
    inputs = keras.Input((16, 16, 3))
    layers = keras.layers
    x = layers.Conv2D(4, 3, use_bias=False, name="conv1")(inputs)
    x = layers.GlobalAveragePooling2D(name="pool10")(x)
    model = keras.Model(inputs, x)

    def code(name, weights, fit_bias):
        assert fit_bias(weights) is None
        return coarse(weights), None

    assert outputs_after(model, code).shape == (8, 4)
