"""Rate-distortion optimised codes: the fewest bits at the least harm.

The harm of a layer is a quadratic form of the errors of its weights. Each
code minimises harm + trade-off x bits, one row of inputs after the other, and
what an error does to the layer's outputs is made up for by the rows that are
not coded yet, as GPTQ does it. Zero is a code like any other, so that pruning
is a matter of the trade-off.

Reference:
- [GPTQ](https://arxiv.org/abs/2210.17323) (Frantar et al., 2022): the feedback
- [Entropy-constrained quantization](https://doi.org/10.1109/TASSP.1989.28108)
  (Chou et al., 1989)
"""

import dataclasses

import numpy as np

from keras_squeezenet.codec import frequency_tables

# Of the mean of the diagonal of a Hessian, added to it.
DAMPING = 0.01
# Steps to try, in parts of the one that would be best for codes that are
# spread evenly.
FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
# Each by the histogram of the one before.
PASSES = 2
_BLOCK = 32
# Counts of codes that do not occur: the shape that histograms of weights have.
_PRIOR, _PRIOR_DECAY = 0.5, 0.7
# Of one layer, both signs and zero.
MAX_CODES = frequency_tables.MAX_SYMBOLS - 1


@dataclasses.dataclass(frozen=True, eq=False)
class Importance:
    """How much the errors of a layer's weights matter.

    The harm of errors `e` of shape `(inputs, outputs)` is half the sum over the
    outputs `o` of `rows[o] * e[:, o] @ hessian @ e[:, o]`, in nats where the
    Hessian is the Fisher information.

    Args:
        hessian: float64 array of shape `(inputs + 1, inputs + 1)`; the last
            input is the bias, a constant 1.
        rows: float64 array of shape `(outputs,)`, with the sum 1.
    """

    hessian: np.ndarray
    rows: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """Codes of a layer, and what they cost.

    Args:
        codes: int array of shape `(inputs, outputs)`.
        step: float, exact in float32: weights are codes times step.
        shift: float64 array of shape `(outputs,)`, to be added to the biases:
            it makes up for the mean of what the errors change.
        harm: float.
        bits: float, by the entropy of the codes.
    """

    codes: np.ndarray
    step: float
    shift: np.ndarray
    harm: float
    bits: float


class Layer:
    """A layer's weights, ready to be coded at any trade-off.

    The bias takes up the mean of the inputs, so that only their covariance
    counts. Rows of inputs are coded in falling order of its diagonal.

    Args:
        weights: float array of shape `(inputs, outputs)`.
        importance: `Importance`.
    """

    def __init__(self, weights, importance):
        hessian = np.asarray(importance.hessian, "float64")
        # 0 for a layer that nothing reaches.
        self.mean = hessian[:-1, -1] / max(hessian[-1, -1], 1e-300)
        covariance = hessian[:-1, :-1] - hessian[-1, -1] * np.outer(
            self.mean, self.mean
        )
        size = len(covariance)
        damping = DAMPING * np.trace(covariance) / size + 1e-14
        covariance[np.diag_indices(size)] += damping
        self.order = np.argsort(-np.diag(covariance), kind="stable")
        inverse = np.linalg.inv(covariance[np.ix_(self.order, self.order)])
        self.feedback = np.linalg.cholesky((inverse + inverse.T) / 2).T
        self.rows = importance.rows
        self.weights = np.asarray(weights, "float64")
        self.sensitivity = np.trace(covariance) / self.weights.size
        self.place = FACTORS.index(1.4)

    def quantize(self, trade_off, weights=None):
        """Returns the codes that cost least.

        Args:
            trade_off: float, harm for a bit.
            weights: array to code instead, of the same shape. Defaults to
                the layer's own.

        Returns:
            A `Result`.
        """
        tried = {}
        weights = self.weights if weights is None else weights

        def cost(place):
            if not 0 <= place < len(FACTORS):
                return np.inf
            if place not in tried:
                step = FACTORS[place] * self.even_step(trade_off)
                step = max(step, least_step(weights))
                step = float(np.float32(step))
                tried[place] = self.quantize_by(step, trade_off, weights)
            return tried[place].harm + trade_off * tried[place].bits

        # The best factor changes little from one trade-off to the next.
        for direction in (1, -1):
            while cost(self.place + direction) < cost(self.place):
                self.place += direction
        return tried[self.place]

    def even_step(self, trade_off):
        """The step of evenly spread codes at which a bit is worth its harm."""
        return np.sqrt(12 * trade_off / (self.sensitivity * np.log(2)))

    def quantize_by(self, step, trade_off, weights):
        """Returns the `Result` of one step."""
        largest = int(2 * np.abs(weights).max() / step) + 8
        largest = min(largest, MAX_CODES // 2)
        ordered = weights[self.order]
        codes = np.clip(np.rint(ordered / step), -largest, largest)
        for _ in range(PASSES):
            prices = trade_off * lengths(codes, largest)
            codes, harm = self._pass(ordered.copy(), step, prices, largest)
        restored = np.empty(codes.shape, "int64")
        restored[self.order] = codes
        shift = (weights - restored * step).T @ self.mean
        return Result(restored, step, shift, harm, entropy(codes))

    def _pass(self, weights, step, prices, largest):
        codes = np.empty(weights.shape, "int64")
        harm = 0.0
        for begin in range(0, len(weights), _BLOCK):
            end = min(begin + _BLOCK, len(weights))
            block, errors = (
                weights[begin:end],
                np.empty_like(weights[begin:end]),
            )
            for row in range(end - begin):
                feedback = self.feedback[begin + row, begin + row : end]
                scale = self.rows / (2 * feedback[0] ** 2)
                chosen, cost = _choose(block[row], scale, step, prices, largest)
                errors[row] = (block[row] - chosen * step) / feedback[0]
                block[row + 1 :] -= np.outer(feedback[1:], errors[row])
                codes[begin + row] = chosen
                harm += cost
            weights[end:] -= self.feedback[begin:end, end:].T @ errors
        return codes, harm


def _choose(values, scale, step, prices, largest):
    """Returns the code of each value that costs least, and their harm."""
    down = np.minimum(np.abs(values) // step, largest - 1)
    signs = np.where(values < 0, -1, 1)
    candidates = signs * np.stack(
        [np.zeros_like(down), np.maximum(down - 1, 0), down, down + 1]
    )
    harms = scale * (values - candidates * step) ** 2
    candidates = candidates.astype("int64")
    chosen = np.argmin(harms + prices[candidates + largest], axis=0)
    places = np.arange(len(values))
    return candidates[chosen, places], harms[chosen, places].sum()


def lengths(codes, largest):
    """Returns the bits of each code from `-largest` up, by their histogram.

    It is smoothed, so that codes that do not occur have a length too.

    Args:
        codes: array of whole numbers from `-largest` to `largest`.
        largest: int.
    """
    counts = np.bincount(
        codes.astype("int64").ravel() + largest, minlength=2 * largest + 1
    ).astype("float64")
    distance = np.abs(np.arange(-largest, largest + 1))
    counts = (counts + counts[::-1]) / 2
    counts += _PRIOR * np.exp(-_PRIOR_DECAY * distance)
    # So that no bits are infinite.
    counts = np.maximum(counts, 1e-9)
    return -np.log2(counts / counts.sum())


def least_step(weights):
    """Returns the least step whose codes are in range.

    Twice the largest weight still has one, since feedback changes weights.
    """
    return max(4 * float(np.abs(weights).max()) / MAX_CODES, 1e-30)


def entropy(codes):
    """Returns the bits of codes, each by its own frequency."""
    _, counts = np.unique(codes, return_counts=True)
    return float(-np.sum(counts * np.log2(counts / codes.size)))
