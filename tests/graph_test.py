import json

import keras
import numpy as np
import pytest
import tf_keras

from keras_squeezenet import SqueezeNet
from keras_squeezenet import architecture
from keras_squeezenet import graph
from keras_squeezenet import layers

IMAGES = np.random.default_rng(0).normal(0, 70, (2, 64, 64, 3))
SHAPE = (64, 64, 3)


def shapes(model):
    return {
        layer.name: tuple(layer.kernel.shape)
        for layer in model.layers
        if layer.weights
    }


@pytest.mark.parametrize("namespace", [keras, tf_keras])
@pytest.mark.parametrize("variant", architecture.VARIANTS)
def test_model_is_built_from_its_description_as_json(
    variant, namespace, randomize
):
    model = randomize(
        SqueezeNet(weights=None, input_shape=SHAPE, config=variant)
    )
    description = json.loads(json.dumps(graph.describe(model)))
    graph.require(description, shapes(model))
    built = graph.build(namespace, description)
    assert built.name == model.name
    built.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        built.predict_on_batch(IMAGES), model.predict_on_batch(IMAGES)
    )


def test_description_names_layers_inputs_and_arguments(small):
    description = graph.describe(small)
    assert description == {
        "name": "small",
        "layers": [
            {"type": "InputLayer", "name": "images", "shape": [8, 8, 3]},
            {
                "type": "Conv2D",
                "name": "conv1",
                "inputs": ["images"],
                "filters": 4,
                "kernel_size": [3, 3],
                "strides": [2, 2],
                "padding": "same",
                "activation": "relu",
                "use_bias": True,
            },
            {
                "type": "GlobalAveragePooling2D",
                "name": "pool",
                "inputs": ["conv1"],
            },
            {
                "type": "Dense",
                "name": "head",
                "inputs": ["pool"],
                "units": 2,
                "activation": "softmax",
                "use_bias": False,
            },
        ],
    }


@pytest.fixture
def small():
    layers = keras.layers
    inputs = keras.Input((8, 8, 3), name="images")
    conv1 = layers.Conv2D(
        4, 3, 2, padding="same", activation="relu", name="conv1"
    )
    x = layers.GlobalAveragePooling2D(name="pool")(conv1(inputs))
    head = layers.Dense(2, "softmax", use_bias=False, name="head")
    return keras.Model(inputs, head(x), name="small")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"conv1": (3, 3, 3, 5)}, "'conv1' must have the shape .3, 3, 3, 4"),
        ({"head": (5, 2)}, "'head' must have the shape .4, 2."),
        ({"pool": (1,)}, "'pool' must have the shape None"),
        ({"head": None}, "Received: None"),
    ],
)
def test_kernel_of_another_shape_is_an_error(small, change, error):
    with pytest.raises(ValueError, match=error):
        graph.require(graph.describe(small), {**shapes(small), **change})


def test_absurd_kernel_is_an_error(small):
    description = graph.describe(small)
    description["layers"][1]["filters"] = 10**12
    with pytest.raises(ValueError, match="1000000000000"):
        graph.require(description, shapes(small))


def test_layer_that_is_called_twice_is_named():
    inputs = keras.Input((8, 8, 3))
    twice = keras.layers.Conv2D(3, 1, name="twice")
    model = keras.Model(inputs, twice(twice(inputs)))
    with pytest.raises(ValueError, match="'twice' must be called once"):
        graph.describe(model)


def test_layers_may_be_in_other_models_too(small):
    expected = graph.describe(small)
    inputs = x = keras.Input((8, 8, 3), name="others")
    for layer in small.layers[1:]:
        x = layer(x)
    other = keras.Model(inputs, x, name="other")
    assert graph.describe(small) == expected
    assert graph.describe(other)["layers"][2:] == expected["layers"][2:]
    assert graph.describe(other)["layers"][1]["inputs"] == ["others"]


def test_several_outputs_are_refused(small):
    outputs = [layer.output for layer in small.layers[1:]]
    with pytest.raises(ValueError, match="Received: 'two' with 1 and 3"):
        graph.describe(keras.Model(small.input, outputs, name="two"))


def test_refusal_of_a_layer_is_short():
    with pytest.raises(ValueError, match="is a xxx.*Apply preproc") as raised:
        layers.require_known("y" * 10_000, "x" * 10_000)
    assert len(str(raised.value)) < 500
