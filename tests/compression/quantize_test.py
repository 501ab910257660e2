import numpy as np
import pytest
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (  # noqa: E501
    default_8bit_cluster_preserve_quantize_scheme as stock,
)

from keras_squeezenet.compression import guarantees
from keras_squeezenet.compression import quantize
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression import twin as twins


@pytest.fixture
def sparse_model(make_model):
    """Half of the weights are zero, the rest share 8 values; not in conv1."""
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


def test_expand_layers_keep_their_zeros_and_codebooks(
    sparse_model, calibration, fit
):
    """TF-MOT's own schemes lose both in front of a Concatenate."""
    before = twins.kernels(sparse_model)
    clusters = {name: len(np.unique(kernel)) for name, kernel in before.items()}
    assert clusters["conv1"] == 8  # and none of them is zero
    quantized = quantize.quantize(
        sparse_model, clusters, calibration, fit, steps=3
    )
    kernels = twins.kernels(sparse_model)
    for name, kernel in kernels.items():
        assert not np.any(kernel[before[name] == 0]), name
        assert len(np.unique(kernel)) <= clusters[name], name
        np.testing.assert_array_equal(kernel, twins.kernels(quantized)[name])
    assert np.any(kernels["fire2_expand3x3"] != before["fire2_expand3x3"])


def test_stock_scheme_would_be_noticed(
    sparse_model, calibration, fit, monkeypatch
):
    scheme = stock.Default8BitClusterPreserveQuantizeScheme
    monkeypatch.setattr(
        quantize, "_PreservingScheme", lambda: scheme(preserve_sparsity=True)
    )
    before = sparse_model.get_weights()
    with pytest.raises(
        guarantees.GuaranteeError,
        match="quantize: layer .*should keep its zero",
    ):
        quantize.quantize(
            sparse_model,
            dict.fromkeys(twins.kernels(sparse_model), 9),
            calibration,
            fit,
            steps=3,
        )
    for expected, received in zip(before, sparse_model.get_weights()):
        np.testing.assert_array_equal(expected, received)


def test_ranges_are_means_over_the_batches_and_take_in_zero():
    inputs = tf_keras.Input((1,), name="in")
    outputs = tf_keras.layers.Activation("linear", name="out")(inputs)
    ranges = quantize.measure_ranges(
        tf_keras.Model(inputs, outputs),
        [np.array([[-2.0], [3.0]]), np.array([[1.0], [5.0]])],
    )
    assert ranges["out"] == (
        pytest.approx((-1.0, 4.0)),
        pytest.approx((-1.0, 4.0)),
    )


def test_activation_ranges_are_set_before_the_first_step(
    sparse_model, calibration
):
    ranges = quantize.measure_ranges(twins.make_twin(sparse_model), calibration)
    found = {}

    def fit(model, steps, callbacks):
        for layer in model.layers:
            for weight in layer.weights:
                found[weight.name] = weight.numpy()

    quantize.quantize(sparse_model, {}, calibration, fit, steps=1)
    _, (low, high) = ranges["fire2_squeeze1x1"]
    assert high > 6  # what TF-MOT starts at
    assert found["quant_fire2_squeeze1x1/post_activation_max:0"] == (
        pytest.approx(high)
    )
    assert found["quant_fire2_squeeze1x1/post_activation_min:0"] == low == 0
    _, (low, high) = ranges["fire2_concat"]
    assert found["quant_fire2_concat/output_max:0"] == pytest.approx(high)
    assert found["quantize_layer/quantize_layer_min:0"] < -90
    assert found["quantize_layer/quantize_layer_max:0"] > 90


def test_tfmot_is_left_as_it_was():
    original = tfmot.cluster_preserve.get_centroids
    with pytest.raises(KeyError):
        with quantize._codebooks_by_layer():
            assert tfmot.cluster_preserve.get_centroids is not original
            raise KeyError
    assert tfmot.cluster_preserve.get_centroids is original
