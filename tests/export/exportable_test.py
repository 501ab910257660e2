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


@pytest.mark.parametrize("head", [dense, pooled, pooled_twice])
def test_softmax_follows_logits(head):
    model = make_model(head)
    prepared = exportable.prepare(model, None)
    np.testing.assert_allclose(
        prepared.predict(IMAGES, verbose=0),
        keras.ops.softmax(model.predict(IMAGES, verbose=0)),
        atol=1e-6,
    )


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_outputs_with_an_activation_stay(activation):
    model = make_model(
        lambda features: keras.layers.GlobalAveragePooling2D()(
            keras.layers.Conv2D(3, 1, activation=activation)(features)
        )
    )
    prepared = exportable.prepare(model, None)
    assert len(prepared.layers) == len(model.layers)
    np.testing.assert_allclose(
        prepared.predict(IMAGES, verbose=0),
        model.predict(IMAGES, verbose=0),
        atol=1e-6,
    )
