"""The network that is exported returns probabilities."""

import keras
import numpy as np
import pytest

from keras_squeezenet.export import exportable

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")


def dense(features):
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    return keras.layers.Dense(3)(pooled)


def pooled(features):
    logits = keras.layers.Conv2D(3, 1)(features)
    return keras.layers.GlobalAveragePooling2D()(logits)


def pooled_twice(features):
    logits = keras.layers.Conv2D(3, 1)(features)
    logits = keras.layers.MaxPooling2D(2)(logits)
    return keras.layers.GlobalMaxPooling2D()(keras.layers.Dropout(0.5)(logits))


def make_model(head):
    inputs = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(5, 3, activation="relu")(inputs)
    return keras.Model(inputs, head(features))


def linear_activation(features):
    return keras.layers.Activation("linear")(pooled(features))


def rectified(features):
    """As v1.0 without an activation of the classifier."""
    logits = keras.layers.Conv2D(3, 1, activation="relu")(features)
    pooled = keras.layers.GlobalAveragePooling2D()(logits)
    return keras.layers.Activation("linear")(pooled)


@pytest.mark.parametrize(
    "head", [dense, pooled, pooled_twice, linear_activation, rectified]
)
def test_softmax_follows_logits(head):
    model = make_model(head)
    prepared = exportable.prepare(model, None)
    np.testing.assert_allclose(
        prepared.predict(IMAGES, verbose=0),
        keras.ops.softmax(model.predict(IMAGES, verbose=0)),
        atol=1e-6,
    )


def dropped(probabilities):
    return keras.layers.Dropout(0.5)(probabilities)


def averaged(probabilities):
    return keras.layers.GlobalAveragePooling2D()(probabilities)


def passed(probabilities):
    return keras.layers.Activation("linear")(averaged(probabilities))


@pytest.mark.parametrize("tail", [averaged, passed, dropped])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_outputs_with_an_activation_stay(activation, tail):
    def head(features):
        if tail is not dropped:
            layer = keras.layers.Conv2D(3, 1, activation=activation)
            return tail(layer(features))
        layer = keras.layers.Dense(3, activation=activation)
        return tail(layer(averaged(features)))

    model = make_model(head)
    prepared = exportable.prepare(model, None)
    assert len(prepared.layers) == len(model.layers)
    np.testing.assert_allclose(
        prepared.predict(IMAGES, verbose=0),
        model.predict(IMAGES, verbose=0),
        atol=1e-6,
    )
