import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.packing import linear_layers


@pytest.mark.parametrize("name", ["conv1", "fire2_squeeze1x1", "expand3"])
def test_columns_times_the_kernel_are_the_layers_output(name, small_model):
    layer = small_model.get_layer(name)
    x = tf.random.stateless_normal((2, 9, 9, layer.kernel.shape[2]), (0, 0))
    flat = tf.reshape(layer.kernel, (-1, layer.kernel.shape[-1]))
    output = linear_layers.input_columns(layer, x) @ flat + layer.bias
    expected = layer(x)
    for found in (
        tf.reshape(output, tf.shape(expected)),
        linear_layers.linear_output(layer, x),
    ):
        np.testing.assert_allclose(
            tf.nn.relu(found), expected, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("sides, positions", [((), 1), ((7,), 7), ((3, 4), 12)])
def test_dense_layers_have_a_position_for_each_vector(sides, positions):
    layer = keras.layers.Dense(3, use_bias=False)
    x = tf.random.stateless_normal((2, *sides, 5), (0, 0))
    expected = layer(x)
    columns = linear_layers.input_columns(layer, x)
    assert columns.shape == (2, positions, 5)
    for found in (
        linear_layers.linear_output(layer, x),
        tf.reshape(columns @ layer.kernel, expected.shape),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        linear_layers.sample(columns) @ layer.kernel,
        linear_layers.sample_outputs(expected),
        rtol=1e-5,
        atol=1e-6,
    )


def test_sampled_positions_are_equally_spaced():
    positions = tf.range(451.0)[tf.newaxis, :, tf.newaxis]
    columns = tf.concat([positions, positions + 1000], axis=0)
    found = linear_layers.sample(columns)[:, 0]
    expected = np.arange(0, 451, 2)
    np.testing.assert_array_equal(found, [*expected, *(expected + 1000)])


@pytest.mark.parametrize("side", [5, 20, 27, 55, 100, 200])
def test_positions_are_sampled_in_all_rows_and_columns_alike(side):
    pixels = tf.reshape(tf.range(float(side**2)), (1, -1, 1))
    found = linear_layers.sample(pixels).numpy().astype(int)
    assert len(found) >= min(side**2, linear_layers.POSITIONS)
    for index in (found // side, found % side):
        counts = np.bincount(index.ravel(), minlength=side)
        assert counts.max() - counts.min() <= 1
