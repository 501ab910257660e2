"""Reader of `.npz` files with keys such as `fire2/squeeze1x1/kernel`."""

import io
import math

import numpy as np

from keras_squeezenet.pretrained.readers import archive

SUFFIX = ".npy"
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


def _array(content, key):
    """Parse an array without trusting the length in its header."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(
            f"{key} must be in version 1.0 or 2.0 of NumPy's format. "
            f"Received: {version}"
        )
    shape, fortran_order, dtype = HEADERS[version](file)
    if dtype.kind != "f":
        raise ValueError(f"{key} must hold floats. Received: {dtype}")
    data = content[file.tell() :]
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
