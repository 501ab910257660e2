"""Reader of `.npz` files with keys such as `fire2/squeeze1x1/kernel`.

The optional entry `normalization` names that of the training images.
"""

import io
import math

import numpy as np

from keras_squeezenet.utils import archive

SUFFIX = ".npy"
NORMALIZATION = "normalization"
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read(content: bytes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return `{layer name: (kernel, bias)}`, HWIO and float32."""
    with archive.open_zip(content) as opened:
        keys = [name.removesuffix(SUFFIX) for name in opened.namelist()]
        arrays = {
            key: _array(opened.read(key + SUFFIX), key)
            for key in keys
            if key.endswith(("/kernel", "/bias"))
        }
    layers = {}
    for key, kernel in arrays.items():
        layer, _, weight = key.rpartition("/")
        if weight != "kernel":
            continue
        if f"{layer}/bias" not in arrays:
            raise ValueError(
                f"{key} must have {layer}/bias beside it. Received: "
                f"{', '.join(sorted(arrays))}"
            )
        layers[layer.replace("/", "_")] = (kernel, arrays[f"{layer}/bias"])
    if not layers:
        raise ValueError(
            "it must have keys such as fire2/squeeze1x1/kernel. Received: "
            f"{', '.join(sorted(keys)) or 'none'}"
        )
    return layers


def read_normalization(content: bytes) -> str | None:
    """Return the text in the entry `normalization`, if there is one."""
    with archive.open_zip(content) as opened:
        name = NORMALIZATION + SUFFIX
        if name not in opened.namelist():
            return None
        shape, _, dtype, data = _parse(opened.read(name), NORMALIZATION)
    if dtype.kind != "U" or shape != () or dtype.itemsize != len(data):
        raise ValueError(
            f"{NORMALIZATION} must be a text such as 'torch'. Received: {dtype}"
        )
    return str(np.frombuffer(data, dtype)[0])


def _array(content, key):
    """Parse an array without trusting the length in its header."""
    shape, fortran_order, dtype, data = _parse(content, key)
    if dtype.kind != "f":
        raise ValueError(f"{key} must hold floats. Received: {dtype}")
    if min(shape, default=0) < 0 or (
        math.prod(shape) * dtype.itemsize != len(data)
    ):
        raise ValueError(
            f"{key} must have the bytes of shape {shape} and dtype {dtype}. "
            f"Received: {len(data)} bytes"
        )
    array = np.frombuffer(data, dtype)
    array = array.reshape(shape, order="F" if fortran_order else "C")
    return np.ascontiguousarray(array, "float32")


def _parse(content, key):
    """Return the fields in the header of an array, and the bytes after it."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(
            f"{key} must be in version 1.0 or 2.0 of NumPy's format. "
            f"Received: {version}"
        )
    shape, fortran_order, dtype = HEADERS[version](file)
    return shape, fortran_order, dtype, content[file.tell() :]
