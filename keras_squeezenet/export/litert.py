"""Convert models to LiteRT files, run the files, and read their kernels.

The converters take a `keras.Model` or a `tf_keras.Model` with one input and one
output, and return the content of a `.tflite` file that takes batches of any
size. They raise a `RuntimeError` for a `keras.Model` on another backend than
TensorFlow.
"""

import os
import pathlib
import re
import struct
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated
from ai_edge_litert.interpreter import Interpreter

from keras_squeezenet import metadata
from keras_squeezenet.export import saved_model
from keras_squeezenet.utils import backend

# The converter names tensors after operations. TF-MOT's wrappers begin with
# "quant_", and Keras numbers repeated calls of a layer.
_LAYER_NAME = re.compile(
    r"(?:^|[/;])(?:quant_)?([^/;]+?)(?:_\d+)?/(?:Conv2D|MatMul|convolution)"
)

_DTYPES = {
    schema_py_generated.TensorType.FLOAT32: "float32",
    schema_py_generated.TensorType.FLOAT16: "float16",
    schema_py_generated.TensorType.INT8: "int8",
}


def write_litert(
    model: keras.Model,
    path: str | os.PathLike,
    calibration: np.ndarray | None = None,
) -> None:
    """Write a float32 file; see `forms.Form` for the arguments."""
    del calibration
    pathlib.Path(path).write_bytes(convert_float32(model))


def write_litert_float16(
    model: keras.Model,
    path: str | os.PathLike,
    calibration: np.ndarray | None = None,
) -> None:
    """Write a file with float16 weights; see `forms.Form`."""
    del calibration
    pathlib.Path(path).write_bytes(convert_float16(model))


def write_litert_int8(
    model: keras.Model, path: str | os.PathLike, calibration: np.ndarray
) -> None:
    """Write a file in 8-bit integers; see `forms.Form`."""
    content = convert_post_training_int8(model, [calibration])
    pathlib.Path(path).write_bytes(content)


def load(path: str | os.PathLike) -> Callable[[np.ndarray], np.ndarray]:
    """Load a file that this package wrote as a function of a batch."""
    return LiteRTModel(pathlib.Path(path).read_bytes())


def convert_float32(model: Any) -> bytes:
    """Convert a model to float32."""
    return _convert(_converter(model, is_optimized=False), model)


def convert_float16(model: Any) -> bytes:
    """Convert a model with its weights rounded to float16.

    The file is half as large. Equal weights stay equal and zeros stay zero;
    the computation, inputs and outputs are float32.
    """
    converter = _converter(model)
    converter.target_spec.supported_types = [tf.float16]
    return _convert(converter, model)


def convert_post_training_int8(
    model: Any, calibration: list[np.ndarray]
) -> bytes:
    """Convert a model to int8, without quantization-aware training.

    Kernels have one scale per output channel, from its largest weight, so
    equal weights of a channel stay equal and zeros stay zero. The scales of
    the activations come from their ranges on the calibration images: float32
    batches of preprocessed images, usually at least 100 images together.
    Inputs and outputs are int8. A `ValueError` is raised if there is no image.
    """
    return _convert_calibrated(
        model, calibration, tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.int8
    )


def convert_int16x8(model: Any, calibration: list[np.ndarray]) -> bytes:
    """Convert a model to int16 activations and int8 kernels.

    The file is nearly as accurate as float32 at a quarter of the size, but
    slow, because LiteRT does not optimize int16 on CPUs. Inputs and outputs
    are int16. Arguments and exceptions are those of
    `convert_post_training_int8`.
    """
    operations = tf.lite.OpsSet
    return _convert_calibrated(
        model,
        calibration,
        operations.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        tf.int16,
    )


def convert_int8(quantized: Any) -> bytes:
    """Convert a quantization-aware model to int8, inputs and outputs too.

    Args:
        quantized: `tf_keras.Model` with TF-MOT's quantization wrappers.
    """
    return _convert(_converter(quantized, tf.int8), quantized)


def _convert_calibrated(model, calibration, operations, dtype):
    if not sum(map(len, calibration)):
        raise ValueError(
            "`calibration` must have at least one image, to measure the "
            f"activation ranges. Received: calibration={calibration!r}"
        )
    converter = _converter(model, dtype)
    converter.representative_dataset = lambda: (
        [image[None]] for batch in calibration for image in batch
    )
    converter.target_spec.supported_ops = [operations]
    return _convert(converter, model)


def _convert(converter, model):
    return metadata.append(converter.convert(), metadata.of(model))


def _converter(model, dtype=tf.float32, is_optimized=True):
    # `from_keras_model` prints, and renames the input.
    if isinstance(model, keras.Model):
        backend.require_tensorflow("A LiteRT file")
    module = saved_model.servable(model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.serve.get_concrete_function()], module
    )
    converter.inference_input_type = dtype
    converter.inference_output_type = dtype
    if is_optimized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter


class LiteRTModel:
    """A LiteRT image classifier with one input and one output.

    `content` is a `.tflite` file: float32, int8 or int16.
    """

    def __init__(self, content: bytes, num_threads: int = 2):
        self.interpreter = Interpreter(
            model_content=content, num_threads=num_threads
        )
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.output = self.interpreter.get_output_details()[0]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch of images, both float32."""
        if self.input["shape"][0] != len(images):
            self.interpreter.resize_tensor_input(
                self.input["index"], images.shape
            )
            self.interpreter.allocate_tensors()
            self.input = self.interpreter.get_input_details()[0]
        self.interpreter.set_tensor(
            self.input["index"], _quantize(images, self.input)
        )
        self.interpreter.invoke()
        return _dequantize(
            self.interpreter.get_tensor(self.output["index"]), self.output
        )

    def float_tensors(self) -> list[str]:
        """Return the names of the float tensors."""
        return [
            tensor["name"]
            for tensor in self.interpreter.get_tensor_details()
            if np.issubdtype(tensor["dtype"], np.floating)
        ]


def _quantize(values, tensor):
    scale, zero_point = tensor["quantization"]
    if not scale:
        return values.astype(tensor["dtype"])
    limits = np.iinfo(tensor["dtype"])
    codes = np.round(values / scale) + zero_point
    return np.clip(codes, limits.min, limits.max).astype(tensor["dtype"])


def _dequantize(codes, tensor):
    scale, zero_point = tensor["quantization"]
    if not scale:
        return codes
    return (codes.astype("float32") - zero_point) * np.float32(scale)


def read_kernels(content: bytes) -> dict[str, np.ndarray]:
    """Return the kernels of a LiteRT file by layer, as they are stored.

    They are float32, float16 or int8 arrays with the output channels last, as
    in Keras. Layers are found by the names that the converter gives to the
    kernels or outputs of convolutions and dense layers. Nothing is run.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        return _read_kernels(content)
    except (AttributeError, LookupError, TypeError, struct.error) as error:
        raise ValueError(
            f"it is damaged ({type(error).__name__}: {error})"
        ) from error


def _read_kernels(content):
    model = schema_py_generated.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    # Kernels of float16 are dequantized first.
    sources = {
        operator.outputs[0]: operator.inputs[0]
        for operator in graph.operators
        if len(operator.inputs) == 1
    }
    kernels = {}
    for operator in graph.operators:
        if len(operator.inputs) < 2:
            continue
        index = sources.get(operator.inputs[1], operator.inputs[1])
        kernel, output = (
            graph.tensors[index],
            graph.tensors[operator.outputs[0]],
        )
        # TensorFlow 2.18 names outputs only.
        names = b";".join((kernel.name, output.name)).decode()
        layer = _LAYER_NAME.search(names)
        data = model.buffers[kernel.buffer].data
        if layer and data is not None and kernel.type in _DTYPES:
            values = np.frombuffer(bytes(data), _DTYPES[kernel.type])
            values = values.reshape(kernel.shape)
            if values.ndim in (2, 4):
                kernels[layer[1]] = np.moveaxis(values, 0, -1)
    return kernels
