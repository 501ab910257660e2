import keras
import numpy as np
import pytest

from keras_squeezenet.export import activation_ranges

SIDE = 8


def test_outliers_are_clipped_where_that_is_the_smaller_error():
    # A million numbers from 0 to 40, and one of 100.
    histogram = np.zeros(100_000)
    histogram[:40_000] = 25
    histogram[-1] = 1
    # The least of 10**6 * (high / 255) ** 2 / 12 + (100 - high) ** 2.
    low, high = activation_ranges.least_square_error(histogram, 0, 100)
    assert (low, high) == (0, pytest.approx(43.8, abs=1))
    histogram[-1] = 25_000
    assert activation_ranges.least_square_error(histogram, 0, 100) == (0, 100)


def test_both_ends_shrink_together():
    # A million numbers from -50 to -10, -80, and 20.
    histogram = np.zeros(100_000)
    histogram[30_000:70_000] = 25
    histogram[[0, -1]] = 1
    low, high = activation_ranges.least_square_error(histogram, -80, 20)
    assert low == pytest.approx(-50, abs=1)
    assert high == pytest.approx(12.5, abs=0.25)


def make_model():
    """Layers with known ranges: images from 0 to 1, and powers of two."""
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, 1))

    def scaled(x, scale, **options):
        return layers.Conv2D(
            1,
            1,
            kernel_initializer=keras.initializers.Constant(scale),
            **options,
        )(x)

    left = scaled(inputs, 2, activation="relu", name="left")
    right = scaled(inputs, -8, name="right")
    x = layers.Concatenate(name="concat")([left, right])
    x = layers.MaxPooling2D(2, name="pool")(x)
    dead = scaled(inputs, -1, activation="relu", name="dead")
    dead = layers.GlobalMaxPooling2D(name="max")(dead)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, layers.Concatenate(name="all")([x, dead]))


def test_layers_of_one_scale_share_a_range():
    images = np.linspace(0, 1, 70 * SIDE**2).reshape(70, SIDE, SIDE, 1)
    ranges = activation_ranges.measure(
        make_model(), images, activation_ranges.extremes
    )
    shared = {
        name: ranges[name] for name in ("left", "right", "concat", "pool")
    }
    assert set(shared.values()) == {(-8.0, 2.0)}
    # `average` is joined with outputs that are always 0.
    low, high = ranges["average"]
    assert ranges["dead"] == ranges["max"] == ranges["all"] == (low, high)
    assert -8 < low < -7.9 and 1.9 < high < 2


def test_output_of_zeros_has_a_range():
    inputs = keras.Input((SIDE, SIDE, 1))
    zeros = keras.initializers.Zeros()
    x = keras.layers.Conv2D(1, 1, kernel_initializer=zeros, name="dead")(inputs)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    images = np.ones((2, SIDE, SIDE, 1), "float32")
    for choose in (
        activation_ranges.least_square_error,
        activation_ranges.extremes,
    ):
        low, high = activation_ranges.measure(model, images, choose)["dead"]
        assert low == 0 < high
