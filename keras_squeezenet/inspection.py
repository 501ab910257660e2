"""Read what is in any file that this package supports, without Keras."""

import os
import pathlib

import numpy as np

from keras_squeezenet import codec
from keras_squeezenet import metadata
from keras_squeezenet import pretrained
from keras_squeezenet.pretrained import hub
from keras_squeezenet.utils import digests
from keras_squeezenet.utils import files


def load_kernels(path: "str | os.PathLike") -> dict[str, np.ndarray]:
    """Read the kernels of a network, without building it.

    Args:
        path: path of a weights file, a `.keras` model, a SavedModel folder, a
            `.tflite` or `.onnx` file, the name of pretrained weights, or an
            address on the hub.

    Returns:
        `{layer name: array}`, output channels last: float32, or the float16 or
        int8 numbers that a LiteRT or ONNX file stores.

    Raises:
        OSError: if the file is missing or cannot be downloaded.
        ValueError: if it is damaged, or has no kernels.
    """
    path = hub.locate(path).path
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        from keras_squeezenet.export import saved_model

        with files.as_value_error(f"{path} cannot be read as a SavedModel"):
            kernels = saved_model.read_kernels(path)
    elif path.endswith(".tflite"):
        from keras_squeezenet.export import litert_file

        files.require_regular(path)
        content = pathlib.Path(path).read_bytes()
        digests.require(path, content)
        with files.as_value_error(f"{path} cannot be read as a LiteRT file"):
            kernels = litert_file.read_kernels(content)
    elif path.endswith(".onnx"):
        from keras_squeezenet.export import onnx_file

        files.require_regular(path)
        digests.require(path, pathlib.Path(path).read_bytes())
        with files.as_value_error(f"{path} cannot be read as an ONNX file"):
            kernels = onnx_file.read_kernels(path)
    else:
        kernels = {
            layer: weights[0]
            for layer, weights in pretrained.open_weights(path).stored.items()
            if weights[0].ndim > 1
        }
    if not kernels:
        raise ValueError(
            f"{path} must have layers with kernels. Received: a network "
            "without any. For a packed SavedModel, inspect the .sqz file that "
            "it was made from."
        )
    return kernels


def read_metadata(path: "str | os.PathLike") -> "metadata.Metadata | None":
    """Return the metadata in a file or a SavedModel folder, if it has any.

    Raises:
        ValueError: if they are damaged.
    """
    if os.fspath(path).endswith(".sqz"):
        return codec.read_metadata(path)
    return metadata.read(path)
