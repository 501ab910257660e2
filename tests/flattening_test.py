"""Models become flat float32 networks with the same outputs."""

import keras
import numpy as np
import pytest
import quarters
import short_networks
from keras import layers

from keras_squeezenet import SqueezeNet
from keras_squeezenet import flattening

SHAPE = (quarters.SIDE, quarters.SIDE, 3)


def make_backbone(**options):
    return short_networks.shorten(
        SqueezeNet(
            include_top=False,
            weights=None,
            pooling="avg",
            config=quarters.TINY,
            **options,
        )
    )


def head(x, *between):
    for layer in between:
        x = layer(x)
    return layers.Dense(4, activation="softmax", name="head")(x)


def folded_forward():
    base = make_backbone(input_shape=SHAPE)
    hidden = layers.Dense(16, activation="relu")
    return keras.Model(
        base.input,
        head(
            base.output,
            hidden,
            layers.BatchNormalization(),
            layers.Dropout(0.3),
        ),
    )


def folded_backward():
    base = make_backbone(input_shape=SHAPE)
    hidden = layers.Dense(16, use_bias=False)
    norm = layers.BatchNormalization(scale=False)
    return keras.Model(base.input, head(base.output, hidden, norm))


def preprocessed_inside():
    inputs = keras.Input(SHAPE)
    norm = layers.Normalization(mean=[1.0, 2, 3], variance=[4.0, 5, 6])
    x = layers.RandomFlip()(layers.Rescaling(1 / 127.5, -1)(inputs))
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(norm(x))
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D()(x)))


def nested():
    base = make_backbone(input_shape=SHAPE)
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.RandomRotation(0.1),
            base,
            layers.Dense(4, activation="softmax"),
        ]
    )


@pytest.mark.parametrize(
    "make", [folded_forward, folded_backward, preprocessed_inside, nested]
)
def test_outputs_stay(make, randomize):
    model = make()
    names = [layer.name for layer in model.layers]
    randomize(model)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance.assign(layer.moving_variance**2 + 0.1)
        if isinstance(layer, layers.Dense):
            # The logits of random weights are far apart.
            layer.kernel.assign(layer.kernel / 5)
    images, _ = quarters.make_images(8, 0)
    flat = flattening.flatten(model)
    expected = model.predict_on_batch(images)
    np.testing.assert_allclose(
        flat.predict_on_batch(images), expected, atol=1e-5
    )
    assert np.ptp(expected, axis=0).max() > 1e-3
    kinds = {type(layer).__name__ for layer in flat.layers}
    assert not {"BatchNormalization", "Rescaling", "Normalization"} & kinds
    assert not any(isinstance(layer, keras.Model) for layer in flat.layers)
    assert names == [layer.name for layer in model.layers]


def test_flat_float32_model_stays_as_it_is(make_model):
    model = make_model()
    model.get_layer("conv1").trainable = False
    flat = flattening.flatten(model)
    assert flat.get_config() == model.get_config()
    np.testing.assert_equal(flat.get_weights(), model.get_weights())


def test_mixed_precision_becomes_float32(make_model):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = make_model()
    flat = flattening.flatten(model)
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert {layer.compute_dtype for layer in flat.layers if layer.weights} == {
        "float32"
    }


def rescaled_before_padding():
    inputs = keras.Input(SHAPE)
    x = layers.Rescaling(1 / 127.5, -1, name="scale")(inputs)
    x = layers.Conv2D(8, 3, padding="same")(x)
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D()(x)))


def normalized_before_two():
    inputs = keras.Input((8,))
    x = layers.BatchNormalization(name="norm")(inputs)
    x = layers.Add()([layers.Dense(4)(x), layers.Dense(4)(x)])
    return keras.Model(inputs, x)


def separable():
    inputs = keras.Input(SHAPE)
    x = layers.SeparableConv2D(8, 3, name="separable")(inputs)
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize(
    "make, message",
    [
        (rescaled_before_padding, "'scale' is a Rescaling.*Apply it to the"),
        (normalized_before_two, "'norm' is a BatchNormalization.*move it"),
        (separable, "'separable' is a SeparableConv2D, and a network may have"),
    ],
)
def test_what_cannot_be_folded_is_refused_with_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        flattening.flatten(make())
