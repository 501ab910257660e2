"""Bounds on a packed file, and the best file within one."""

import dataclasses
import itertools
import math
from collections.abc import Iterable

from keras_squeezenet.packing import curve
from keras_squeezenet.packing.curve import Point

# The default bound on the Kullback-Leibler divergence, in nats.
MAX_KL = 0.02


class BoundError(ValueError):
    """No file is within a bound."""


@dataclasses.dataclass(frozen=True)
class Bound:
    """A bound on the size, the divergence, or the loss; see `pack`."""

    target_bytes: int | None = None
    max_kl: float | None = None
    max_accuracy_drop: float | None = None

    def __post_init__(self):
        given = {k: v for k, v in vars(self).items() if v is not None}
        if len(given) != 1:
            listed = ", ".join(f"{key}={value}" for key, value in given.items())
            raise ValueError(
                "one of `target_bytes`, `max_kl` and `max_accuracy_drop` must "
                f"be given. Received: {listed or 'none'}"
            )

    def __str__(self):
        ((key, value),) = (
            (k, v) for k, v in vars(self).items() if v is not None
        )
        return f"{key}={value}"

    def excess(self, point: Point) -> float:
        """Return how far a point is beyond the bound; not above 0 within it.

        It is a logarithm, or 1 or -1 where accuracy is bounded.
        """
        if self.target_bytes is not None:
            return math.log(point.bytes / max(self.target_bytes, 1))
        if self.max_kl is not None:
            return math.log(max(point.kl, 1e-9) / max(self.max_kl, 1e-9))
        # The difference of two accuracies is rounded.
        allowed = (self.max_accuracy_drop or 0.0) + 1e-9
        return 1.0 if (point.accuracy_drop or 0.0) > allowed else -1.0

    @property
    def tolerance(self) -> float:
        """The `excess` that a file within the bound may fall short of it."""
        return 0.01 if self.target_bytes is not None else 0.1

    def admits(self, point: Point) -> bool:
        """Return whether a point is within the bound."""
        return self.excess(point) <= 0

    def choose(self, points: Iterable[Point]) -> Point | None:
        """Return the best of some points within the bound, if there is one.

        It is the largest point of their curve, or the smallest one that is
        within a bound on the distortion together with all larger ones: a
        single small file may be so accurate by chance. If the largest point of
        the curve is not within the bound, by chance too, it is the largest of
        all points that are.
        """
        points = list(points)
        candidates = curve.front(points)
        if self.target_bytes is None:
            larger_first = reversed(candidates)
            chosen = list(itertools.takewhile(self.admits, larger_first))
            if chosen:
                return chosen[-1]
            candidates = points
        return max(
            filter(self.admits, candidates),
            key=lambda point: point.bytes,
            default=None,
        )

    def objective(self, point: Point) -> float:
        """Return what to minimize among the points within the bound."""
        return point.bytes if self.target_bytes is None else point.kl

    def lambda_correction(self, point: Point) -> float:
        """Return the factor on lambda that moves a point to the bound."""
        if self.target_bytes is not None:
            # Bytes fall by about the eighth root of lambda.
            return math.exp(8 * self.excess(point))
        return math.exp(-self.excess(point) / 2)
