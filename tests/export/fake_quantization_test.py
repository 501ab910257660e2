import keras
import numpy as np
import pytest

from keras_squeezenet import metadata
from keras_squeezenet.export import activation_ranges
from keras_squeezenet.export import fake_quantization

SIDE = 8


@pytest.fixture(scope="module")
def model(randomize):
    """A network with fused, separate and joined activations."""
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.ReLU(name="relu")(layers.Conv2D(4, 1, name="linear")(x))
    x = layers.Add()([x, layers.Conv2D(4, 1, activation="tanh", name="t")(x)])
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(3, activation="softmax", name="head")(x)
    return randomize(keras.Model(inputs, x))


@pytest.fixture(scope="module")
def photographs():
    rng = np.random.default_rng(0)
    shape = (16, SIDE, SIDE, 3)
    return rng.integers(0, 256, shape).astype("float32")


def test_activations_that_are_not_fused_become_layers(model, photographs):
    separated = fake_quantization.separate_activations(model)
    names = [layer.name for layer in separated.layers if layer.weights]
    assert names == ["linear", "t", "head"]
    assert separated.get_layer("t").activation is keras.activations.linear
    assert separated.get_layer("t_activation") in separated.layers
    np.testing.assert_allclose(
        separated.predict_on_batch(photographs),
        model.predict_on_batch(photographs),
        atol=1e-5,
    )


def test_outputs_are_rounded_where_integers_are(model, photographs):
    separated = fake_quantization.separate_activations(model)
    metadata.attach(separated, metadata.describe(separated, "raw"))
    ranges = activation_ranges.measure(separated, photographs)
    rounded = fake_quantization.rounding(separated, ranges)

    def changed(kind, **layer):
        values = np.linspace(0, 0.7, 100, dtype="float32")
        found = rounded({"type": kind, **layer}, values)
        return bool((np.asarray(found) != values).any())

    assert changed("ReLU", name="relu")
    assert changed("Activation", name="t_activation", activation="tanh")
    # Computed with the ReLU after it, and in float32.
    assert not changed("Conv2D", name="linear", activation="linear")
    assert not changed(
        "Activation", name="head_activation", activation="softmax"
    )
    pixels = np.arange(256, dtype="float32")
    first = {"type": "InputLayer", "name": separated.layers[0].name}
    np.testing.assert_array_equal(rounded(first, pixels), pixels)


def test_probabilities_stay_near_those_of_float32(model, photographs):
    separated = fake_quantization.separate_activations(model)
    ranges = activation_ranges.measure(separated, photographs)
    outputs = fake_quantization.function(separated, ranges)(photographs)
    expected = model.predict_on_batch(photographs)
    np.testing.assert_allclose(outputs, expected, atol=0.02)
    assert (np.asarray(outputs) != expected).any()
