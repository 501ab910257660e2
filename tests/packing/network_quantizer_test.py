import numpy as np
import pytest

from keras_squeezenet.packing import rate_distortion


def test_weights_are_quantized_in_the_order_of_the_model(small_model, packer):
    calls = []
    arrays, distortion = packer.quantizer.quantize(
        1e-6, 10, lambda **metrics: calls.append(metrics["distortion"])
    )
    expected = {
        f"{layer.name}/{variable.name}": variable.shape
        for layer in small_model.layers
        for variable in layer.weights
    }
    assert {name: a.codes.shape for name, a in arrays.items()} == expected
    assert list(arrays) == list(expected)
    assert calls == sorted(calls) and len(calls) == 5
    assert calls[-1] == distortion > 0


def test_larger_lambdas_give_fewer_bits_and_larger_errors(small_model, packer):
    kernel = small_model.get_layer("conv10").get_weights()[0]
    found = []
    for lambda_ in (1e-8, 1e-6, 1e-4):
        arrays, distortion = packer.quantizer.quantize(lambda_, 10)
        array = arrays["conv10/kernel"]
        error = np.abs(array.to_array() - kernel).mean()
        bits = rate_distortion.entropy(array.codes)
        found.append((-bits, error, distortion))
    assert np.all(np.diff(found, axis=0) > 0)


def test_bias_has_a_step_that_is_a_power_of_two(packer):
    arrays, _ = packer.quantizer.quantize(1e-6, 10)
    step = arrays["conv1/bias"].step
    assert np.log2(step) == pytest.approx(np.rint(np.log2(step)), abs=1e-12)
