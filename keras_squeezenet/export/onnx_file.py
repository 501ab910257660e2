"""Write ONNX files, float32 or int8, and run them in ONNX Runtime."""

import contextlib
import logging
import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime import quantization

from keras_squeezenet import normalizations
from keras_squeezenet.export import formats
from keras_squeezenet.utils import files

if TYPE_CHECKING:
    import keras

ERRORS_ONLY = 3
BATCH_SIZE = 16
# CPUs multiply uint8 by int8 three times as fast as int8 by int8. The
# softmax is left out: its outputs would be multiples of 1/256.
QUANTIZATION: dict[str, Any] = {
    "per_channel": True,
    # A range is the mean of those of the batches, which leaves out outliers.
    "extra_options": {"CalibMovingAverage": True},
    "activation_type": quantization.QuantType.QUInt8,
    "weight_type": quantization.QuantType.QInt8,
    "op_types_to_quantize": [
        *("Add", "Clip", "Concat", "Conv", "Gemm", "LeakyRelu", "MaxPool"),
        *("Mul", "Pad", "Relu", "Sigmoid"),
    ],
}


def write_onnx(
    model: "keras.Model",
    path: str | os.PathLike,
    calibration: np.ndarray | None = None,
) -> None:
    """Write an ONNX file that computes in float32.

    It maps `images` of shape `(batch, height, width, channels)` to
    `probabilities`. The images are uint8 for a model with the normalization
    `"raw"`, and float32 for others. The metadata of the model are among those
    of the file.

    Args:
        model: an image classifier, as `flattening.flatten` takes it.
        path: path of the file.
        calibration: not used.

    Raises:
        ValueError: if the model has another structure.
    """
    _write(path, build(model))


def write_onnx_int8(
    model: "keras.Model", path: str | os.PathLike, calibration: np.ndarray
) -> None:
    """Write an ONNX file that computes in int8.

    It has pairs of QuantizeLinear and DequantizeLinear nodes: kernels have a
    scale for each output channel, activations one for each tensor. Kernels that
    take images have 7 bits, as `saturation` explains. Inputs and outputs are
    those of `write_onnx`.

    Args:
        model: an image classifier, as `flattening.flatten` takes it.
        path: path of the file.
        calibration: float32 images as the model takes them, on which the ranges
            of the activations are measured.

    Raises:
        ValueError: if the model has another structure.
    """
    _write(path, quantize(model, calibration))


def build(model: "keras.Model") -> onnx.ModelProto:
    """Return what `write_onnx` writes; see `onnx_graph.build`."""
    # It loads Keras, which running a file does without.
    from keras_squeezenet.export import onnx_graph

    return onnx_graph.build(model)


def quantize(
    model: "keras.Model", calibration: np.ndarray, **options: Any
) -> onnx.ModelProto:
    """Return what `write_onnx_int8` writes.

    `options` are those of `onnxruntime.quantization.quantize_static`.
    """
    # It loads Keras too.
    from keras_squeezenet.export import photograph_input

    formats.require_images(calibration)
    converted = build(model)
    chosen = {**QUANTIZATION, **options}
    chosen["nodes_to_exclude"] = [
        *chosen.get("nodes_to_exclude", ()),
        photograph_input.NORMALIZE,
    ]
    chosen["extra_options"] = {
        "TensorQuantOverrides": _narrow_kernels(model, converted, chosen),
        **chosen["extra_options"],
    }
    (taken,) = converted.graph.input
    dtype, name = taken.type.tensor_type.elem_type, taken.name
    images = calibration.astype(onnx.helper.tensor_dtype_to_np_dtype(dtype))
    with tempfile.TemporaryDirectory() as folder:
        # A model that is given in memory would be changed.
        source, path = (pathlib.Path(folder, name) for name in ("a", "b"))
        onnx.save(converted, source)
        with _quiet():
            quantization.quantize_static(
                source,
                path,
                _Batches(images, name),
                **chosen,
            )
        return onnx.load(path)


def _narrow_kernels(model, converted, chosen):
    """Return options for the kernels that have 7 bits."""
    from keras_squeezenet.export import saturation

    kernels = {f"{name}/kernel" for name in saturation.narrow_layers(model)}
    found = {}
    for node in converted.graph.node:
        for kernel in kernels.intersection(node.input):
            option = {"quant_type": chosen["weight_type"], "reduce_range": True}
            if chosen["per_channel"]:
                option["axis"] = 0 if node.op_type == "Conv" else 1
            found[kernel] = [option]
    return found


def load(path: str | os.PathLike) -> Callable[[np.ndarray], np.ndarray]:
    """Load an ONNX file as a function of a batch of images.

    The images are arrays of numbers of any type, which are rounded if the file
    takes integers. The function returns float32.

    Raises:
        OSError: if the file is missing.
        ValueError: if it has not one input and one output. ONNX Runtime raises
            other exceptions if it is damaged.
    """
    return load_shaped(path)[0]


def load_shaped(
    path: str | os.PathLike, num_threads: int = 0
) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[int | None, ...]]:
    """Load an ONNX file as `load` does; return the shape of its input too.

    Sizes that may be any are `None` in the shape. `num_threads=0` leaves the
    number of threads to ONNX Runtime.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = ERRORS_ONLY
    session = onnxruntime.InferenceSession(
        pathlib.Path(path).read_bytes(),
        options,
        providers=["CPUExecutionProvider"],
    )
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            "an ONNX file must have one input and one output. Received: "
            f"{', '.join(each.name for each in inputs)} and "
            f"{', '.join(each.name for each in outputs)}"
        )
    (images,) = inputs
    takes_uint8 = images.type == "tensor(uint8)"
    photographs = normalizations.get(normalizations.RAW)

    def predict(batch):
        batch = np.asarray(batch)
        if not takes_uint8:
            batch = batch.astype("float32")
        elif batch.dtype != np.uint8:
            batch = photographs.to_rgb(batch)
        (probabilities,) = session.run(None, {images.name: batch})
        return probabilities

    shape = [
        size if isinstance(size, int) and size > 0 else None
        for size in images.shape
    ]
    return predict, tuple(shape)


def read_kernels(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the kernels of an ONNX file of this package by layer.

    They are float32 or int8 arrays with the output channels last, as in Keras.
    Nothing is run.
    """
    loaded = onnx.load(path, load_external_data=False)
    kernels = {}
    for tensor in loaded.graph.initializer:
        layer, _, weight = tensor.name.rpartition("/")
        if weight in ("kernel", "kernel_quantized"):
            kernel = numpy_helper.to_array(tensor)
            is_spatial = kernel.ndim == 4
            kernels[layer] = (
                kernel.transpose(2, 3, 1, 0) if is_spatial else kernel
            )
    return kernels


def _write(path, converted):
    onnx.checker.check_model(converted, full_check=True)
    with files.new_file(path) as temporary:
        temporary.write_bytes(converted.SerializeToString(deterministic=True))


@contextlib.contextmanager
def _quiet():
    """Keep the notes of the quantizer, and its handler, off the root logger."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


class _Batches(quantization.CalibrationDataReader):
    """Batches of images for the quantizer."""

    def __init__(self, images, name):
        self.images = images
        self.name = name
        self.starts = iter(range(0, len(images), BATCH_SIZE))

    def get_next(self):
        start = next(self.starts, None)
        if start is None:
            return None
        return {self.name: self.images[start : start + BATCH_SIZE]}
