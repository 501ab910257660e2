import keras
import numpy as np
import pytest

from keras_squeezenet import SqueezeNet
from keras_squeezenet.export import photograph_input
from keras_squeezenet.export import saturation

SIDE = 8


def make_model(activation="relu", branches=("one",), padding="valid"):
    """Each branch is a convolution of the image, and another follows."""
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, 3))
    x = [
        layers.Conv2D(4, 3, padding=padding, activation=activation, name=name)(
            inputs
        )
        for name in branches
    ]
    x = layers.Concatenate()(x) if len(x) > 1 else x[0]
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(4, 1, activation="relu", name="second")(x)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(3, activation="softmax", name="last")(x)
    return keras.Model(inputs, outputs)


def test_layer_that_takes_images_is_narrow():
    model = SqueezeNet(weights=None, input_shape=(64, 64, 3), classes=4)
    assert saturation.narrow_layers(model) == ["conv1"]


def test_layer_behind_the_normalization_is_narrow_too():
    model = photograph_input.photograph_input(make_model(padding="same"))
    assert model.layers[1].name == photograph_input.NORMALIZE
    assert saturation.narrow_layers(model) == ["one"]


def test_every_layer_that_takes_images_is_narrow():
    model = make_model(branches=("one", "other"))
    assert saturation.narrow_layers(model) == ["one", "other"]


@pytest.mark.parametrize("activation", ["relu6", "tanh", "sigmoid"])
def test_layer_behind_a_bounded_activation_is_narrow(activation):
    model = make_model(activation)
    assert saturation.narrow_layers(model) == ["one", "second"]
    assert saturation.narrow_layers(model, bounded=()) == ["one"]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (16, SIDE, SIDE, 3)).astype("float32")


@pytest.mark.parametrize(
    "options, narrow",
    [
        ({}, {"one"}),
        ({"branches": ("one", "other")}, {"one", "other"}),
        ({"activation": "tanh"}, {"one", "second"}),
    ],
)
def test_narrow_kernels_of_onnx_files_have_7_bits(
    options, narrow, images, tmp_path
):
    onnx_file = pytest.importorskip(
        "keras_squeezenet.export.onnx_file",
        reason="the extra `onnx` is not installed",
    )
    model = photograph_input.photograph_input(make_model(**options))
    onnx_file.write_onnx_int8(model, tmp_path / "a.onnx", images)
    kernels = onnx_file.read_kernels(tmp_path / "a.onnx")
    codes = {
        name: abs(array.astype(int)).max() for name, array in kernels.items()
    }
    assert {name for name, code in codes.items() if code <= 64} == narrow
    assert {code for name, code in codes.items() if code > 64} == {127}


@pytest.mark.parametrize(
    "activation, is_narrow", [("relu", False), ("tanh", True)]
)
def test_later_kernels_of_openvino_have_7_bits_where_sums_may_saturate(
    activation, is_narrow, images, largest_openvino_codes
):
    model = photograph_input.photograph_input(make_model(activation))
    codes = largest_openvino_codes(model, images)
    assert codes["one"] <= 64
    assert (codes["second"] <= 64) == is_narrow
