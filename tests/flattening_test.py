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


def normalized_in_a_row():
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    x = layers.Rescaling(0.05)(layers.BatchNormalization(axis=3)(x))
    x = layers.ReLU()(layers.BatchNormalization(center=False)(x))
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D()(x)))


def added_by_an_operator():
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3)(inputs) + layers.Conv2D(4, 3)(inputs)
    x = layers.Dense(4)(layers.BatchNormalization()(x))
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize(
    "make",
    [
        *(folded_forward, folded_backward, preprocessed_inside, nested),
        *(normalized_in_a_row, added_by_an_operator),
    ],
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


def changed(layer):
    """A network with a layer between two others."""
    inputs = keras.Input((4, 4, 4))
    x = layer(layers.Conv2D(4, 1, activation="relu")(inputs))
    x = layers.Dense(4)(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def normalized_by_row():
    return changed(layers.BatchNormalization(axis=1, name="norm"))


def preprocessed_by_row():
    numbers = [1.0, 2, 3, 4]
    norm = layers.Normalization(1, numbers, numbers, name="norm")
    return changed(norm)


def rescaled_by_pixel():
    scale = np.ones((4, 4, 1)).tolist()
    return changed(layers.Rescaling(scale, name="scale"))


class RandomFeatures(layers.Layer):
    """Not an augmentation."""

    def call(self, x):
        return 2 * x


def random_features():
    return changed(RandomFeatures(name="features"))


def relu(x):
    return 2 * x


def own_relu():
    return changed(layers.Activation(relu, name="own"))


def operator():
    return changed(lambda x: x * 2)


def constant():
    return changed(lambda x: x + np.ones((1, 4, 4, 4), "float32"))


class Doubled(keras.Model):
    def call(self, x, training=None):
        return 2 * super().call(x, training=training)


def doubled():
    model = changed(layers.ReLU())
    return Doubled(model.input, model.output, name="doubled")


def doubled_inside():
    return keras.Sequential([keras.Input((4, 4, 4)), doubled()])


def subclassed_inside():
    class Base(keras.Model):
        def call(self, x):
            return x

    return changed(Base(name="base"))


def two_outputs():
    inputs = keras.Input((4,), name="images")
    model = keras.Model(inputs, [layers.Dense(2)(inputs), inputs], name="two")
    return model


def two_outputs_inside():
    inputs = keras.Input((4,))
    return keras.Model(inputs, two_outputs()(inputs)[0])


def two_inputs_inside():
    one, two = keras.Input((4,)), keras.Input((4,))
    adding = keras.Model([one, two], layers.Add()([one, two]), name="adding")
    inputs = keras.Input((4,))
    return keras.Model(inputs, adding([layers.Dense(4)(inputs), inputs]))


@pytest.mark.parametrize(
    "make, message",
    [
        (normalized_by_row, "'norm' is a Batch.*channel by channel.*'conv2d'"),
        (preprocessed_by_row, "'norm' is a Normalization.* channel by channel"),
        (rescaled_by_pixel, "'scale' is a Rescaling.* channel by channel"),
        (
            random_features,
            "'features' is a .*RandomFeatures, and a network may",
        ),
        (own_relu, "activation of layer 'own' must be .*<function relu"),
        (operator, "is a Multiply, and a network may have only the layers"),
        (constant, "inputs of layers must be the outputs of other layers"),
        (doubled, "'doubled' must compute its layers.* a Doubled with its own"),
        (doubled_inside, "'doubled' must compute its layers and no more"),
        (subclassed_inside, "must be a flat Functional .*<Base name=base"),
        (two_outputs, "one output. Received: 'two' with 1 and 2"),
        (two_outputs_inside, "one output. Received: 'two' with 1 and 2"),
        (two_inputs_inside, "one output. Received: 'adding' with 2 and 1"),
        (rescaled_before_padding, "'scale' is a Rescaling.*Apply it to the"),
        (normalized_before_two, "'norm' is a BatchNormalization.*move it"),
        (separable, "'separable' is a SeparableConv2D, and a network may have"),
    ],
)
def test_what_cannot_be_folded_is_refused_with_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        flattening.flatten(make())
