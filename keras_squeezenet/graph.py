"""Flat Functional models as data: layers, their arguments and their inputs.

SqueezeNets and their transfer heads need few types of layers, listed here. The
data builds a model in Keras 3, on any backend, or in tf_keras.
"""

import json
import math
import reprlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras

from keras_squeezenet import layers

# The required values of other arguments, where they are not None or False.
FIXED = {
    "axis": -1,
    "data_format": "channels_last",
    "dilation_rate": [1, 1],
    "groups": 1,
    "negative_slope": 0,
    "threshold": 0,
}
# Arguments that do not change the outputs.
IGNORED = ("name", "trainable", "dtype", "seed")
IGNORED_SUFFIXES = ("_initializer", "_regularizer", "_constraint")
# The modules of the layers, and of the operation `a + b`.
MODULES = ("keras.layers", "keras.src.ops.numpy")


def describe(model: keras.Model) -> dict:
    """Return the structure of a model, without its weights.

    The model must be flat and Functional, with one input, one output, the
    `"channels_last"` data format and layers from `layers.LAYERS`, each called
    once. Regularizers, constraints and data types are left out.

    Returns:
        The model's `name` and its `layers` in the order of computation: dicts
        of their `type`, `name`, `inputs` (names of layers) and arguments. An
        `InputLayer` has a `shape` without the batch.

    Raises:
        ValueError: if the model has another structure, or exceeds the limits of
            `layers`.
    """
    require_functional(model)
    return from_config(config_of(model))


def require_functional(model: Any) -> None:
    """Raise a `ValueError` unless the configuration of a model says all of it.

    It must be Functional, without a `call` or activations of its own, and have
    one input and one output.
    """
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise ValueError(
            "`model` must be a flat Functional `keras.Model`. Received: "
            f"model={model!r}"
        )
    _require_single(model.name, model.inputs, model.outputs)
    functional = type(keras.Model(model.inputs, model.outputs))
    if type(model).call is not functional.call:
        raise ValueError(
            f"the model {model.name!r} must compute its layers and no more. "
            f"Received: a {type(model).__name__} with its own `call`. Pass "
            "`keras.Model(model.inputs, model.outputs)` if that is meant."
        )
    for layer in model.operations:
        activation = getattr(layer, "activation", None)
        # A configuration has only the name of a function.
        module = getattr(activation, "__module__", None) or "keras"
        if module.partition(".")[0] not in ("keras", "tensorflow"):
            raise ValueError(
                f"the activation of layer {layer.name!r} must be one of "
                f"`keras.activations`: {', '.join(layers.ACTIVATIONS)}. "
                f"Received: {activation!r}"
            )


def config_of(model: keras.Model) -> dict:
    """Return the configuration of a model as JSON, for `from_config`."""
    return json.loads(json.dumps(model.get_config(), default=str))


def from_config(config: dict) -> dict:
    """Return what `describe` returns, from the configuration of a model.

    Args:
        config: what `get_config` of a Functional or Sequential model returns,
            as JSON. Nothing that it names is imported or called.

    Raises:
        ValueError: as `describe` raises it. Other exceptions if the
            configuration is not one that Keras writes.
    """
    if "input_layers" not in config:
        config = _chain(config)
    inputs = list(input_names(config["input_layers"]))
    outputs = list(input_names(config["output_layers"]))
    _require_single(config["name"], inputs, outputs)
    # Keras orders them by depth: the last one computes the output.
    found = {
        "name": config["name"],
        "layers": [describe_layer(layer) for layer in config["layers"]],
    }
    require(found)
    if outputs[0] != found["layers"][-1]["name"]:
        raise ValueError(
            "the last layer must compute the output. Received: the output of "
            f"{outputs[0]!r}"
        )
    return found


def require(
    description: dict, kernels: dict[str, tuple[int, ...]] | None = None
) -> None:
    """Check a description, such as one from a file, before it is built.

    Args:
        kernels: the expected `{layer name: shape}` of the kernels. Defaults to
            `None`, no check.

    Raises:
        ValueError: if a layer, an argument, or the shape of a kernel is wrong,
            or the network exceeds the limits of `layers`.
    """
    count = len(description["layers"])
    if not 1 <= count <= layers.MAX_LAYERS:
        raise ValueError(
            f"a network must have from 1 to {layers.MAX_LAYERS} layers. "
            f"Received: {count:,} layers"
        )
    first, *others = description["layers"]
    if first["type"] != layers.INPUT:
        raise ValueError(
            f"the first layer must be an {layers.INPUT}. Received: "
            f"{first['type']}"
        )
    for named in (description, first, *others):
        if not isinstance(named["name"], str):
            raise ValueError(
                "a network and its layers must have names. Received: "
                f"{reprlib.repr(named['name'])}"
            )
    shapes = {first["name"]: layers.input_shape(first["shape"])}
    outputs = math.prod(shapes[first["name"]])
    operations = 0
    for layer in others:
        name = layer["name"]
        layers.require_arguments(layer)
        received = _received(layer, shapes)
        channels = received[0][-1]
        if kernels is not None:
            _require_kernel(layer, channels, kernels)
        shapes[name] = layers.output_shape(layer, received)
        size = math.prod(shapes[name])
        outputs += size
        operations += layers.operations(layer, channels, shapes[name])
        for value, limit, what in (
            (size, layers.MAX_OUTPUT, f"numbers in the output of {name!r}"),
            (outputs, layers.MAX_OUTPUTS, "numbers in all outputs"),
            (operations, layers.MAX_OPERATIONS, "multiplications"),
        ):
            if value > limit:
                raise ValueError(
                    f"a network must have at most {limit:,} {what}, for an "
                    f"image. Received: {value:,} or more"
                )


def build(namespace: ModuleType, description: dict) -> Any:
    """Build a model with new weights from the result of `describe`.

    Args:
        namespace: the module `keras` or `tf_keras`.
        description: see `require` for one from a file.
    """
    first = description["layers"][0]
    inputs = namespace.Input(
        tuple(first["shape"]), name=first["name"], dtype="float32"
    )

    def call(layer, *received):
        return make_layer(namespace, layer)(only(received))

    outputs = run(description, inputs, call)
    return namespace.Model(inputs, outputs, name=description["name"])


def make_layer(namespace: ModuleType, layer: dict) -> Any:
    """Return a new layer of `keras` or `tf_keras` from its description."""
    kind = layer["type"]
    arguments = {key: layer[key] for key in ("name", *layers.LAYERS[kind])}
    # Not the user's defaults.
    arguments["dtype"] = "float32"
    if kind in layers.SPATIAL:
        arguments["data_format"] = "channels_last"
    return getattr(namespace.layers, kind)(**arguments)


def run(description: dict, value: Any, call: Callable[..., Any]) -> Any:
    """Run a value, such as a batch of images, through the layers of a model.

    `call` receives the description of a layer and the layer's inputs, and
    returns its output.
    """
    first, *others = description["layers"]
    last_use = {
        name: layer["name"] for layer in others for name in layer["inputs"]
    }
    values = {first["name"]: value}
    for layer in others:
        received = [values[name] for name in layer["inputs"]]
        values[layer["name"]] = call(layer, *received)
        # Free each value after its last use.
        for name in set(layer["inputs"]):
            if last_use[name] == layer["name"]:
                del values[name]
    return values[description["layers"][-1]["name"]]


def only(values: tuple) -> Any:
    """Return a layer's inputs as Keras expects them: one tensor, or a list."""
    return list(values) if len(values) > 1 else values[0]


def describe_layer(layer: dict) -> dict:
    """Return one of the `layers` of `describe`, from that of a configuration.

    Raises:
        ValueError: if networks may not have such a layer.
    """
    kind, arguments = layer["class_name"], layer["config"]
    name = arguments["name"]
    described = {"type": kind, "name": name}
    if kind in ("Functional", "Sequential"):
        raise ValueError(
            f"the model {name!r} is nested in another, which must be "
            "flat: build the head on the base's own tensors, "
            "`keras.Model(base.input, head(base.output))`."
        )
    if layer["module"] not in MODULES:
        kind = f"{layer['module']}.{kind}"
    if kind == layers.INPUT:
        return {**described, "shape": arguments["batch_shape"][1:]}
    layers.require_known(name, kind)
    defining = layers.LAYERS[kind]
    for key, value in arguments.items():
        if key not in (*defining, *IGNORED) and not key.endswith(
            IGNORED_SUFFIXES
        ):
            _require_fixed(name, key, value)
    inputs = inputs_of(layer)
    for key, value in layer["inbound_nodes"][0]["kwargs"].items():
        _require_fixed(name, key, value)
    return {
        **described,
        "inputs": inputs,
        **{key: arguments[key] for key in defining},
    }


def inputs_of(layer: dict) -> list[str]:
    """Return the names of the inputs of a layer of a configuration.

    Raises:
        ValueError: unless it is called once, with outputs of other layers.
    """
    name, calls = layer["config"].get("name"), layer["inbound_nodes"]
    if len(calls) != 1:
        raise ValueError(
            f"layer {name!r} must be called once. Received: a layer "
            f"that is called {len(calls)} times"
        )
    return list(input_names(calls[0]["args"]))


def input_names(tensors):
    """Yield the names of the layers that compute tensors of a configuration."""
    if isinstance(tensors, dict):
        if tensors.get("class_name") == "__keras_tensor__":
            tensors = tensors["config"]["keras_history"]
        elif "class_name" not in tensors:
            tensors = list(tensors.values())
    if not isinstance(tensors, list):
        raise ValueError(
            "the inputs of layers must be the outputs of other layers. "
            f"Received: {reprlib.repr(tensors)}"
        )
    # A layer's name, the index of its call, and the index of its output.
    if tensors and isinstance(tensors[0], str):
        yield tensors[0]
        return
    for each in tensors:
        yield from input_names(each)


def _require_single(name, inputs, outputs):
    if (len(inputs), len(outputs)) != (1, 1):
        raise ValueError(
            "the model must have one input and one output. Received: "
            f"{name!r} with {len(inputs)} and {len(outputs)}"
        )


def _chain(config):
    """Return the configuration of a Sequential model as a Functional one."""
    names = [[layer["config"]["name"]] for layer in config["layers"]]
    calls = [[], *([{"args": [name], "kwargs": {}}] for name in names)]
    return {
        "name": config["name"],
        "input_layers": names[0],
        "output_layers": names[-1],
        "layers": [
            {**layer, "inbound_nodes": nodes}
            for layer, nodes in zip(config["layers"], calls)
        ],
    }


def _received(layer, shapes):
    """Return the shapes of a layer's inputs."""
    name, inputs = layer["name"], layer["inputs"]
    if name in shapes:
        raise ValueError(f"it has several layers called {name!r}")
    if not 1 <= len(inputs) <= layers.MAX_INPUTS:
        raise ValueError(
            f"layer {name!r} must have from 1 to {layers.MAX_INPUTS} inputs. "
            f"Received: {len(inputs):,}"
        )
    for each in inputs:
        if each not in shapes:
            raise ValueError(
                f"the inputs of layer {name!r} must be layers before it. "
                f"Received: {reprlib.repr(each)}"
            )
    return [shapes[each] for each in inputs]


def _require_kernel(layer, channels, kernels):
    shape = layers.kernel_shape(layer, channels)
    received = kernels.get(layer["name"])
    if shape != received:
        raise ValueError(
            f"the kernel of {layer['name']!r} must have the shape {shape}. "
            f"Received: {received}"
        )


def _require_fixed(name, key, value):
    expected = FIXED.get(key)
    if value not in (None, False, expected):
        raise ValueError(
            f"layer {name!r} must have {key}={expected!r}, the only one that "
            f"is supported. Received: {key}={reprlib.repr(value)}"
        )
