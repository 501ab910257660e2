"""Flat Functional models as data: layers, their arguments and their inputs.

SqueezeNets and their transfer heads need few types of layers, listed here. The
data builds a model in Keras 3, on any backend, or in tf_keras.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras

# The supported types of layers, and the arguments that define each.
LAYERS = {
    "Activation": ("activation",),
    "Add": (),
    "Concatenate": ("axis",),
    "Conv2D": (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "activation",
        "use_bias",
    ),
    "Dense": ("units", "activation", "use_bias"),
    "Dropout": ("rate",),
    "GlobalAveragePooling2D": (),
    "GlobalMaxPooling2D": (),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "ReLU": (),
    "Softmax": (),
    "ZeroPadding2D": ("padding",),
}
INPUT = "InputLayer"


def describe(model: keras.Model) -> dict:
    """Return the structure of a model, without its weights.

    The model must be flat and Functional, with one input, one output, the
    `"channels_last"` data format and layers from `LAYERS`, each called once.

    Returns:
        The model's `name` and its `layers` in the order of computation: dicts
        of their `type`, `name`, `inputs` (names of layers) and arguments. An
        `InputLayer` has a `shape` without the batch.

    Raises:
        ValueError: if the model has another structure.
    """
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise ValueError(
            "`model` must be a flat Functional `keras.Model`. Received: "
            f"model={model!r}"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "the model must have one input and one output. Received: "
            f"{model.name!r} with {len(model.inputs)} and {len(model.outputs)}"
        )
    # Keras orders them by depth: the last one computes the output.
    operations = model.operations
    for layer in operations:
        _require_known(layer)
    # A layer may have been called in other models too, whose calls are not in
    # this model's configuration.
    configs = {each["name"]: each for each in model.get_config()["layers"]}
    layers = [_describe_layer(each, configs[each.name]) for each in operations]
    return {"name": model.name, "layers": layers}


def build(
    namespace: ModuleType,
    description: dict,
    kernels: dict[str, tuple[int, ...]] | None = None,
) -> Any:
    """Build a model with new weights from the result of `describe`.

    Args:
        namespace: the module `keras` or `tf_keras`.
        kernels: the expected `{layer name: shape}` of the kernels. Each is
            checked before it is created, so that a description from a file
            takes no more memory than the weights in that file. Defaults to
            `None`, no check.
    """
    first = description["layers"][0]
    inputs = namespace.Input(
        tuple(first["shape"]), name=first["name"], dtype="float32"
    )

    def call(layer, *received):
        if kernels is not None:
            _require_kernel(layer, received[0].shape[-1], kernels)
        kind = layer["type"]
        arguments = {key: layer[key] for key in ("name", *LAYERS[kind])}
        return getattr(namespace.layers, kind)(**arguments)(only(received))

    outputs = run(description, inputs, call)
    return namespace.Model(inputs, outputs, name=description["name"])


def run(description: dict, value: Any, call: Callable[..., Any]) -> Any:
    """Run a value, such as a batch of images, through the layers of a model.

    `call` receives the description of a layer and the layer's inputs, and
    returns its output.
    """
    first, *layers = description["layers"]
    last_use = {
        name: layer["name"] for layer in layers for name in layer["inputs"]
    }
    values = {first["name"]: value}
    for layer in layers:
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


def _require_kernel(layer, channels, kernels):
    shape = None
    if layer["type"] == "Conv2D":
        shape = (*layer["kernel_size"], channels, layer["filters"])
    elif layer["type"] == "Dense":
        shape = (channels, layer["units"])
    received = kernels.get(layer["name"])
    if shape != received:
        raise ValueError(
            f"the kernel of {layer['name']!r} must have the shape {shape}. "
            f"Received: {received}"
        )


def _require_known(layer):
    kind = type(layer).__name__
    if isinstance(layer, keras.Model):
        raise ValueError(
            f"the model {layer.name!r} is nested in another, which must be "
            "flat: build the head on the base's own tensors, "
            "`keras.Model(base.input, head(base.output))`."
        )
    if kind != INPUT and kind not in LAYERS:
        raise ValueError(
            f"layer {layer.name!r} is a {kind}, which a model to compress "
            f"cannot have; it may have {', '.join(LAYERS)}. Put preprocessing "
            "in front of the model."
        )
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ValueError(
            f"layer {layer.name!r} must have `data_format='channels_last'`, "
            "the only one that TensorFlow runs on a CPU. Received: "
            f"data_format={layer.data_format!r}"
        )


def _describe_layer(layer, config):
    kind = type(layer).__name__
    described = {"type": kind, "name": layer.name}
    if kind == INPUT:
        return {**described, "shape": list(layer.batch_shape[1:])}
    calls = config["inbound_nodes"]
    if len(calls) != 1:
        raise ValueError(
            f"layer {layer.name!r} must be called once. Received: a layer "
            f"that is called {len(calls)} times"
        )
    arguments = layer.get_config()
    return {
        **described,
        "inputs": list(_input_layers(calls[0]["args"])),
        **{name: arguments[name] for name in LAYERS[kind]},
    }


def _input_layers(arguments):
    """Yield the names of the layers that a call takes its inputs from."""
    if isinstance(arguments, dict):
        # A serialized `keras.KerasTensor`.
        name, _, _ = arguments["config"]["keras_history"]
        yield name
        return
    for argument in arguments:
        yield from _input_layers(argument)
