"""Exported models in TensorFlow's C API, as Go, Java and Rust use it."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_squeezenet import preprocess_input
from keras_squeezenet.data import image_ops
from keras_squeezenet.export import saved_model

LIBRARY = pathlib.Path(tf.__file__).with_name("libtensorflow_cc.so.2")
pytestmark = pytest.mark.skipif(
    not LIBRARY.is_file(), reason=f"this test needs {LIBRARY.name}"
)

# Arguments: the library, the names of two tensors, the number of classes.
PROGRAM = """
import ctypes
import sys

import numpy as np


class Pointer(ctypes.c_void_p):
    pass


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


def call(name, *arguments, returns=Pointer):
    function = getattr(library, name)
    function.restype = returns
    return function(*arguments)


def find(tensor):
    operation, index = tensor.rsplit(":", 1)
    found = call("TF_GraphOperationByName", graph, operation.encode())
    return Output(found.value, int(index))


def check():
    if call("TF_GetCode", status, returns=ctypes.c_int):
        sys.exit(call("TF_Message", status, returns=ctypes.c_char_p).decode())


path, given, asked, classes = sys.argv[1:]
library = ctypes.CDLL(path)
status = call("TF_NewStatus")
graph = call("TF_NewGraph")
session = call(
    "TF_LoadSessionFromSavedModel",
    call("TF_NewSessionOptions"),
    None,
    b"saved_model",
    (ctypes.c_char_p * 1)(b"serve"),
    1,
    graph,
    None,
    status,
)
check()

images = np.load("images.npy")
kind = {"float32": 1, "uint8": 4}[images.dtype.name]
shape = (ctypes.c_int64 * images.ndim)(*images.shape)
size = ctypes.c_size_t(images.nbytes)
tensor = call("TF_AllocateTensor", kind, shape, images.ndim, size)
ctypes.memmove(call("TF_TensorData", tensor), images.tobytes(), images.nbytes)
outputs = (Pointer * 1)()
call(
    "TF_SessionRun",
    session,
    None,
    *((Output * 1)(find(given)), (Pointer * 1)(tensor), 1),
    *((Output * 1)(find(asked)), outputs, 1),
    *(None, 0, None, status),
    returns=None,
)
check()
size = call("TF_TensorByteSize", outputs[0], returns=ctypes.c_size_t)
content = ctypes.string_at(call("TF_TensorData", outputs[0]), size)
np.save("outputs.npy", np.frombuffer(content, "f4").reshape(-1, int(classes)))
assert "tensorflow" not in sys.modules
assert "keras_squeezenet" not in sys.modules
"""


@pytest.fixture(scope="module")
def folder(pruned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("c_api") / "saved_model"
    saved_model.save(pruned, folder, packed=True, raw_images=True)
    return folder


def run(folder, signature, images, classes, tmp_path):
    """Run a signature of a folder in a process with only the C library."""
    content = (folder / "saved_model.pb").read_bytes()
    (graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    (given,) = graph.signature_def[signature].inputs.values()
    (asked,) = graph.signature_def[signature].outputs.values()
    (tmp_path / "saved_model").symlink_to(folder)
    np.save(tmp_path / "images.npy", images)
    names = [LIBRARY, given.name, asked.name, str(classes)]
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    return np.load(tmp_path / "outputs.npy")


def test_c_interface_runs_a_packed_model(folder, pruned, calibration, tmp_path):
    images = calibration[0]
    expected = pruned.predict_on_batch(images)
    outputs = run(folder, "serving_default", images, 4, tmp_path)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_c_interface_gives_a_packed_model_raw_images(folder, pruned, tmp_path):
    rng = np.random.default_rng(0)
    photographs = rng.integers(0, 256, (2, 30, 21, 3)).astype("uint8")
    squares = [image_ops.square(photograph, 8) for photograph in photographs]
    x = preprocess_input(np.stack(squares).astype("float32"))
    outputs = run(folder, "raw_images", photographs, 4, tmp_path)
    np.testing.assert_allclose(outputs, pruned.predict_on_batch(x), atol=1e-6)
