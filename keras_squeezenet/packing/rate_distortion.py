"""Rate-distortion optimized quantization of one layer's weights.

The distortion of a layer is a quadratic form in the errors of its weights.
Each code minimizes distortion + lambda * bits, one row of inputs after the
other; as in GPTQ, the remaining rows compensate for the error. Zero is a code
like any other, so lambda determines the density.

References:
- [GPTQ](https://arxiv.org/abs/2210.17323) (Frantar et al., 2022): error
  feedback
- [Entropy-constrained quantization](https://doi.org/10.1109/TASSP.1989.28108)
  (Chou et al., 1989)
"""

import dataclasses
import math

import numpy as np

from keras_squeezenet.codec import frequency_tables

# Added to the diagonal of a Hessian, as a fraction of its mean.
DAMPING = 0.01
# Step sizes to try, relative to the optimal one at high rates.
STEP_FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
# Each pass takes the code lengths from the histogram of the previous one.
PASSES = 2
_BLOCK = 32
# Added to the counts of codes: it falls with the magnitude, as histograms do.
_PRIOR, _PRIOR_DECAY = 0.5, 0.7
# The largest number of distinct codes in a layer: both signs and zero.
MAX_CODES = frequency_tables.MAX_SYMBOLS - 1


@dataclasses.dataclass(frozen=True, eq=False)
class Hessian:
    """The Kronecker-factored Hessian of the loss in a layer's weights.

    Errors `e` of shape `(inputs, outputs)` cause a distortion of half the sum
    of `outputs[o] * e[:, o] @ inputs @ e[:, o]` over the outputs `o`, in nats
    if the Hessian is the Fisher information.

    Attributes:
        inputs: float64 array of shape `(inputs + 1, inputs + 1)`; the last
            input is the bias, a constant 1.
        outputs: float64 array of shape `(outputs,)` that sums to 1.
    """

    inputs: np.ndarray
    outputs: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """The codes of a layer's weights, with their rate and distortion.

    Attributes:
        codes: int64 array of shape `(inputs, outputs)`.
        step: the step size: weights are `codes * step`.
        distortion: as `Hessian` defines it.
        bits: the entropy of the codes.
    """

    codes: np.ndarray
    step: float
    distortion: float
    bits: float


class LayerQuantizer:
    """Quantizes weights of shape `(inputs, outputs)` at any lambda.

    The bias absorbs the mean of the inputs, so that only their covariance
    matters. Rows of inputs are quantized by decreasing variance.
    """

    def __init__(self, weights: np.ndarray, hessian: Hessian):
        moment = np.asarray(hessian.inputs, "float64")
        # The moment is 0 if no gradient reaches the layer.
        mean = moment[:-1, -1] / max(moment[-1, -1], 1e-300)
        covariance = moment[:-1, :-1] - moment[-1, -1] * np.outer(mean, mean)
        size = len(covariance)
        damping = DAMPING * np.trace(covariance) / size + 1e-14
        covariance[np.diag_indices(size)] += damping
        self.order = np.argsort(-np.diag(covariance), kind="stable")
        inverse = np.linalg.inv(covariance[np.ix_(self.order, self.order)])
        self.feedback = np.linalg.cholesky((inverse + inverse.T) / 2).T
        self.outputs = hessian.outputs
        self.weights = np.asarray(weights, "float64")
        self.curvature = np.trace(covariance) / self.weights.size
        self.factor = STEP_FACTORS.index(1.4)

    def quantize(
        self, lambda_: float, weights: np.ndarray | None = None
    ) -> QuantizedWeights:
        """Return the codes with the lowest distortion + lambda * bits.

        Weights of the same shape may replace the layer's own.
        """
        tried = {}
        weights = self.weights if weights is None else weights
        optimal = high_rate_step(lambda_, self.curvature)

        def cost(factor):
            if not 0 <= factor < len(STEP_FACTORS):
                return np.inf
            if factor not in tried:
                step = max(STEP_FACTORS[factor] * optimal, min_step(weights))
                tried[factor] = self._quantize(
                    round_step(step), lambda_, weights
                )
            return tried[factor].distortion + lambda_ * tried[factor].bits

        # The best factor changes little from one lambda to the next.
        for direction in (1, -1):
            while cost(self.factor + direction) < cost(self.factor):
                self.factor += direction
        return tried[self.factor]

    def _quantize(self, step, lambda_, weights):
        largest = int(2 * np.abs(weights).max() / step) + 8
        largest = min(largest, MAX_CODES // 2)
        ordered = weights[self.order]
        codes = np.clip(np.rint(ordered / step), -largest, largest)
        for _ in range(PASSES):
            rates = lambda_ * code_lengths(codes, largest)
            codes, distortion = self._pass(ordered.copy(), step, rates, largest)
        restored = np.empty(codes.shape, "int64")
        restored[self.order] = codes
        return QuantizedWeights(restored, step, distortion, entropy(codes))

    def _pass(self, weights, step, rates, largest):
        codes = np.empty(weights.shape, "int64")
        distortion = 0.0
        for begin in range(0, len(weights), _BLOCK):
            end = min(begin + _BLOCK, len(weights))
            block = weights[begin:end]
            errors = np.empty_like(block)
            for row in range(end - begin):
                feedback = self.feedback[begin + row, begin + row : end]
                scale = self.outputs / (2 * feedback[0] ** 2)
                chosen, cost = _choose(block[row], scale, step, rates, largest)
                errors[row] = (block[row] - chosen * step) / feedback[0]
                block[row + 1 :] -= np.outer(feedback[1:], errors[row])
                codes[begin + row] = chosen
                distortion += cost
            weights[end:] -= self.feedback[begin:end, end:].T @ errors
        return codes, distortion


def _choose(values, scale, step, rates, largest):
    """Return the cheapest code of each value, and the distortion.

    `rates` has lambda times the length of each code, from `-largest` up.
    """
    down = np.minimum(np.abs(values) // step, largest - 1)
    signs = np.where(values < 0, -1, 1)
    candidates = signs * np.stack(
        [np.zeros_like(down), np.maximum(down - 1, 0), down, down + 1]
    )
    distortions = scale * (values - candidates * step) ** 2
    candidates = candidates.astype("int64")
    chosen = np.argmin(distortions + rates[candidates + largest], axis=0)
    columns = np.arange(len(values))
    return candidates[chosen, columns], distortions[chosen, columns].sum()


def code_lengths(codes: np.ndarray, largest: int) -> np.ndarray:
    """Return the ideal length in bits of each code, `-largest` to `largest`.

    The histogram of `codes` is smoothed, so that every length is finite.
    """
    counts = np.bincount(
        codes.astype("int64").ravel() + largest, minlength=2 * largest + 1
    ).astype("float64")
    distance = np.abs(np.arange(-largest, largest + 1))
    counts = (counts + counts[::-1]) / 2
    counts += _PRIOR * np.exp(-_PRIOR_DECAY * distance)
    counts = np.maximum(counts, 1e-9)
    return -np.log2(counts / counts.sum())


def high_rate_step(lambda_: float, curvature: float) -> float:
    """Return the optimal uniform step size at high rates.

    The distortion of a weight is `curvature * step**2 / 24` there.
    """
    return math.sqrt(12 * lambda_ / (curvature * math.log(2)))


def round_step(step: float) -> float:
    """Return a step size of four significant bits.

    The other 20 bits of its float32 number take no space in a file.
    """
    significand, exponent = math.frexp(step)
    return math.ldexp(round(16 * significand), exponent - 4)


def min_step(weights: np.ndarray) -> float:
    """Return the smallest step size whose codes are in range.

    It leaves room for weights of twice the largest magnitude, since error
    feedback changes them.
    """
    return max(4 * float(np.abs(weights).max()) / MAX_CODES, 1e-30)


def entropy(codes: np.ndarray) -> float:
    """Return the empirical entropy of an array of codes, in bits."""
    _, counts = np.unique(codes, return_counts=True)
    # 0 and not -0 for a single value.
    return float(0 - np.sum(counts * np.log2(counts / codes.size)))
