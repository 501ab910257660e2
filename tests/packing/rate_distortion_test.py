import numpy as np
import pytest

from keras_squeezenet.packing import rate_distortion


def make_layer(inputs=40, outputs=24, samples=400, seed=0):
    """Weights, and correlated inputs with a nonzero mean."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(inputs, inputs)) / np.sqrt(inputs)
    x = rng.normal(size=(samples, inputs)) @ (mixed + 0.3) + 0.5
    x *= np.geomspace(0.2, 2, inputs)
    x = np.concatenate([x, np.ones((samples, 1))], axis=1)
    hessian = rate_distortion.Hessian(
        x.T @ x / samples, np.full(outputs, 1 / outputs)
    )
    return rng.normal(size=(inputs, outputs)), x, hessian


def true_distortion(codes, step, weights, x):
    """Half the mean squared change of the outputs; biases absorb the mean."""
    changed = x[:, :-1] @ (weights - codes * step)
    return 0.5 * np.mean((changed - changed.mean(axis=0)) ** 2)


def nearest(weights, x, bits):
    """Round to multiples of the step size that takes as many bits."""
    for step in np.geomspace(0.01, 10, 400):
        codes = np.rint(weights / step).astype(int)
        if rate_distortion.entropy(codes) <= bits:
            return true_distortion(codes, step, weights, x)
    raise AssertionError


@pytest.mark.parametrize("lambda_", [1e-4, 1e-3, 1e-2])
def test_distortion_is_less_than_half_of_that_of_rounding(lambda_):
    weights, x, hessian = make_layer()
    result = rate_distortion.LayerQuantizer(weights, hessian).quantize(lambda_)
    distortion = true_distortion(result.codes, result.step, weights, x)
    assert distortion < 0.5 * nearest(weights, x, result.bits)


def test_distortion_is_the_mean_squared_change():
    weights, x, hessian = make_layer()
    result = rate_distortion.LayerQuantizer(weights, hessian).quantize(1e-4)
    # Damping increases the estimate.
    expected = true_distortion(result.codes, result.step, weights, x)
    assert expected < result.distortion < 1.6 * expected


def test_larger_lambda_means_fewer_bits_and_more_distortion():
    weights, _, hessian = make_layer()
    results = [
        rate_distortion.LayerQuantizer(weights, hessian).quantize(lambda_)
        for lambda_ in (1e-5, 1e-4, 1e-3, 1e-2)
    ]
    bits = [result.bits for result in results]
    distortions = [result.distortion for result in results]
    assert bits == sorted(bits, reverse=True)
    assert distortions == sorted(distortions)
    zeros = [np.mean(result.codes == 0) for result in results]
    assert zeros == sorted(zeros)


def test_outputs_with_more_curvature_have_smaller_errors():
    weights, x, hessian = make_layer()
    outputs = np.where(np.arange(24) < 12, 1.9, 0.1) / 24
    result = rate_distortion.LayerQuantizer(
        weights, rate_distortion.Hessian(hessian.inputs, outputs)
    ).quantize(1e-3)
    errors = np.abs(weights - result.codes * result.step).mean(axis=0)
    assert errors[:12].mean() < 0.8 * errors[12:].mean()


def test_step_is_exact_in_float32():
    weights, _, hessian = make_layer()
    step = rate_distortion.LayerQuantizer(weights, hessian).quantize(1e-3).step
    assert step == float(np.float32(step)) > 0


@pytest.mark.parametrize("lambda_", [1e-9, 1.0])
def test_extremes_are_codes_too(lambda_):
    weights, _, hessian = make_layer()
    result = rate_distortion.LayerQuantizer(weights, hessian).quantize(lambda_)
    assert np.abs(result.codes).max() <= rate_distortion.MAX_CODES // 2
    assert np.isfinite(result.distortion)
    if lambda_ < 1e-6:
        # No code is clipped.
        np.testing.assert_allclose(
            result.codes * result.step, weights, atol=10 * result.step
        )


def test_layer_without_inputs_takes_no_bits():
    weights, _, hessian = make_layer()
    nothing = rate_distortion.Hessian(
        np.zeros_like(hessian.inputs), hessian.outputs
    )
    result = rate_distortion.LayerQuantizer(weights, nothing).quantize(1e-3)
    assert not result.codes.any()
    assert result.bits == 0
    assert np.isfinite(result.distortion)


def test_zeros_stay_zero_where_nothing_is_to_compensate():
    weights, _, hessian = make_layer()
    alone = np.diag(np.diag(hessian.inputs))
    weights[::2] = 0
    result = rate_distortion.LayerQuantizer(
        weights, rate_distortion.Hessian(alone, hessian.outputs)
    ).quantize(1e-4)
    assert not result.codes[::2].any()
    assert result.codes[1::2].any()


def test_entropy_is_that_of_the_codes():
    assert rate_distortion.entropy(np.array([0, 0, 1, 2])) == 6
    assert rate_distortion.entropy(np.zeros((3, 3))) == 0
