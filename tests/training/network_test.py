import pytest

from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import training
from keras_squeezenet.training import network


@pytest.mark.parametrize("side", [28, network.SMALL_IMAGE_SIZE])
def test_small_images_get_a_stem_for_them(side):
    model = training.build(side, 5, SqueezeNetConfig(base_e=8, incr_e=8))
    assert model.input_shape == (None, side, side, 3)
    assert model.output_shape == (None, 5)
    assert model.get_layer("conv1").strides == (1, 1)


def test_names_of_classes_need_not_be_unicode():
    model = training.build(28, 2, SqueezeNetConfig(base_e=8, incr_e=8))
    found = network.name_classes(model, ["caf\udce9", "tea"])
    assert found.class_names == (r"caf\udce9", "tea")


def test_larger_images_get_the_network_as_it_is():
    side = network.SMALL_IMAGE_SIZE + 1
    model = training.build(side, 5, SqueezeNetConfig(base_e=8, incr_e=8))
    assert model.get_layer("conv1").strides == (2, 2)
