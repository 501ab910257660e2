import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.packing import fisher


@pytest.fixture(scope="module")
def linear_model():
    """One dense layer, whose Fisher information is known in closed form."""
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(4, activation="softmax", name="head")(inputs)
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=(3, 4)), rng.normal(size=4)])
    return model


def test_fisher_information_is_that_of_the_softmax(linear_model):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3)).astype("float32")
    found = fisher.measure(linear_model, x)["head"]
    p = linear_model.predict(x, verbose=0)
    ones = np.concatenate([x, np.ones((4000, 1))], axis=1)
    # For one image it is x x' times the trace of diag(p) - p p'.
    weight = 1 - np.sum(p**2, axis=1)
    information = (ones * weight[:, np.newaxis]).T @ ones / 4000
    moment = ones.T @ ones / 4000
    expected = (
        information + 0.5 * np.trace(information) / np.trace(moment) * moment
    )
    np.testing.assert_allclose(found.inputs, expected, rtol=0.1, atol=0.02)
    np.testing.assert_allclose(found.outputs, 1 / 4)


def test_every_layer_with_a_kernel_has_a_hessian(small_model, packer):
    kernels = {
        layer.name: layer.kernel.shape
        for layer in small_model.layers
        if layer.weights
    }
    assert list(packer.quantizer.hessians) == list(kernels)
    for name, shape in kernels.items():
        inputs = np.prod(shape[:-1])
        hessian = packer.quantizer.hessians[name]
        assert hessian.inputs.shape == (inputs + 1, inputs + 1)
        least = np.linalg.eigvalsh(hessian.inputs).min()
        assert least > -1e-5 * np.trace(hessian.inputs)
        assert hessian.outputs.shape == shape[-1:]
        assert hessian.outputs.sum() == pytest.approx(1)
        assert hessian.outputs.min() > 0


def test_frozen_layers_have_the_same_hessians(small_model, packer, images):
    """The model was trainable when `packer` measured it."""
    is_validation = np.arange(25) % 5 == 4
    small_model.trainable = False
    try:
        found = fisher.measure(small_model, images[~is_validation])
    finally:
        small_model.trainable = True
    for name, hessian in packer.quantizer.hessians.items():
        np.testing.assert_allclose(
            found[name].inputs, hessian.inputs, rtol=1e-4, atol=1e-9
        )


@pytest.mark.parametrize("name", ["conv1", "fire2_squeeze1x1", "expand3"])
def test_columns_times_the_kernel_are_the_layers_output(name, small_model):
    layer = small_model.get_layer(name)
    x = tf.random.stateless_normal((2, 9, 9, layer.kernel.shape[2]), (0, 0))
    flat = tf.reshape(layer.kernel, (-1, layer.kernel.shape[-1]))
    output = fisher.input_columns(layer, x) @ flat + layer.bias
    expected = layer(x)
    for found in (
        tf.reshape(output, tf.shape(expected)),
        fisher.linear_output(layer, x),
    ):
        np.testing.assert_allclose(
            tf.nn.relu(found), expected, rtol=1e-4, atol=1e-4
        )


def test_seed_determines_the_estimate(linear_model):
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    one, other, third = (
        fisher.measure(linear_model, x, seed)["head"].inputs
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, other)
    assert np.any(one != third)
