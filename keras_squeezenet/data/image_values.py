"""Checks that images have the normalization that a network takes."""

import dataclasses
import math

import numpy as np

from keras_squeezenet import normalizations

# The greatest magnitude, as a share of the limit, must be between these.
SMALL = 1 / 50
LARGE = 2


@dataclasses.dataclass(frozen=True)
class Values:
    """The type of a batch of images, and their least and greatest value.

    `bad` is the index of the first image that is not finite, if there is one.
    """

    dtype: np.dtype
    low: float
    high: float
    bad: int | None = None

    @classmethod
    def of(cls, images: np.ndarray) -> "Values":
        """Return the values of a batch of at least one image."""
        images = np.asarray(images)
        low, high = float(images.min()), float(images.max())
        bad = None
        if not math.isfinite(low) or not math.isfinite(high):
            finite = np.isfinite(images).reshape(len(images), -1).all(axis=1)
            bad = int(finite.argmin())
        return cls(images.dtype, low, high, bad)

    def can_be(self, normalization: str) -> bool:
        """Return whether images with a normalization can have such values."""
        least, greatest = normalizations.get(normalization).limits
        size = max(-least, greatest)
        is_float = self.dtype.kind == "f"
        if not is_float and normalization != "raw":
            return False
        if least < 0 <= self.low or self.low < -SMALL * size <= least:
            return False
        found = max(-self.low, self.high)
        # Black images are 0 in all that have no mean, and integers are raw.
        small = SMALL * size if is_float else 1
        return found == 0 or small < found <= LARGE * size


def require(
    name: str,
    values: Values | None,
    normalization: str,
    is_stated: bool = False,
) -> None:
    """Raise a `ValueError` unless images can have a normalization.

    Args:
        name: the name of the argument, for the error.
        values: the values of a batch; `None` if this package normalized it.
        normalization: the normalization that the network takes.
        is_stated: whether the user has stated this normalization. Then the
            values must only be finite.
    """
    if values is None:
        return
    if values.bad is not None:
        raise ValueError(
            f"the images of `{name}` must be finite. Received: NaN or infinity "
            f"in image {values.bad} of the first batch, counted from 0"
        )
    if is_stated or values.can_be(normalization):
        return
    least, greatest = normalizations.get(normalization).limits
    others = [
        f"normalization={other!r}"
        for other in normalizations.NORMALIZATIONS
        if other != normalization and values.can_be(other)
    ]
    likely = f", as with {' or '.join(others)}" if others else ""
    raise ValueError(
        f"the images of `{name}` must have {_what(normalization)}, from "
        f"{least:.4g} to {greatest:.4g}. Received: {values.dtype} from "
        f"{values.low:.4g} to {values.high:.4g} in the first batch{likely}. "
        f"{_how(normalization)}; or state the normalization of these images "
        f"with the argument `normalization` ({normalization!r} if they are "
        "right), which is kept in every file of the network"
    )


def _what(normalization):
    if normalization == normalizations.CAFFE:
        return "the values that `preprocess_input` returns"
    return f"the values of normalization={normalization!r}"


def _how(normalization):
    if normalization == normalizations.CAFFE:
        return "Apply `preprocess_input` to RGB images from 0 to 255"
    return "Normalize them as the network was trained"
