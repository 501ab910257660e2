"""The layers that a network may have: their arguments, sizes and costs.

A network from a file is built from these alone, within the limits below.
"""

import math
import reprlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from keras_squeezenet import architecture

# Limits on networks. For an image of 1024x1024, SqueezeNet v1.0 needs three
# quarters of `MAX_OUTPUT` and a quarter of `MAX_OPERATIONS`.
MAX_LAYERS = 512
MAX_INPUTS = 16
# An axis, and a number of channels, filters, steps or padded zeros.
MAX_SIZE = 1 << 16
# Numbers in the output of a layer for one image, and in all outputs together.
MAX_OUTPUT = 1 << 25
MAX_OUTPUTS = 1 << 29
# Multiplications and comparisons for one image.
MAX_OPERATIONS = 1 << 36

INPUT = "InputLayer"
ACTIVATIONS = (
    *("elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear"),
    *("log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu"),
    *("softmax", "softplus", "softsign", "swish", "tanh"),
)


def _is_int(value, low=1):
    # `True` is an `int` too.
    return type(value) is int and low <= value <= MAX_SIZE


def _is_pair(value, of=_is_int):
    return isinstance(value, list) and len(value) == 2 and all(map(of, value))


def _is_padding(value):
    return _is_pair(value, lambda pair: _is_pair(pair, _is_count))


def _is_count(value):
    return _is_int(value, 0)


def _is_rate(value):
    return type(value) in (int, float) and 0 <= value <= 1


_WHOLE = f"a whole number from 1 to {MAX_SIZE:,}"
_ACTIVATION = (
    f"one of {', '.join(ACTIVATIONS)}",
    lambda value: isinstance(value, str) and value in ACTIVATIONS,
)
_BOOL = ("true or false", lambda value: isinstance(value, bool))
_PAIR = (f"two whole numbers from 1 to {MAX_SIZE:,}", _is_pair)
_PADDING = ("'same' or 'valid'", lambda value: value in ("same", "valid"))
_SIZE = (_WHOLE, _is_int)

# For each type: the arguments that define a layer, what they must be, a check.
LAYERS: dict[str, dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "Activation": {"activation": _ACTIVATION},
    "Add": {},
    "Concatenate": {
        "axis": (
            "-1, 1, 2 or 3",
            lambda value: type(value) is int and value in (-1, 1, 2, 3),
        )
    },
    "Conv2D": {
        "filters": _SIZE,
        "kernel_size": _PAIR,
        "strides": _PAIR,
        "padding": _PADDING,
        "activation": _ACTIVATION,
        "use_bias": _BOOL,
    },
    "Dense": {"units": _SIZE, "activation": _ACTIVATION, "use_bias": _BOOL},
    "Dropout": {"rate": ("a number from 0 to 1", _is_rate)},
    "GlobalAveragePooling2D": {},
    "GlobalMaxPooling2D": {},
    "MaxPooling2D": {
        "pool_size": _PAIR,
        "strides": _PAIR,
        "padding": _PADDING,
    },
    "ReLU": {},
    "Softmax": {},
    "ZeroPadding2D": {
        "padding": (
            f"two pairs of whole numbers from 0 to {MAX_SIZE:,}",
            _is_padding,
        )
    },
}
MERGES = ("Add", "Concatenate")
# The layers whose inputs have a height, a width and channels.
SPATIAL = (
    *("Conv2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D"),
    *("MaxPooling2D", "ZeroPadding2D"),
)


def require_known(name: str, kind: str) -> None:
    """Raise a `ValueError` unless networks may have layers of a type."""
    if kind not in LAYERS:
        raise ValueError(
            f"layer {name!r:.100} is a {kind:.60}, and a network may have "
            f"only the layers {', '.join(LAYERS)}. Apply preprocessing to the "
            "data instead."
        )


def require_arguments(layer: dict) -> None:
    """Raise a `ValueError` unless the layer is known, with valid arguments."""
    kind, name = layer["type"], layer["name"]
    require_known(name, kind)
    for key, (expected, allows) in LAYERS[kind].items():
        if not allows(layer[key]):
            raise ValueError(
                f"{key} of layer {name!r} must be {expected}. "
                f"Received: {key}={reprlib.repr(layer[key])}"
            )


def input_shape(shape: Any) -> tuple[int, ...]:
    """Return the shape of an input, with the default for sides of `None`."""
    is_valid = isinstance(shape, list) and 1 <= len(shape) <= 3
    if not is_valid or not all(side is None or _is_int(side) for side in shape):
        raise ValueError(
            "the shape of the input must be height, width and channels, "
            f"{_WHOLE} each. Received: {reprlib.repr(shape)}"
        )
    return tuple(side or architecture.DEFAULT_SIDE for side in shape)


def kernel_shape(layer: dict, channels: int) -> tuple[int, ...] | None:
    """Return the shape of a layer's kernel, or `None` if it has none."""
    match layer["type"]:
        case "Conv2D":
            return (*layer["kernel_size"], channels, layer["filters"])
        case "Dense":
            return (channels, layer["units"])
        case _:
            return None


def output_shape(
    layer: dict, shapes: Sequence[tuple[int, ...]]
) -> tuple[int, ...]:
    """Return the shape of a layer's output, from those of its inputs."""
    kind, name = layer["type"], layer["name"]
    ranks = {len(shape) for shape in shapes}
    if (len(shapes) > 1) != (kind in MERGES) or len(ranks) > 1:
        raise ValueError(
            f"layer {name!r} must have one input, or several with as many axes "
            "if it is an Add or a Concatenate. Received: inputs of the shapes "
            f"{', '.join(map(str, shapes))}"
        )
    if kind in SPATIAL and ranks != {3}:
        raise ValueError(
            f"layer {name!r} must take images of height, width and channels. "
            f"Received: an input of the shape {shapes[0]}"
        )
    output = _output_shape(layer, shapes[0], shapes)
    if min(output) < 1:
        raise ValueError(
            f"layer {name!r} must have an output that is not empty. "
            f"Received: an input of the shape {shapes[0]}"
        )
    return output


def operations(layer: dict, channels: int, output: tuple[int, ...]) -> int:
    """Return the multiplications or comparisons of a layer for one image."""
    kernel = kernel_shape(layer, channels)
    if kernel:
        return math.prod(output[:-1]) * math.prod(kernel)
    return math.prod(output) * math.prod(layer.get("pool_size", ()))


def _output_shape(layer, shape, shapes):
    match layer["type"]:
        case "Conv2D":
            return (*_slide(layer, "kernel_size", shape), layer["filters"])
        case "MaxPooling2D":
            return (*_slide(layer, "pool_size", shape), shape[-1])
        case "ZeroPadding2D":
            rows, columns = map(sum, layer["padding"])
            return (shape[0] + rows, shape[1] + columns, shape[2])
        case "GlobalAveragePooling2D" | "GlobalMaxPooling2D":
            return shape[-1:]
        case "Dense":
            return (*shape[:-1], layer["units"])
        case "Add":
            return tuple(map(max, *shapes))
        case "Concatenate":
            # The shapes have no batch axis.
            axis = layer["axis"] - (layer["axis"] > 0)
            if axis >= len(shape):
                raise ValueError(
                    f"layer {layer['name']!r} must join its inputs along one "
                    f"of their axes. Received: axis={layer['axis']} and the "
                    f"shape {shape}"
                )
            total = sum(each[axis] for each in shapes)
            return (*shape[:axis], total, *shape[axis:][1:])
        case _:
            return shape


def _slide(layer, window, shape):
    """Yield the output height and width of a moving window."""
    is_same = layer["padding"] == "same"
    for size, length, step in zip(shape, layer[window], layer["strides"]):
        yield (size - (1 if is_same else length)) // step + 1
