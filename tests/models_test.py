"""Every `model` argument is resolved by `models.load`."""

import keras
import numpy as np
import pytest

from keras_squeezenet import models
from keras_squeezenet import squeezenet


@pytest.fixture(scope="module")
def model():
    return squeezenet.SqueezeNet(weights=None, input_shape=(32, 32, 3))


def test_a_model_is_copied_with_its_names_and_weights(model):
    copied = models.load(model)

    assert copied is not model
    assert copied.name == model.name
    assert [layer.name for layer in copied.layers] == [
        layer.name for layer in model.layers
    ]
    for mine, theirs in zip(copied.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(mine, theirs)


def test_training_the_copy_leaves_the_model_as_it_was(model):
    before = model.get_weights()
    copied = models.load(model)

    copied.get_layer("conv1").bias.assign_add(np.ones(64, "float32"))

    np.testing.assert_array_equal(model.get_weights()[1], before[1])


def test_a_keras_file_is_loaded(tmp_path, model):
    model.save(tmp_path / "model.keras")

    loaded = models.load(tmp_path / "model.keras")

    assert isinstance(loaded, keras.Model)
    np.testing.assert_array_equal(
        loaded.get_weights()[0], model.get_weights()[0]
    )


def test_a_misspelled_name_suggests_the_nearest():
    with pytest.raises(FileNotFoundError, match="Did you mean 'imagenet'?"):
        models.load("imagnet")


def test_another_type_is_refused():
    with pytest.raises(ValueError, match=r"keras.Model.*Received: model=3"):
        models.load(3)
