import numpy as np
import pytest

from keras_squeezenet.packing import rate_distortion


def make_layer(inputs=40, outputs=24, samples=400):
    """Weights, and correlated inputs with a nonzero mean."""
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(inputs, inputs)) / np.sqrt(inputs)
    x = rng.normal(size=(samples, inputs)) @ (mixed + 0.3) + 0.5
    x *= np.geomspace(0.2, 2, inputs)
    x = np.concatenate([x, np.ones((samples, 1))], axis=1)
    return rng.normal(size=(inputs, outputs)), x


WEIGHTS, X = make_layer()
MOMENT = X.T @ X / len(X)
UNIFORM = np.full(24, 1 / 24)


def quantize(lambda_, inputs=MOMENT, outputs=UNIFORM, weights=WEIGHTS):
    hessian = rate_distortion.Hessian(inputs, outputs)
    return rate_distortion.LayerQuantizer(weights, hessian).quantize(lambda_)


def true_distortion(codes, step):
    """Half the mean squared change of the outputs; biases absorb the mean."""
    changed = X[:, :-1] @ (WEIGHTS - codes * step)
    return 0.5 * np.mean((changed - changed.mean(axis=0)) ** 2)


def nearest(bits):
    """Round to multiples of the step size that takes as many bits."""
    for step in np.geomspace(0.01, 10, 400):
        codes = np.rint(WEIGHTS / step).astype(int)
        if rate_distortion.entropy(codes) <= bits:
            return true_distortion(codes, step)
    raise AssertionError


@pytest.mark.parametrize("lambda_", [1e-4, 1e-3, 1e-2])
def test_distortion_is_less_than_half_of_that_of_rounding(lambda_):
    result = quantize(lambda_)
    distortion = true_distortion(result.codes, result.step)
    assert distortion < 0.5 * nearest(result.bits)


def test_distortion_is_the_mean_squared_change():
    result = quantize(1e-4)
    # Damping increases the estimate.
    expected = true_distortion(result.codes, result.step)
    assert expected < result.distortion < 1.6 * expected


def test_larger_lambda_means_fewer_bits_and_more_distortion():
    results = [quantize(lambda_) for lambda_ in (1e-5, 1e-4, 1e-3, 1e-2)]
    bits = [result.bits for result in results]
    distortions = [result.distortion for result in results]
    assert bits == sorted(bits, reverse=True)
    assert distortions == sorted(distortions)
    zeros = [np.mean(result.codes == 0) for result in results]
    assert zeros == sorted(zeros)


def test_outputs_with_more_curvature_have_smaller_errors():
    outputs = np.where(np.arange(24) < 12, 1.9, 0.1) / 24
    result = quantize(1e-3, outputs=outputs)
    errors = np.abs(WEIGHTS - result.codes * result.step).mean(axis=0)
    assert errors[:12].mean() < 0.8 * errors[12:].mean()


def test_step_has_four_significant_bits():
    significand, _ = np.frexp(quantize(1e-3).step)
    assert 16 * significand in range(8, 16)


@pytest.mark.parametrize("lambda_", [1e-9, 1.0])
def test_extremes_are_codes_too(lambda_):
    result = quantize(lambda_)
    assert np.abs(result.codes).max() <= rate_distortion.MAX_CODES // 2
    assert np.isfinite(result.distortion)
    if lambda_ < 1e-6:
        # No code is clipped.
        np.testing.assert_allclose(
            result.codes * result.step, WEIGHTS, atol=10 * result.step
        )


def test_layer_without_inputs_takes_no_bits():
    result = quantize(1e-3, inputs=np.zeros_like(MOMENT))
    assert not result.codes.any()
    assert result.bits == 0
    assert np.isfinite(result.distortion)


def test_zeros_stay_zero_where_nothing_is_to_compensate():
    weights = WEIGHTS * (np.arange(len(WEIGHTS)) % 2)[:, np.newaxis]
    result = quantize(1e-4, np.diag(np.diag(MOMENT)), weights=weights)
    assert not result.codes[::2].any()
    assert result.codes[1::2].any()


def test_entropy_is_that_of_the_codes():
    assert rate_distortion.entropy(np.array([0, 0, 1, 2])) == 6
    assert str(rate_distortion.entropy(np.zeros((3, 3)))) == "0.0"
