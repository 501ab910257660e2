import dataclasses

import keras
import numpy as np
import pytest

from keras_squeezenet import SqueezeNet1_1
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import architecture
from keras_squeezenet import training
from keras_squeezenet.training import network
from keras_squeezenet.utils import backend


@pytest.mark.parametrize("side", [28, network.SMALL_IMAGE_SIZE])
def test_small_images_get_a_stem_for_them(side):
    model = training.build(side, 5, SqueezeNetConfig(base_e=8, incr_e=8))
    assert model.input_shape == (None, side, side, 3)
    assert model.output_shape == (None, 5)
    assert model.get_layer("conv1").strides == (1, 1)


def test_pretrained_weights_start_a_network_that_pools_elsewhere():
    config = dataclasses.replace(
        architecture.VARIANTS["1.1"], pools=("fire3", "fire7")
    )
    model = training.build(32, 3, config, weights="cifar10")
    pretrained = SqueezeNet1_1(weights="cifar10", classes=10)
    for name in ("conv1", "fire9_expand3x3"):
        np.testing.assert_array_equal(
            model.get_layer(name).kernel, pretrained.get_layer(name).kernel
        )
    assert model.get_layer("fire7_concat").output.shape[1:3] == (16, 16)
    assert model.output_shape == (None, 3)


def test_names_of_classes_need_not_be_unicode():
    model = training.build(28, 2, SqueezeNetConfig(base_e=8, incr_e=8))
    found = network.name_classes(model, ["caf\udce9", "tea"])
    assert found.class_names == (r"caf\udce9", "tea")


def test_larger_images_get_the_network_as_it_is():
    side = network.SMALL_IMAGE_SIZE + 1
    model = training.build(side, 5, SqueezeNetConfig(base_e=8, incr_e=8))
    assert model.get_layer("conv1").strides == (2, 2)


@pytest.mark.parametrize("policy", ["bfloat16", "mixed_float16"])
def test_layers_of_any_policy_are_loaded_in_float32(policy):
    keras.config.set_dtype_policy(policy)
    top = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    inputs = keras.Input((4, 4, 3), name="images")
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Softmax()(top(x)), name="small")
    with backend.float32():
        found = network.load(model, 4, 2)
    assert (found.name, found.inputs[0].name) == ("small", "images")
    for layer in (*found.layers, *found.get_layer(top.name).layers):
        assert layer.dtype_policy.name == "float32"
    for one, other in zip(found.weights, model.weights, strict=True):
        assert one.dtype == "float32"
        np.testing.assert_array_equal(one, np.asarray(other, "float32"))
    assert keras.config.dtype_policy().name == policy
