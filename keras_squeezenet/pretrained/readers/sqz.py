"""Reader of this package's own .sqz files."""

import numpy as np

from keras_squeezenet.codec import headers
from keras_squeezenet.codec import sqz


def read(content: bytes) -> dict[str, tuple[np.ndarray, ...]]:
    """Return `{layer name: (kernel, bias)}`, HWIO and float32."""
    layers: dict[str, list[np.ndarray]] = {}
    for name, array in sqz.load(content)[1].items():
        layers.setdefault(name.rpartition("/")[0], []).append(array.to_array())
    return {layer: tuple(weights) for layer, weights in layers.items()}


def read_normalization(content: bytes) -> str:
    """Return the normalization in the header."""
    header, _ = sqz.load(content)
    return headers.parse_normalization(header)
