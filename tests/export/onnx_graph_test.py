import json

import keras
import numpy as np
import pytest

from keras_squeezenet import SqueezeNet
from keras_squeezenet import layers as known_layers
from keras_squeezenet import metadata
from keras_squeezenet.export import photograph_input

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
onnx_graph = pytest.importorskip("keras_squeezenet.export.onnx_graph")
reference = pytest.importorskip("onnx.reference")

SHAPE = (32, 32, 3)


def run(built, images):
    """Run a graph in ONNX's own slow reference implementation."""
    (outputs,) = reference.ReferenceEvaluator(built).run(
        None, {"images": images}
    )
    return outputs


def with_metadata(model, normalization="caffe", names=()):
    metadata.attach(model, metadata.describe(model, normalization, names))
    return model


@pytest.fixture(scope="module")
def squeezenet(randomize):
    model = SqueezeNet(
        weights=None, input_shape=SHAPE, classes=3, config="complex_bypass"
    )
    return with_metadata(randomize(model), names=["a", "b c", "d\ne"])


@pytest.fixture
def images(rng):
    return rng.normal(scale=60, size=(2, *SHAPE)).astype("float32")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_input_and_output_are_named_and_any_batch_is_taken(squeezenet):
    built = onnx_graph.build(squeezenet)
    (inputs,), (outputs,) = built.graph.input, built.graph.output
    assert (inputs.name, outputs.name) == ("images", "probabilities")
    for value, expected in (
        (inputs, ["batch", *SHAPE]),
        (outputs, ["batch", 3]),
    ):
        dimensions = value.type.tensor_type.shape.dim
        sizes = [each.dim_param or each.dim_value for each in dimensions]
        assert sizes == expected
    assert inputs.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert built.ir_version == 9
    assert built.opset_import[0].version == 20


def test_outputs_are_those_of_the_model(squeezenet, images):
    expected = squeezenet.predict_on_batch(images)
    assert expected.std() > 0.1
    outputs = run(onnx_graph.build(squeezenet), images)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_model_of_photographs_takes_uint8(squeezenet, rng):
    taking = photograph_input.photograph_input(squeezenet)
    built = onnx_graph.build(taking)
    input_type = built.graph.input[0].type.tensor_type
    assert input_type.elem_type == onnx.TensorProto.UINT8
    photographs = rng.integers(0, 256, (2, *SHAPE)).astype("uint8")
    np.testing.assert_allclose(
        run(built, photographs),
        taking.predict_on_batch(photographs.astype("float32")),
        atol=1e-5,
    )


def test_tensors_and_weights_have_the_names_of_layers(squeezenet):
    graph = onnx_graph.build(squeezenet).graph
    names = {node.name for node in graph.node}
    assert {"conv1", "fire2_concat", "fire3_bypass", "pool1"} <= names
    assert not any(name.startswith("drop9") for name in names)
    assert sum(node.op_type == "Transpose" for node in graph.node) == 1
    weights = {
        f"{layer.name}/{weight.name}"
        for layer in squeezenet.layers
        for weight in layer.weights
    }
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    assert weights <= set(shapes)
    assert shapes["conv1/kernel"] == [96, 3, 7, 7]


def test_properties_are_the_metadata_and_the_labels(squeezenet):
    built = onnx_graph.build(squeezenet)
    found = {each.key: each.value for each in built.metadata_props}
    assert found["labels"].split("\n") == ["a", "b c", "d\\ne"]
    assert json.loads(found[metadata.MEMBER]) == {
        "normalization": "caffe",
        "image_size": 32,
        "channels": 3,
        "class_names": ["a", "b c", "d\ne"],
    }


# `linear` has no node.
@pytest.mark.parametrize("activation", known_layers.ACTIVATIONS)
def test_activation_is_that_of_keras(activation, rng):
    layers = keras.layers
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1, activation=activation, name="conv")(inputs)
    x = layers.GlobalMaxPooling2D()(x)
    model = keras.Model(inputs, layers.Activation(activation)(x))
    images = rng.normal(scale=2, size=(3, 4, 4, 3)).astype("float32")
    np.testing.assert_allclose(
        run(onnx_graph.build(model), images),
        model.predict_on_batch(images),
        rtol=1e-5,
        atol=1e-5,
    )


def test_every_other_layer_is_that_of_keras(rng, randomize):
    layers = keras.layers
    inputs = keras.Input((9, 8, 3), name="images")
    x = layers.ZeroPadding2D(((1, 0), (2, 1)))(inputs)
    x = layers.Conv2D(6, (3, 2), (2, 1), use_bias=False, name="probabilities")(
        x
    )
    rows = layers.Concatenate(axis=1)([x, x])
    columns = layers.Concatenate(axis=2)([x, x])
    x = layers.Dense(5, activation="relu")(rows)
    y = layers.Softmax()(layers.Dense(5, use_bias=False)(columns))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    y = layers.GlobalMaxPooling2D()(layers.Dropout(0.5)(y))
    x = layers.Concatenate(axis=1)([layers.Add()([x, y, y]), y])
    x = layers.Add()([x, x])
    model = keras.Model(inputs, layers.Dropout(0.5)(layers.Dense(4)(x)))
    randomize(model)
    images = rng.normal(size=(3, 9, 8, 3)).astype("float32")
    outputs = run(onnx_graph.build(model), images)
    expected = model.predict_on_batch(images)
    assert expected.std() > 0.1
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "padding", "is_merged"),
    [("relu", 1, True), ("relu", 2, False), ("tanh", 1, False)],
)
def test_padding_of_a_maximum_is_merged_where_zero_is_lowest(
    activation, padding, is_merged, rng
):
    layers = keras.layers
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 1, activation=activation)(inputs)
    x = layers.ZeroPadding2D(((0, padding), (0, padding)))(x)
    x = layers.MaxPooling2D(2, 2)(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    built = onnx_graph.build(model)
    operations = [node.op_type for node in built.graph.node]
    assert ("Pad" not in operations) == is_merged
    images = rng.normal(size=(2, 6, 6, 3)).astype("float32")
    np.testing.assert_allclose(
        run(built, images), model.predict_on_batch(images), atol=1e-6
    )


def test_network_that_does_not_return_classes_is_refused():
    model = SqueezeNet(weights=None, include_top=False, input_shape=SHAPE)
    with pytest.raises(ValueError, match="from images to classes. Received"):
        onnx_graph.build(model)
