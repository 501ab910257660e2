"""Flat Functional models as data: the layers, their arguments and inputs.

What a SqueezeNet and its transfer heads are made of is little enough to be
listed. From the list a model is built in either Keras, of any version, on any
backend.
"""

import keras

# The layers that a model can have, and the arguments that define each.
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


def describe(model):
    """Returns what a model is made of, without its weights.

    Args:
        model: `keras.Model`, flat and Functional, with one input, one output,
            the `"channels_last"` data format and the layers listed in
            `LAYERS`, each called once.

    Returns:
        A dict of the model's `name` and its `layers` in the order of the
        data, the last one's output being the model's: dicts of their `type`,
        `name`, `inputs` (names of layers) and arguments. An `InputLayer` has
        a `shape` without the batch.

    Raises:
        ValueError: if the model is not Functional, is nested, or has a layer
            that is not listed.
    """
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise ValueError(
            "a flat Functional `keras.Model` is expected. Received: "
            f"model={model!r}"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "a model with one input and one output is expected. Received: "
            f"{model.name!r} with {len(model.inputs)} and {len(model.outputs)}"
        )
    # A layer may have been called in other models too.
    of_model = {
        id(node) for nodes in model._nodes_by_depth.values() for node in nodes
    }
    nodes = {
        layer.name: [
            node for node in layer._inbound_nodes if id(node) in of_model
        ]
        for layer in model.operations
    }
    names = {
        id(node.output_tensors[0]): name
        for name, found in nodes.items()
        for node in found
    }
    return {
        "name": model.name,
        # Keras orders them by their depth: the output is the last one's.
        "layers": [
            _describe_layer(layer, nodes[layer.name], names)
            for layer in model.operations
        ],
    }


def build(namespace, description, kernels=None):
    """Builds a model with new weights.

    Args:
        namespace: the module `keras` or `tf_keras`.
        description: as `describe` returns it.
        kernels: `{layer name: shape}` that the kernels should have. It is
            looked at before any of them is made, so that a description out of
            a file takes no more memory than the weights beside it. Defaults
            to `None`: any shapes.

    Returns:
        A `Model`.

    Raises:
        ValueError: if a kernel has another shape.
    """
    first, *_ = description["layers"]
    inputs = namespace.Input(
        tuple(first["shape"]), name=first["name"], dtype="float32"
    )

    def call(layer, *received):
        if kernels is not None:
            _require_kernel(layer, received[0].shape[-1], kernels)
        arguments = {key: layer[key] for key in LAYERS[layer["type"]]}
        made = getattr(namespace.layers, layer["type"])(
            name=layer["name"], **arguments
        )
        return made(only(received))

    outputs = run(description, inputs, call)
    return namespace.Model(inputs, outputs, name=description["name"])


def run(description, value, call):
    """Leads a value through the layers of a model.

    Args:
        description: as `describe` returns it.
        value: what the input is to be, such as a batch of images.
        call: function of the dict of a layer and the values that it receives,
            which returns its own.

    Returns:
        The value of the last layer.
    """
    first, *layers = description["layers"]
    last_use = {
        name: layer["name"] for layer in layers for name in layer["inputs"]
    }
    values = {first["name"]: value}
    for layer in layers:
        received = [values[name] for name in layer["inputs"]]
        values[layer["name"]] = call(layer, *received)
        # So that no more values are alive than are needed.
        for name in set(layer["inputs"]):
            if last_use[name] == layer["name"]:
                del values[name]
    *_, last = description["layers"]
    return values[last["name"]]


def only(values):
    """Returns the one of several values that Keras wants by itself."""
    return list(values) if len(values) > 1 else values[0]


def _require_kernel(layer, channels, kernels):
    shape = {
        "Conv2D": lambda: (*layer["kernel_size"], channels, layer["filters"]),
        "Dense": lambda: (channels, layer["units"]),
    }.get(layer["type"], lambda: None)()
    received = kernels.get(layer["name"])
    if shape != received:
        raise ValueError(
            f"the kernel of {layer['name']!r} should have the shape {shape}. "
            f"Received: {received}"
        )


def _describe_layer(layer, nodes, names):
    kind = type(layer).__name__
    if kind == INPUT:
        return {
            "type": kind,
            "name": layer.name,
            "shape": list(layer.batch_shape[1:]),
        }
    if isinstance(layer, keras.Model):
        raise ValueError(
            f"the model {layer.name!r} is nested in another, "
            "which should be flat: build the head on the base's own tensors, "
            "`keras.Model(base.input, head(base.output))`."
        )
    if kind not in LAYERS:
        raise ValueError(
            f"layer {layer.name!r} is a {kind}, which a model to compress "
            f"cannot have; it may have {', '.join(LAYERS)}. Put preprocessing "
            "in front of the model."
        )
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ValueError(
            f"layer {layer.name!r} should have "
            "`data_format='channels_last'`, the only one that TensorFlow "
            f"runs on a CPU. Received: data_format={layer.data_format!r}"
        )
    if len(nodes) != 1:
        raise ValueError(
            f"layer {layer.name!r} should be called once. Received: a layer "
            f"that is called {len(nodes)} times"
        )
    config = layer.get_config()
    return {
        "type": kind,
        "name": layer.name,
        "inputs": [names[id(tensor)] for tensor in nodes[0].input_tensors],
        **{name: config[name] for name in LAYERS[kind]},
    }
