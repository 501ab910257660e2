"""The rate-distortion curve: files of one network, from small to accurate."""

import dataclasses
from collections.abc import Iterable
from collections.abc import Sequence

from keras_squeezenet.packing import measurement


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point(measurement.Measurement):
    """A point of the rate-distortion curve, measured on the validation images.

    Attributes:
        lambda_: the cost of one bit, in nats.
        bytes: the size of the .sqz file.
        estimated_kl: the divergence that the Fisher information predicts, in
            nats; `None` after code training.
    """

    lambda_: float
    bytes: int
    estimated_kl: float | None = None

    def to_json(self) -> dict:
        """Return the fields as JSON-compatible values."""
        values = dataclasses.asdict(self)
        return {"lambda": values.pop("lambda_"), **values}


def front(points: Iterable[Point]) -> list[Point]:
    """Return the points that no other one beats, by increasing size.

    Another one beats a point if it is no larger and no more distorted.
    """
    found = []
    for point in sorted(points, key=lambda point: (point.bytes, point.kl)):
        if not found or point.kl < found[-1].kl:
            found.append(point)
    return found


def best(points: Sequence[Point]) -> Point:
    """Return the least distorted of the points that are as accurate as any.

    These are the ones whose accuracy, with its standard error, reaches the
    highest one: on a small validation set a single image must not outweigh the
    divergence. Without accuracies it is the least distorted point.
    """
    highest = max(point.accuracy or 0.0 for point in points)
    # The standard error of a single image is what it counts, but for rounding.
    accurate = [
        point
        for point in points
        if (point.accuracy or 0.0) + (point.accuracy_error or 0.0)
        > highest - 1e-6
    ]
    return min(accurate, key=lambda point: point.kl)
