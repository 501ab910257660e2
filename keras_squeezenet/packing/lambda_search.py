"""The search for the lambda of the best file within a bound.

Larger lambdas make smaller files with a larger distortion.
"""

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

from keras_squeezenet.packing.bounds import Bound
from keras_squeezenet.packing.curve import Point

# In nats of Kullback-Leibler divergence for each bit.
FIRST_LAMBDA = 1e-7
MIN_LAMBDA, MAX_LAMBDA = 1e-13, 1e-2
LAMBDA_FACTOR = 4
# The search ends after so many steps between its bounds, or where they are so
# close.
REFINEMENTS = 6
CLOSE = 1.1
# How many lambdas are evaluated around the one found, which is the first.
CORRECTIONS = 2
# Additional points of the curve, around the chosen lambda, unless one is
# closer to them than this factor.
CURVE_POWERS = (-2, -1, 1, 2)
NEIGHBOR = 2


def search(
    bound: Bound,
    evaluate: Callable[[float], Point],
    tolerance: float | None = None,
    first: float = FIRST_LAMBDA,
) -> None:
    """Evaluate lambdas until a file is just within a bound.

    Args:
        bound: there may be no file within it.
        evaluate: function that makes the file of a lambda, and keeps it: the
            search calls it again for lambdas that it knows.
        tolerance: how far a file may fall short of the bound, a logarithm.
            Defaults to `None`: that of the bound.
        first: the lambda to begin with.
    """
    sign = 1 if bound.target_bytes is not None else -1
    tolerance = tolerance or bound.tolerance

    def height(lambda_):
        """Return a number that falls with lambda, to 0 at the bound."""
        return sign * bound.excess(evaluate(lambda_))

    def is_close(lambda_):
        return -tolerance <= bound.excess(evaluate(lambda_)) <= 0

    bracket = _bracket(height, is_close, first)
    if bracket is None:
        return
    low, high = bracket
    # The middle of what is close enough.
    aim = -sign * tolerance / 2
    for _ in range(REFINEMENTS):
        if is_close(high if sign > 0 else low) or high / low < CLOSE:
            return
        above, below = height(low) - aim, height(high) - aim
        share = min(max(above / (above - below), 0.1), 0.9)
        middle = low * (high / low) ** share
        if height(middle) > 0:
            low = middle
        else:
            high = middle


def _bracket(height, is_close, first):
    """Return two lambdas with the bound between them.

    Without any, or if one is close to the bound, `None` is returned.
    """
    low = high = first
    while height(low) <= 0:
        if low <= MIN_LAMBDA or is_close(low):
            return None
        low, high = max(low / _factor(height(low)), MIN_LAMBDA), low
    while height(high) > 0:
        if high >= MAX_LAMBDA or is_close(high):
            return None
        low, high = high, min(high * _factor(height(high)), MAX_LAMBDA)
    return low, high


def _factor(height):
    """Return the factor on lambda of the next step; larger far from the bound.

    Networks that are sure of every image are orders of magnitude away.
    """
    return LAMBDA_FACTOR ** max(1, int(abs(height) / math.log(LAMBDA_FACTOR)))


def correct(
    bound: Bound, lambda_: float, evaluate: Callable[[float], Point]
) -> None:
    """Evaluate a lambda, and one closer to the bound if it is not close."""
    for _ in range(CORRECTIONS):
        point = evaluate(lambda_)
        if -bound.tolerance <= bound.excess(point) <= 0:
            return
        lambda_ *= bound.lambda_correction(point)
        if not MIN_LAMBDA <= lambda_ <= MAX_LAMBDA:
            return


def neighbors(lambda_: float, known: Iterable[float]) -> Iterator[float]:
    """Yield lambdas around one, but for those close to known ones."""
    known = list(known)
    for power in CURVE_POWERS:
        neighbor = lambda_ * LAMBDA_FACTOR**power
        if neighbor <= MAX_LAMBDA and not any(
            1 / NEIGHBOR < neighbor / each < NEIGHBOR for each in known
        ):
            yield neighbor
