import subprocess
import sys

import keras
import numpy as np
import pytest
import tf_keras

from keras_squeezenet import SqueezeNet
from keras_squeezenet import architecture
from keras_squeezenet.compression import tf_keras_twin

IMAGES = (
    np.random.default_rng(0).normal(0, 70, (2, 64, 64, 3)).astype("float32")
)


@pytest.mark.parametrize("variant", architecture.VARIANTS)
def test_twin_has_the_outputs_of_its_model_to_the_bit(variant, randomize):
    model = randomize(
        SqueezeNet(weights=None, input_shape=(64, 64, 3), config=variant)
    )
    twin = tf_keras_twin.make_twin(model)
    np.testing.assert_array_equal(
        model.predict_on_batch(IMAGES), twin.predict_on_batch(IMAGES)
    )


def test_flat_transfer_head_has_a_twin(randomize):
    base = SqueezeNet(
        include_top=False,
        weights=None,
        pooling="avg",
        input_shape=(64, 64, 3),
    )
    head = keras.layers.Dense(3, activation="softmax", name="head")
    model = randomize(keras.Model(base.input, head(base.output)))
    twin = tf_keras_twin.make_twin(model)
    np.testing.assert_array_equal(
        model.predict_on_batch(IMAGES), twin.predict_on_batch(IMAGES)
    )


def test_nested_model_is_refused_with_the_way_out():
    base = SqueezeNet(include_top=False, weights=None, pooling="avg")
    inputs = keras.Input((64, 64, 3))
    model = keras.Model(inputs, keras.layers.Dense(3)(base(inputs)))
    with pytest.raises(ValueError, match="nested.*keras.Model\\(base.input"):
        tf_keras_twin.make_twin(model)


def test_layer_without_a_twin_is_named(make_model):
    model = make_model()
    outputs = keras.layers.Rescaling(2.0, name="twice")(model.output)
    with pytest.raises(ValueError, match="'twice' is a Rescaling"):
        tf_keras_twin.make_twin(keras.Model(model.input, outputs))


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    model = SqueezeNet(weights=None, input_shape=(3, 64, 64))
    with pytest.raises(ValueError, match="channels_last"):
        tf_keras_twin.make_twin(model)


def test_model_that_is_not_functional_is_refused():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(ValueError, match="a flat Functional `keras.Model`"):
        tf_keras_twin.make_twin(Subclassed())


def test_weights_come_back_from_a_twin(make_model, randomize):
    trained = randomize(make_model())
    model = make_model()
    tf_keras_twin.copy_weights(tf_keras_twin.make_twin(trained), model)
    np.testing.assert_equal(trained.get_weights(), model.get_weights())


def test_kernels_are_those_of_the_convolutions(make_model):
    kernels = tf_keras_twin.kernels(make_model())
    assert len(kernels) == 8
    assert kernels["conv1"].shape == (3, 3, 3, 16)
    assert kernels["fire2_expand3x3"].shape == (3, 3, 12, 24)


def test_another_network_is_not_a_squeezenet():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    with pytest.raises(
        ValueError, match="must be a SqueezeNet .*'sequential.*without"
    ):
        tf_keras_twin.require_squeezenet(model)


@pytest.mark.slow
def test_importing_tfmot_leaves_tf_keras_and_the_environment_alone():
    script = """
import os
from keras_squeezenet.compression import tfmot
import keras, tensorflow as tf
assert "TF_USE_LEGACY_KERAS" not in os.environ
assert tf.keras.Model is keras.Model
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_dropout_of_a_clone_can_be_reset_and_continued(make_model):
    """A resumed run draws the same random numbers."""
    model = make_model()
    random = tf_keras.backend.experimental
    assert not random.is_tf_random_generator_enabled()
    wrapped = tf_keras_twin.clone(model, lambda layer: layer)
    assert not random.is_tf_random_generator_enabled()
    dropout = wrapped.get_layer("drop9")
    ones = np.ones((1, 2, 2, 8), "float32")
    drawn = []
    for seed in (1, 2, 1):
        dropout._random_generator._generator.reset_from_seed(seed)
        drawn.append(dropout(ones, training=True).numpy())
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert np.any(drawn[0] != drawn[1])
