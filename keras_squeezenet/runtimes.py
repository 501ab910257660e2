"""Load network files that Keras does not run: each format by its runtime."""

import os
import pathlib
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import digests
from keras_squeezenet.utils import files

LITERT_THREADS = 2


class Network(NamedTuple):
    """A network that was loaded.

    Args:
        function: maps normalized float32 images of shape `(batch, side, side,
            3)` to outputs of shape `(batch, classes)`.
        shape: the shape of the images, with `None` or -1 where any size fits.
    """

    function: Callable[[np.ndarray], Any]
    shape: tuple[int | None, ...]


def find(path: str) -> Callable[[str, int | None], Network] | None:
    """Return what loads a file or folder of one of these formats.

    Formats are told by a file in a folder, whatever its name, or else by the
    suffix of a file. `None` stands for any other path.

    Returns:
        A function of the path and the number of threads, or `None` for the
        default: 2 for LiteRT, and what the others choose. It raises an
        `OSError` for a missing file, and a `ValueError` for a damaged one.
    """
    for name, load in FOLDERS.items():
        if os.path.isfile(os.path.join(path, name)):
            return load
    for suffix, load in FILES.items():
        if path.endswith(suffix):
            return load
    return None


def _load_saved_model(path, num_threads):
    from keras_squeezenet.export import saved_model

    with files.as_value_error(
        f"{path} cannot be loaded as a SavedModel of an image classifier"
    ):
        return Network(*saved_model.load_signature(path))


def _load_litert(path, num_threads):
    from keras_squeezenet.export import litert_check
    from keras_squeezenet.export import litert_file

    content = _content(path)
    with files.as_value_error(f"{path} cannot be loaded as a LiteRT file"):
        litert_check.require_runnable(content)
        function = litert_file.LiteRTModel(
            content, num_threads or LITERT_THREADS
        )
        shape = tuple(function.input["shape_signature"].tolist())
    return Network(function, shape)


def _load_onnx(path, num_threads):
    from keras_squeezenet.export import onnx_file

    _content(path)
    with files.as_value_error(f"{path} cannot be loaded as an ONNX file"):
        return Network(*onnx_file.load_shaped(path, num_threads or 0))


def _load_openvino(path, num_threads):
    from keras_squeezenet.export import openvino_file

    with files.as_value_error(f"{path} cannot be loaded by OpenVINO"):
        return Network(*openvino_file.load_shaped(path, num_threads or 0))


def _content(path):
    """Read a file, which must have the digest beside it, if there is one."""
    registry.require_file(path)
    content = pathlib.Path(path).read_bytes()
    digests.require(path, content)
    return content


FILES = {".onnx": _load_onnx, ".tflite": _load_litert}
FOLDERS = {"saved_model.pb": _load_saved_model, "model.xml": _load_openvino}
