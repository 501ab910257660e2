"""A pruned and clustered network, and its quantized form, to be exported."""

import keras
import numpy as np
import pytest

from keras_squeezenet.compression import quantize

SIDE = 8
CLASSES = 4
VALUES = np.array([-5, -3, -2, -1, 1, 2, 3, 5])


@pytest.fixture(scope="session")
def pruned():
    """Half of each kernel's weights are zero, the others share 8 values.

    It has what a SqueezeNet with a transfer head has, once.
    """
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(
        8, 3, strides=2, padding="same", activation="relu", name="conv1"
    )(inputs)
    x = layers.Conv2D(8, 1, activation="relu", name="fire2_squeeze1x1")(x)
    expanded = [
        layers.Conv2D(8, 1, activation="relu", name="fire2_expand1x1")(x),
        layers.Conv2D(
            8, 3, padding="same", activation="relu", name="fire2_expand3x3"
        )(x),
    ]
    x = layers.Concatenate(name="fire2_concat")(expanded)
    x = layers.GlobalAveragePooling2D(name="pool10")(x)
    x = layers.Dense(16, activation="relu", name="hidden")(x)
    x = layers.Dense(CLASSES, name="logits")(x)
    x = layers.Activation("softmax", name="predictions")(x)
    model = keras.Model(inputs, x, name="pruned")
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            shape = layer.kernel.shape
            codes = rng.choice(VALUES, shape) * rng.integers(0, 2, shape)
            # Of no power of two, which would hide what rounding does.
            scale = 0.3 / np.sqrt(np.prod(shape[:-1]))
            layer.kernel.assign(codes * scale)
            layer.bias.assign(rng.normal(scale=0.1, size=shape[-1:]))
    return model


@pytest.fixture(scope="session")
def calibration():
    rng = np.random.default_rng(1)
    # Each image has a color, so that the network tells them apart.
    images = rng.normal(scale=60, size=(2, 16, 1, 1, 3))
    images = images + rng.normal(scale=20, size=(2, 16, SIDE, SIDE, 3))
    return list(images.astype("float32"))


@pytest.fixture(scope="session")
def quantized(pruned, calibration):
    """The model of quantization wrappers, with the very weights of `pruned`."""
    return quantize.wrap(pruned, quantize.measure_ranges(pruned, calibration))
