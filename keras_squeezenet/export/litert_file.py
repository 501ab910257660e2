"""Run LiteRT files, and read their kernels, without TensorFlow and Keras."""

import re
import struct

import numpy as np
from ai_edge_litert import schema_py_generated

from keras_squeezenet.utils import archive

# Several times what large networks have. Each takes time to read.
MAX_OPERATORS = 10_000
# The converter joins the names of the operators that it fuses.
MAX_NAMES = 10_000
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


# What reading damaged tables raises.
_DAMAGES = (AttributeError, LookupError, TypeError, ValueError, struct.error)


class LiteRTModel:
    """A LiteRT image classifier with one input and one output.

    `content` is a `.tflite` file. Its images are float32; or photographs,
    uint8 from 0 to 255; or int8 or int16 codes of float32 numbers.
    """

    def __init__(self, content: bytes, num_threads: int = 2):
        # Reading kernels does without it.
        from ai_edge_litert.interpreter import Interpreter

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
    if values.dtype == tensor["dtype"] == np.uint8:
        return values
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
    kernels or outputs of convolutions and dense layers. Nothing is run, and
    only what the kernels need is read.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        kernels = _read_kernels(content)
    except _DAMAGES as error:
        raise ValueError(
            "it is damaged: its tables cannot be read. Copy or convert it "
            "again."
        ) from error
    # Many layers may share the bytes of one.
    size = sum(kernel.nbytes for kernel in kernels.values())
    archive.require_size(size, "the kernels")
    return kernels


def _read_kernels(content):
    model = schema_py_generated.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    count = graph.OperatorsLength()
    if count > MAX_OPERATORS:
        raise ValueError(f"{count:,} operators are too many")
    operators = [
        (operator.InputsAsNumpy(), operator.OutputsAsNumpy())
        for operator in map(graph.Operators, range(count))
    ]
    # Kernels of float16 are dequantized first.
    sources = {
        outputs[0]: inputs[0]
        for inputs, outputs in operators
        if np.size(inputs) == 1
    }
    kernels = {}
    for inputs, outputs in operators:
        if np.size(inputs) < 2:
            continue
        kernel = _tensor(graph, sources.get(inputs[1], inputs[1]))
        # TensorFlow 2.18 names outputs only.
        names = (kernel.Name(), _tensor(graph, outputs[0]).Name())
        layer = _LAYER_NAME.search(b";".join(names)[:MAX_NAMES].decode())
        data = model.Buffers(kernel.Buffer()).DataAsNumpy()
        if layer and np.ndim(data) and kernel.Type() in _DTYPES:
            values = data.view(_DTYPES[kernel.Type()])
            values = values.reshape(kernel.ShapeAsNumpy())
            if values.ndim in (2, 4):
                kernels[layer[1]] = np.moveaxis(values, 0, -1)
    return kernels


def _tensor(graph, index):
    if not 0 <= index < graph.TensorsLength():
        raise LookupError(f"there is no tensor {index}")
    return graph.Tensors(int(index))
