"""Weights as `{layer name: (kernel, bias)}`, outside of networks."""

import numpy as np

from keras_squeezenet import architecture


def weights_of(model):
    return {
        layer.name: layer.get_weights()
        for layer in model.layers
        if layer.weights
    }


def random_weights(variant="1.1", classes=1000):
    config = architecture.get_config(variant)
    rng = np.random.default_rng(0)
    return {
        layer.name: (
            rng.normal(size=layer.kernel_shape).astype("float32"),
            rng.normal(size=layer.filters).astype("float32"),
        )
        for layer in architecture.convolutions(config, classes)
    }


def write_npz(path, weights, **arrays):
    for layer, (kernel, bias) in weights.items():
        arrays[f"{layer.replace('_', '/')}/kernel"] = kernel
        arrays[f"{layer.replace('_', '/')}/bias"] = bias
    np.savez(path, **arrays)


def assert_same(found, expected):
    assert sorted(found) == sorted(expected)
    for name, arrays in expected.items():
        for one, other in zip(found[name], arrays, strict=True):
            assert one.dtype == "float32"
            np.testing.assert_array_equal(one, other, err_msg=name)
