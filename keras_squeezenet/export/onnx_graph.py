"""The ONNX graph of a flat network, with the names of its layers.

The networks have few types of layers, so that no general converter is needed,
which would name nodes and tensors after operations of TensorFlow.
"""

from typing import Any

import keras
import numpy as np
import onnx
from onnx import helper
from onnx import numpy_helper

from keras_squeezenet import flattening
from keras_squeezenet import graph
from keras_squeezenet import metadata
from keras_squeezenet import normalizations

INPUT = "images"
OUTPUT = "probabilities"
BATCH = "batch"
LABELS = "labels"
FLOAT = onnx.TensorProto.FLOAT
# The first version with Gelu. ONNX Runtime reads it since 1.17, of 2024.
OPSET = 20
IR_VERSION = 9
# From Keras's order of axes to ONNX's: channels, then height and width.
CHANNELS_FIRST = (0, 3, 1, 2)
AUTO_PAD = {"same": "SAME_UPPER", "valid": "VALID"}
# The operation of each activation, and its attributes.
ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "elu": ("Elu", {}),
    "exponential": ("Exp", {}),
    "gelu": ("Gelu", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.2}),
    "log_softmax": ("LogSoftmax", {"axis": 1}),
    "mish": ("Mish", {}),
    "relu": ("Relu", {}),
    "selu": ("Selu", {}),
    "sigmoid": ("Sigmoid", {}),
    "softmax": ("Softmax", {"axis": 1}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "tanh": ("Tanh", {}),
}
# Activations that are never negative, and layers whose outputs are not where
# their inputs are not.
NONNEGATIVE = ("exponential", "relu", "relu6", "sigmoid", "softmax", "softplus")
PRESERVING = (
    *("Activation", "Add", "Concatenate", "Dropout", "MaxPooling2D"),
    "ZeroPadding2D",
)


def build(model: keras.Model) -> onnx.ModelProto:
    """Build the graph of an image classifier.

    A tensor has the name of the layer that computes it, and weights are called
    `conv1/kernel` and `conv1/bias`. Layers that do nothing at inference, such
    as dropout, are left out. The properties are the metadata of the model, and
    `labels`, the names of its classes, one on each line.

    Args:
        model: as `flattening.flatten` takes it, with an input of shape `(batch,
            height, width, channels)` and an output of shape `(batch, classes)`.

    Returns:
        An `onnx.ModelProto`, checked. It maps `images`, with the axes in the
        order of Keras, to `probabilities`. The images are uint8 if the
        normalization of the model is `"raw"`, otherwise float32.

    Raises:
        ValueError: if the model has another structure.
    """
    found = metadata.of(model)
    flat = flattening.flatten(model)
    description = graph.describe(flat)
    if (len(flat.input_shape), len(flat.output_shape)) != (4, 2):
        raise ValueError(
            "an ONNX file needs a network from images to classes. Received: a "
            f"network from the shape {flat.input_shape} to {flat.output_shape}"
        )
    takes_uint8 = (
        found is not None and found.normalization == normalizations.RAW
    )
    _merge_padding(description["layers"])
    built = _Graph(flat)
    graph.run(description, built.add_input(takes_uint8), built.add_layer)
    properties = metadata.properties(found)
    labels = metadata.labels(found, model.output_shape[-1])
    if labels:
        properties[LABELS] = "\n".join(labels)
    return built.finish(takes_uint8, properties)


class _Graph:
    """Nodes and weights. A node has the name of the tensor that it computes.

    The methods that add something return its name.
    """

    def __init__(self, model):
        self.model = model
        self.nodes = []
        self.weights = []

    def add(self, operation, name, *inputs, **attributes):
        self.nodes.append(
            helper.make_node(operation, inputs, [name], name, **attributes)
        )
        return name

    def add_weight(self, name, values):
        array = np.ascontiguousarray(values)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def add_input(self, takes_uint8):
        images = INPUT
        if takes_uint8:
            images = self.add("Cast", f"{INPUT}/float32", images, to=FLOAT)
        name = f"{INPUT}/channels_first"
        return self.add("Transpose", name, images, perm=CHANNELS_FIRST)

    def add_layer(self, described, *inputs):
        name, kind = described["name"], described["type"]
        layer = self.model.get_layer(name)
        activation = described.get("activation", "linear")
        if name in (INPUT, OUTPUT):
            name = f"{name}/layer"
        source = inputs[0]
        if kind in ("ReLU", "Softmax"):
            activation = kind.lower()
        elif kind not in ("Activation", "Dropout"):
            rank = len(layer.output.shape)
            operation, attributes, weights = _operation(
                described, rank, *layer.get_weights()
            )
            others = [
                self.add_weight(f"{name}/{key}", values)
                for key, values in weights.items()
                if values is not None
            ]
            own = name if activation == "linear" else f"{name}/{kind}"
            source = self.add(operation, own, *inputs, *others, **attributes)
        return self.add_activation(activation, name, source)

    def add_activation(self, activation, name, source):
        if activation == "linear":
            return source
        if activation == "relu6":
            low = self.add_weight(f"{name}/low", np.float32(0))
            high = self.add_weight(f"{name}/high", np.float32(6))
            return self.add("Clip", name, source, low, high)
        if activation in ("silu", "swish"):
            sigmoid = self.add("Sigmoid", f"{name}/sigmoid", source)
            return self.add("Mul", name, source, sigmoid)
        operation, attributes = ACTIVATIONS[activation]
        return self.add(operation, name, source, **attributes)

    def finish(self, takes_uint8, properties):
        """Return the model, checked. The last node computes its output."""
        self.nodes[-1].output[0] = OUTPUT
        _, *image = self.model.input_shape
        _, *classes = self.model.output_shape
        dtype = onnx.TensorProto.UINT8 if takes_uint8 else FLOAT
        describe = helper.make_tensor_value_info
        made = helper.make_model(
            helper.make_graph(
                self.nodes,
                self.model.name,
                [describe(INPUT, dtype, [BATCH, *image])],
                [describe(OUTPUT, FLOAT, [BATCH, *classes])],
                self.weights,
            ),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="keras_squeezenet",
        )
        helper.set_model_props(made, properties)
        onnx.checker.check_model(made, full_check=True)
        return made


def _operation(layer, rank, kernel=None, bias=None):
    """Return a layer's operation, its attributes, and what else it takes."""
    match layer["type"]:
        case "Add":
            # Sum is not quantized.
            return "Add" if len(layer["inputs"]) == 2 else "Sum", {}, {}
        case "Concatenate":
            axis = layer["axis"] % rank
            if rank == 4:
                axis = CHANNELS_FIRST.index(axis)
            return "Concat", {"axis": axis}, {}
        case "Conv2D":
            weights = {"kernel": kernel.transpose(3, 2, 0, 1), "bias": bias}
            return "Conv", _window(layer, "kernel_size"), weights
        case "Dense" if rank == 4:
            weights = {"kernel": kernel.T[..., None, None], "bias": bias}
            return "Conv", {}, weights
        case "Dense":
            return "Gemm", {}, {"kernel": kernel, "bias": bias}
        case "GlobalAveragePooling2D":
            return "ReduceMean", {"keepdims": 0}, {"axes": (2, 3)}
        case "GlobalMaxPooling2D":
            return "ReduceMax", {"keepdims": 0}, {"axes": (2, 3)}
        case "MaxPooling2D":
            return "MaxPool", _window(layer, "pool_size"), {}
        case "ZeroPadding2D":
            (top, bottom), (left, right) = layer["padding"]
            pads = (0, 0, top, left, 0, 0, bottom, right)
            return "Pad", {}, {"pads": pads}
    raise AssertionError(layer["type"])


def _window(layer, size):
    attributes = {"kernel_shape": layer[size], "strides": layer["strides"]}
    if "pads" in layer:
        (top, bottom), (left, right) = layer["pads"]
        return {**attributes, "pads": (top, left, bottom, right)}
    return {**attributes, "auto_pad": AUTO_PAD[layer["padding"]]}


def _merge_padding(layers):
    """Let convolutions and pooling pad their inputs, which is faster.

    ONNX pads with -inf for a maximum, which is the same where the inputs are
    not negative.
    """
    named = {layer["name"]: layer for layer in layers}
    for layer in layers[1:]:
        source = named[layer["inputs"][0]]
        if source["type"] != "ZeroPadding2D" or layer.get("padding") != "valid":
            continue
        if layer["type"] == "Conv2D" or (
            _is_nonnegative(source, named)
            and np.less(source["padding"], np.c_[layer["pool_size"]]).all()
        ):
            layer["pads"] = source["padding"]
            layer["inputs"] = source["inputs"]
    used = {name for layer in layers[1:] for name in layer["inputs"]}
    layers[:] = [
        layer
        for layer in layers
        if layer["name"] in used
        or layer["type"] != "ZeroPadding2D"
        or layer is layers[-1]
    ]


def _is_nonnegative(layer, named):
    if layer["type"] in ("ReLU", "Softmax"):
        return True
    if layer.get("activation", "linear") != "linear":
        return layer["activation"] in NONNEGATIVE
    return layer["type"] in PRESERVING and all(
        _is_nonnegative(named[name], named) for name in layer["inputs"]
    )
