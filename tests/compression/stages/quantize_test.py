import dataclasses

import keras
import numpy as np
import pytest
import short_networks
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (  # noqa: E501
    default_8bit_cluster_preserve_quantize_scheme as stock,
)

from keras_squeezenet import SqueezeNet
from keras_squeezenet import architecture
from keras_squeezenet.compression import Recipe
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import preserving_scheme
from keras_squeezenet.compression import sensitivity
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.stages import quantize
from keras_squeezenet.export import litert
from keras_squeezenet.export import litert_file


@pytest.fixture
def sparse_model(make_model):
    """Kernels, but for conv1's, of half zeros and 8 shared values."""
    model = make_model()
    values = np.array([-4, -3, -2, -1, 1, 2, 3, 4]) / 16
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            kernel = rng.choice(values, layer.kernel.shape)
            if layer.name != "conv1":
                kernel *= rng.integers(0, 2, layer.kernel.shape)
            layer.kernel.assign(kernel)
    return model


def run(model, calibration, fit, steps, preserve="both"):
    stage = quantize.Quantize(model, Recipe(quantize_preserve=preserve))
    trainee = stage.wrap(steps, calibration)
    fit(trainee, steps)
    stage.finish(trainee)
    return trainee


def test_expand_layers_keep_their_zeros_and_codebooks(
    sparse_model, calibration, fit
):
    """TF-MOT's own schemes lose both before a Concatenate."""
    before = tf_keras_twin.kernels(sparse_model)
    clusters = preserving_scheme.codebook_sizes(before)
    assert clusters["conv1"] == 8  # and none of them is zero
    run(sparse_model, calibration, fit, steps=3)
    kernels = tf_keras_twin.kernels(sparse_model)
    for name, kernel in kernels.items():
        assert not np.any(kernel[before[name] == 0]), name
        assert len(np.unique(kernel)) <= clusters[name], name
    assert np.any(kernels["fire2_expand3x3"] != before["fire2_expand3x3"])


@pytest.mark.parametrize(
    "preserve,keeps_zeros,keeps_codebooks",
    [
        ("sparsity", True, False),
        ("clusters", False, True),
        ("none", False, False),
    ],
)
def test_what_is_not_preserved_is_lost(
    preserve, keeps_zeros, keeps_codebooks, sparse_model, calibration, fit
):
    before = tf_keras_twin.kernels(sparse_model)
    run(sparse_model, calibration, fit, steps=3, preserve=preserve)
    name = "fire2_expand3x3"
    after = tf_keras_twin.kernels(sparse_model)[name]
    assert (not np.any(after[before[name] == 0])) == keeps_zeros
    assert (len(np.unique(after)) <= 9) == keeps_codebooks


def test_dense_kernel_without_a_codebook_is_quantized(
    make_model, calibration, randomize
):
    # The filters of a new network are in pairs, of few distinct values.
    model = randomize(make_model())
    conv10 = model.get_layer("conv10")
    # The logits of random weights are far apart.
    conv10.kernel.assign(conv10.kernel / 50)
    assert preserving_scheme.codebook_sizes(tf_keras_twin.kernels(model)) == {}
    wrapped = quantize.wrap(model, quantize.measure_ranges(model, calibration))
    np.testing.assert_allclose(
        model.predict_on_batch(calibration[0]),
        wrapped.predict_on_batch(calibration[0]),
        atol=0.02,
    )


def test_wrapped_again_it_computes_the_same(
    make_model, calibration, fit, randomize
):
    """A resumed run and the export wrap the model again."""
    model = randomize(make_model())
    conv10 = model.get_layer("conv10")
    # The logits of random weights are far apart.
    conv10.kernel.assign(conv10.kernel / 20)
    wrapped = run(model, calibration, fit, steps=3)
    again = quantize.wrap(model, quantize.read_ranges(wrapped))
    expected = wrapped.predict_on_batch(calibration[0])
    np.testing.assert_allclose(
        expected, again.predict_on_batch(calibration[0]), atol=0.02
    )
    assert np.ptp(expected, axis=0).max() > 0.05


def test_stock_scheme_would_be_noticed(
    sparse_model, calibration, fit, monkeypatch
):
    scheme = stock.Default8BitClusterPreserveQuantizeScheme
    monkeypatch.setattr(
        preserving_scheme,
        "PreservingScheme",
        lambda kernels, preserve: scheme(preserve_sparsity=True),
    )
    before = sparse_model.get_weights()
    with pytest.raises(
        checks.CheckError,
        match="quantize: layer .*must keep its zero",
    ):
        run(sparse_model, calibration, fit, steps=3)
    np.testing.assert_equal(before, sparse_model.get_weights())


def test_ranges_are_means_over_the_batches_and_take_in_zero():
    inputs = tf_keras.Input((1,), name="in")
    outputs = tf_keras.layers.Activation("linear", name="out")(inputs)
    ranges = quantize.measure_ranges(
        tf_keras.Model(inputs, outputs),
        [np.array([[-2.0], [3.0]]), np.array([[1.0], [5.0]])],
    )
    assert ranges == {
        quantize.INPUT: pytest.approx([-1.0, 4.0]),
        "out": pytest.approx([-1.0, 4.0]),
    }


def test_ranges_are_set_before_the_first_step(sparse_model, calibration):
    ranges = quantize.measure_ranges(sparse_model, calibration)
    # Twice: a second model in a process gets other names inside.
    for _ in range(2):
        wrapped = quantize.wrap(sparse_model, ranges)
        found = {
            layer.name: {
                tf_keras_twin.weight_name(weight): weight.numpy()
                for weight in layer.weights
            }
            for layer in wrapped.layers
        }
        low, high = ranges["fire2_squeeze1x1"]
        assert low == 0 and high > 6  # what TF-MOT starts at
        squeeze = found["quant_fire2_squeeze1x1"]
        assert squeeze["post_activation_max"] == pytest.approx(high)
        assert squeeze["post_activation_min"] == 0
        kernel = tf_keras_twin.kernels(sparse_model)["fire2_squeeze1x1"]
        np.testing.assert_allclose(
            squeeze["kernel_max"], np.abs(kernel).max((0, 1, 2))
        )
        _, high = ranges["fire2_concat"]
        assert found["quant_fire2_concat"]["output_max"] == pytest.approx(high)
        inputs = {
            name.rpartition("_")[2]: value
            for name, value in found[wrapped.layers[1].name].items()
            if name.startswith("quantize_layer")
        }
        assert inputs["min"] < -90
        assert inputs["max"] > 90
        assert quantize.read_ranges(wrapped)["fire2_concat"] == pytest.approx(
            ranges["fire2_concat"]
        )


def make_variant(variant, head):
    """A narrow network of a variant, with its own head or that of transfer."""
    config = dataclasses.replace(
        architecture.VARIANTS[variant], base_e=16, incr_e=16, SR=0.25
    )
    if head is None:
        model = SqueezeNet(
            weights=None, input_shape=(32, 32, 3), classes=4, config=config
        )
        return short_networks.shorten(model)
    base = SqueezeNet(
        include_top=False,
        weights=None,
        pooling=head,
        input_shape=(32, 32, 3),
        config=config,
    )
    x = keras.layers.Dense(8, activation="relu", name="hidden")(base.output)
    x = keras.layers.Dropout(0.2, name="drop")(x)
    x = keras.layers.Dense(4, activation="softmax", name="head")(x)
    return short_networks.shorten(keras.Model(base.input, x))


@pytest.mark.parametrize(
    "variant,head",
    [
        ("1.0", None),
        ("1.1", "avg"),
        ("1.1", "max"),
        ("simple_bypass", None),
        ("complex_bypass", None),
    ],
)
def test_every_variant_and_head_keeps_zeros_and_values_in_int8(
    variant, head, randomize
):
    model = randomize(make_variant(variant, head))
    for layer in model.layers:
        if layer.weights:
            sparse = sensitivity.prune(layer.kernel.numpy(), 0.5)
            layer.kernel.assign(sensitivity.share(sparse, 3))
            last = layer
    last.bias.assign(0 * last.bias)
    rng = np.random.default_rng(0)
    images = rng.normal(scale=60, size=(16, 32, 32, 3)).astype("float32")
    # So that the probabilities are neither 0 nor 1.
    while model.predict_on_batch(images).max(axis=-1).mean() > 0.7:
        last.kernel.assign(last.kernel / 1.5)
    wrapped = quantize.wrap(model, quantize.measure_ranges(model, [images]))
    content = litert.convert_int8(wrapped)
    int8 = litert_file.LiteRTModel(content)
    assert int8.float_tensors() == []
    kernels = tf_keras_twin.kernels(model)
    found = litert_file.read_kernels(content)
    checks.require_zeros_kept(kernels, found, "int8")
    checks.require_distinct(
        found, dict.fromkeys(kernels, 8), "int8", per_channel=True
    )
    expected = model.predict_on_batch(images)
    assert np.ptp(expected, axis=0).max() > 0.03
    in_training = wrapped.predict_on_batch(images)
    np.testing.assert_allclose(in_training, expected, atol=0.1)
    np.testing.assert_allclose(int8(images), in_training, atol=0.03)
