import keras
import numpy as np
import pytest

from keras_squeezenet.packing import reconstruction

IMAGES = np.random.default_rng(0).normal(scale=60, size=(8, 16, 16, 3))
IMAGES = IMAGES.astype("float32")


def coarse(kernel, levels=6):
    step = np.abs(kernel).max() / levels
    return (np.rint(kernel / step) * step).astype("float32")


def same(name, bias):
    return bias.astype("float32")


def outputs_after(model, quantize_bias=same, images=IMAGES):
    """Return the logits of the model with coarse kernels."""
    chosen = {}

    def quantize_kernel(name, kernel):
        chosen[name] = [coarse(kernel)]
        return chosen[name][0]

    def remember_bias(name, bias):
        chosen[name].append(quantize_bias(name, bias))
        return chosen[name][1]

    before = model.get_weights()
    reconstruction.run(model, images, quantize_kernel, remember_bias)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    copy = keras.models.clone_model(model)
    for name, weights in chosen.items():
        copy.get_layer(name).set_weights(weights)
    assert len(chosen) == sum(bool(layer.weights) for layer in model.layers)
    return logits_of(copy, images)


def logits_of(model, images=IMAGES):
    logits = keras.Model(model.input, model.get_layer("pool10").output)
    return logits.predict_on_batch(images)


@pytest.fixture(scope="module")
def model(small_model, randomize):
    return randomize(keras.models.clone_model(small_model))


def test_reconstruction_halves_the_error(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(
        [coarse(w) if w.ndim > 1 else w for w in model.get_weights()]
    )
    expected = logits_of(model)
    as_they_are, fitted = (
        np.mean((logits - expected) ** 2)
        for logits in (logits_of(copy), outputs_after(model))
    )
    assert fitted < 0.5 * as_they_are


def test_fitted_biases_keep_the_mean_of_active_outputs():
    # A third of its positions is sampled.
    images = np.random.default_rng(0).normal(1, size=(8, 27, 27, 3))
    images = images.astype("float32")
    inputs = keras.Input((27, 27, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv1")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="pool10")(x)
    model = keras.Model(inputs, x)
    # All outputs are active.
    bias = np.full(4, 1e2, "float32")
    model.get_layer("conv1").bias.assign(bias)

    def mean_error(quantize_bias):
        after = outputs_after(model, quantize_bias, images)
        return np.abs((after - logits_of(model, images)).mean(axis=0)).max()

    assert mean_error(same) < 0.2 * mean_error(lambda name, fitted: bias)


def test_weights_without_errors_are_not_changed(model):
    def quantize_kernel(name, kernel):
        original, _ = model.get_layer(name).get_weights()
        np.testing.assert_allclose(kernel, original, rtol=1e-3, atol=1e-4)
        return original

    def quantize_bias(name, bias):
        _, original = model.get_layer(name).get_weights()
        np.testing.assert_allclose(bias, original, rtol=1e-4, atol=1e-3)
        return original

    reconstruction.run(model, IMAGES, quantize_kernel, quantize_bias)


def test_result_does_not_depend_on_the_batches(model, monkeypatch):
    outputs = []
    for size in (3, 8):
        monkeypatch.setattr(reconstruction, "BATCH_SIZE", size)
        outputs.append(outputs_after(model))
    np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-3)


def test_layers_without_biases_stay_without():
    inputs = keras.Input((16, 16, 3))
    layers = keras.layers
    x = layers.Conv2D(4, 3, use_bias=False, name="conv1")(inputs)
    x = layers.GlobalAveragePooling2D(name="pool10")(x)
    model = keras.Model(inputs, x)
    found = outputs_after(model, lambda name, bias: pytest.fail(name))
    assert found.shape == (8, 4)
