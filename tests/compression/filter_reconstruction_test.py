import keras
import numpy as np

from keras_squeezenet import graph
from keras_squeezenet.compression import channels
from keras_squeezenet.compression import filter_reconstruction


def make(filters):
    x = keras.Input((6, 6, 3))
    a = keras.layers.Conv2D(filters, 1, name="a", activation="relu")(x)
    b = keras.layers.Conv2D(4, 3, padding="same", name="b")(a)
    return keras.Model(x, b)


def remove_last(model, smaller):
    """Give the smaller network the weights without the last filter of `a`."""
    traced = channels.trace(graph.describe(model))
    kept = np.full(len(traced.removable), True)
    kept[traced.outputs["a"][3]] = False
    weights = {name: model.get_layer(name).get_weights() for name in "ab"}
    _, weights = channels.remove(graph.describe(model), weights, traced, kept)
    for name, arrays in weights.items():
        smaller.get_layer(name).set_weights(arrays)
    return traced, kept


def test_a_filter_that_repeats_another_can_go_without_a_difference():
    keras.utils.set_random_seed(0)
    model, smaller = make(4), make(3)
    kernel, bias = model.get_layer("a").get_weights()
    kernel[..., 3] = kernel[..., 1]
    model.get_layer("a").set_weights([kernel, bias])
    traced, kept = remove_last(model, smaller)
    images = np.random.default_rng(0).normal(size=(8, 6, 6, 3))
    images = images.astype("float32")
    expected = model.predict_on_batch(images)
    filter_reconstruction.fit(model, smaller, traced, kept, images)
    error = np.abs(smaller.predict_on_batch(images) - expected).max()
    # The damping alone keeps it from zero.
    assert error < 0.02 * np.abs(expected).max()


def test_biases_make_up_for_a_constant_output():
    keras.utils.set_random_seed(0)
    model, smaller = make(4), make(3)
    kernel, bias = model.get_layer("a").get_weights()
    kernel[..., 3], bias[3] = 0, 5
    model.get_layer("a").set_weights([kernel, bias])
    traced, kept = remove_last(model, smaller)
    images = np.random.default_rng(0).normal(size=(8, 6, 6, 3))
    images = images.astype("float32")
    filter_reconstruction.fit(model, smaller, traced, kept, images)
    # Inside, where the padding does not reach.
    inside = np.s_[:, 1:-1, 1:-1]
    expected = model.predict_on_batch(images)[inside]
    found = smaller.predict_on_batch(images)[inside]
    means = found.mean((0, 1, 2)) - expected.mean((0, 1, 2))
    without = model.get_layer("b").get_weights()[0][..., 3, :].sum((0, 1)) * 5
    assert np.abs(means).max() < 0.3 * np.abs(without).max()
