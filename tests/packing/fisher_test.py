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


def test_moment_of_samples_is_close_to_that_of_all_positions():
    x = tf.random.stateless_normal((10, 2000, 3), (0, 0)) + 1
    flat = tf.reshape(x, (-1, 3))
    expected = tf.matmul(flat, flat, True) / 2000
    np.testing.assert_allclose(fisher._moment(x), expected, rtol=0.1, atol=1)


def test_last_batch_may_be_smaller(small_model, images):
    count = fisher.BATCH_SIZE + 3
    found = fisher.measure(small_model, images[:count])
    assert all(np.isfinite(each.inputs).all() for each in found.values())


def test_seed_determines_the_estimate(linear_model):
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    one, other, third = (
        fisher.measure(linear_model, x, seed)["head"].inputs
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, other)
    assert np.any(one != third)
