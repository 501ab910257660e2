"""Run LiteRT files, and read their kernels, without TensorFlow and Keras."""

import re
import struct

import numpy as np
from ai_edge_litert import schema_py_generated
from ai_edge_litert.interpreter import Interpreter

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


class LiteRTModel:
    """A LiteRT image classifier with one input and one output.

    `content` is a `.tflite` file. Its images are float32; or photographs,
    uint8 from 0 to 255; or int8 or int16 codes of float32 numbers.
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
    if np.issubdtype(tensor["dtype"], np.floating):
        return values.astype(tensor["dtype"])
    limits = np.iinfo(tensor["dtype"])
    # Photographs have no scale where the network computes in float32.
    codes = np.round(values / (scale or 1)) + zero_point
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
