"""The square of an image that a network sees, in NumPy.

`image_ops.squares` is the same for TensorFlow graphs.
"""

import numpy as np

# The authors crop 227 pixels from images whose shorter side is 256.
IMAGENET_SCALE = 256 / 227
# Rows are resized in parts of about this many values.
PART = 2**18


def shorter_side(side: int, is_imagenet: bool) -> int:
    """Return the size in pixels to which shorter sides are resized.

    Squares of `side` pixels are cut from the result. For ImageNet's classes
    this is the authors' test procedure, otherwise that of `data`.
    """
    return round(side * IMAGENET_SCALE) if is_imagenet else side


def square(
    image: np.ndarray, side: int, shorter_side: int | None = None
) -> np.ndarray:
    """Resize the shorter side of an image and crop the center.

    The image is resized as `tf.image.resize` with `antialias=True` does it, to
    the same numbers, and rounded.

    Args:
        image: uint8, of shape `(height, width, channels)`.
        side: the side of the result in pixels.
        shorter_side: what the shorter side is resized to; at least `side`.
            Defaults to `side`.

    Returns:
        uint8, of shape `(side, side, channels)`.
    """
    shorter_side = shorter_side or side
    height, width, channels = image.shape
    if (height, width) == (side, side) and shorter_side == side:
        return image
    scale = shorter_side / min(height, width)
    starts, weights = _spans(width, side, scale)
    # The columns that the crop drops may be many.
    used = slice(starts[0], starts[-1] + weights.shape[1])
    rows = _resize(image[:, used], *_spans(height, side, scale))
    cut = _resize(rows.swapaxes(0, 1), starts - starts[0], weights)
    return np.ascontiguousarray(cut.swapaxes(0, 1).round().astype("uint8"))


def _spans(length, side, scale):
    """Return where the span of each output pixel starts, and its weights.

    The weights are of shape `(side, span)`. All is float32 in the order of
    TensorFlow's kernel, so that it is rounded alike.
    """
    resized = int(np.round(length * scale))
    one = np.float32(1)
    inverse = one / np.float32(resized / length)
    translation = -inverse * np.float32(-((resized - side) // 2))
    # Antialiasing: where pixels are dropped, the triangle covers them.
    radius = max(inverse, one)
    half = np.float32(0.5)
    centers = (np.arange(side, dtype="float32") + half) * inverse + translation
    starts = np.ceil(centers - radius - half).clip(0, length - 1).astype(int)
    ends = np.floor(centers + radius - half).clip(0, length - 1).astype(int) + 1
    places = starts[:, np.newaxis] + np.arange((ends - starts).max())
    distances = places.astype("float32") + half - centers[:, np.newaxis]
    distances = abs(distances) * (one / radius)
    weights = (one - distances).clip(0)
    weights[places >= ends[:, np.newaxis]] = 0
    total = np.zeros(side, "float32")
    for column in weights.T:
        total += column
    return starts, weights * (one / total)[:, np.newaxis]


def _resize(rows, starts, weights):
    """Return the weighted sum of each span of rows, float32."""
    shape = rows.shape[1:]
    rows = rows.reshape(len(rows), -1)
    result = np.zeros((len(starts), rows.shape[1]), "float32")
    step = max(1, PART // rows.shape[1])
    for begin in range(0, len(starts), step):
        part = slice(begin, begin + step)
        # One after the other, as TensorFlow adds them.
        for offset, weight in enumerate(weights[part].T):
            places = np.minimum(starts[part] + offset, len(rows) - 1)
            result[part] += weight[:, np.newaxis] * rows[places]
    return result.reshape(-1, *shape)
