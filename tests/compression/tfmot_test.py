"""What of TF-MOT and tf_keras is not public, and would break with them."""

import numpy as np
import pytest
import tf_keras

from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression.stages import quantize


def test_every_initialization_of_a_recipe_is_one_of_tfmot():
    known = tfmot.CENTROID_INITIALIZATIONS
    assert (*known,) == compression_recipe.INITIALIZATIONS


def test_codebook_lookup_of_tfmot_is_replaced_and_put_back():
    original = tfmot.cluster_preserve.get_centroids
    weights = np.array([[0.0, 1.0], [2.0, 1.0]], "float32")
    with pytest.raises(KeyError):
        with tfmot.one_codebook_per_layer():
            centroids, count, index, is_per_channel = (
                tfmot.cluster_preserve.get_centroids(None, weights, None)
            )
            raise KeyError
    assert (sorted(np.array(centroids)), count) == ([0, 1, 2], 3)
    np.testing.assert_array_equal(
        np.array(centroids)[np.array(index).ravel()], weights.ravel()
    )
    assert not is_per_channel
    assert tfmot.cluster_preserve.get_centroids is original


def test_dropout_of_tf_keras_is_reset_by_its_seed():
    with tf_keras_twin.generators():
        layer = tf_keras.layers.Dropout(0.5)
        model = tf_keras.Sequential([tf_keras.Input((64,)), layer])
    ones = np.ones((1, 64), "float32")
    masks = []
    for seed in (3, 3, 4):
        tfmot.reseed(model, seed)
        masks.append(model(ones, training=True).numpy())
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def test_frozen_layer_in_a_quantization_wrapper_has_nothing_to_train(
    make_model, calibration
):
    """With `trainable = False` alone TF-MOT's wrapper would train it."""
    model = make_model()
    ranges = quantize.measure_ranges(model, calibration)
    wrapped = quantize.wrap(model, ranges)
    conv1 = next(
        layer for layer in wrapped.layers if layer.name == "quant_conv1"
    )
    conv1.trainable = False
    assert conv1.trainable_weights
    weights = len(wrapped.weights)
    tfmot.freeze(wrapped, {"conv1"})
    assert not conv1.trainable_weights
    assert len(wrapped.weights) == weights
