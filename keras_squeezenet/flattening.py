"""The flat float32 network that computes what a model does at inference.

Nested models are flattened, augmentation is left out, and layers that multiply
and add per channel (BatchNormalization, Normalization, Rescaling) are folded
into a convolution or dense layer beside them.
"""

from typing import Any

import keras
import numpy as np

from keras_squeezenet import graph
from keras_squeezenet import metadata

# Layers that return their input at inference, besides `Random...`.
INACTIVE = (
    *("ActivityRegularization", "GaussianDropout", "GaussianNoise"),
    *("Identity", "SpatialDropout2D"),
)
# Layers with a kernel, into which others are folded.
WEIGHTED = ("Conv2D", "Dense")


def flatten(model: keras.Model) -> keras.Model:
    """Return a flat float32 copy of a model, for inference and compression.

    Args:
        model: a Functional or Sequential `keras.Model` with one input and one
            output, of any data type, which is left unchanged.

    Returns:
        A Functional `keras.Model` with layers from `layers.LAYERS` and the same
        outputs, up to rounding, with `metadata` where `model` has it.

    Raises:
        ValueError: if the model has another structure, or a layer that can
            neither be kept nor folded; it says what to do.
    """
    if len(getattr(model, "inputs", None) or ()) != 1:
        graph.describe(model)
    nodes: dict[str, list] = {}
    output = _open(model, None, nodes)
    arrays = {name: layer.get_weights() for name, (layer, _) in nodes.items()}
    for name in reversed(list(nodes)):
        if type(nodes[name][0]) in _AFFINE:
            before = nodes[name][1][0]
            _fold(name, nodes, arrays)
            output = before if output == name else output
    flat = _build(nodes, arrays, output, model.name)
    graph.describe(flat)
    found = metadata.of(model)
    if found:
        metadata.attach(flat, found)
    return flat


def _open(model, source, nodes):
    """Add the layers of a model to `nodes`; return the name of the last one.

    `nodes` has each layer and the names of its inputs, in the order of
    computation. `source` is the input of a nested model.
    """
    model = keras.Model(model.inputs, model.outputs)
    config = graph.config_of(model)
    calls_of = {
        each["name"]: each["inbound_nodes"] for each in config["layers"]
    }
    names: dict[str, str] = {}
    for layer in model.operations:
        calls = calls_of[layer.name]
        if isinstance(layer, keras.layers.InputLayer):
            if source is None:
                nodes[layer.name] = [layer, []]
            names[layer.name] = source or layer.name
            continue
        if len(calls) != 1:
            raise ValueError(
                f"layer {layer.name!r} must be called once. Received: a layer "
                f"that is called {len(calls)} times"
            )
        inputs = [names[each] for each in graph.input_names(calls[0]["args"])]
        kind = type(layer).__name__
        if isinstance(layer, keras.Model):
            names[layer.name] = _open(layer, inputs[0], nodes)
        elif kind.startswith("Random") or kind in INACTIVE:
            names[layer.name] = inputs[0]
        elif layer.name in nodes:
            raise ValueError(
                "the layers of a model and of those nested in it must have "
                f"different names. Received: several layers {layer.name!r}"
            )
        else:
            nodes[layer.name] = [layer, inputs]
            names[layer.name] = layer.name
    return names[model.operations[-1].name]


def _batch_normalization(layer):
    scale = 1 / np.sqrt(np.array(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        scale = scale * np.array(layer.gamma)
    offset = -np.array(layer.moving_mean) * scale
    return scale, offset + np.array(layer.beta) if layer.center else offset


def _normalization(layer):
    deviation = np.sqrt(np.ravel(layer.variance))
    scale = 1 / np.maximum(deviation, keras.config.epsilon())
    mean = np.ravel(layer.mean)
    return (1 / scale, mean) if layer.invert else (scale, -mean * scale)


# Functions of affine layers that return the scale and offset of each channel.
_AFFINE: dict[type, Any] = {
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.Normalization: _normalization,
    keras.layers.Rescaling: lambda layer: (layer.scale, layer.offset),
}


def _fold(name, nodes, arrays):
    """Fold an affine layer into the layer before or after it; remove it."""
    layer, (before,) = nodes[name]
    scale, offset = (
        np.asarray(each, "float64") for each in _AFFINE[type(layer)](layer)
    )
    after = _only_user(name, nodes)
    while after and isinstance(nodes[after][0], keras.layers.Dropout):
        after = _only_user(after, nodes)
    producer = nodes[before][0]
    if (
        type(producer).__name__ in WEIGHTED
        and producer.activation is keras.activations.linear
        and _only_user(before, nodes) == name
    ):
        kernel, bias = _kernel_and_bias(arrays[before])
        arrays[before] = [kernel * scale, bias * scale + offset]
    elif after and _takes(nodes[after][0], offset):
        kernel, bias = _kernel_and_bias(arrays[after])
        added = kernel * np.broadcast_to(offset, kernel.shape[-2])[:, None]
        sums = added.sum(axis=tuple(range(kernel.ndim - 1)))
        scales = np.broadcast_to(scale, kernel.shape[-2])[:, None]
        arrays[after] = [kernel * scales, bias + sums]
    else:
        raise ValueError(
            f"layer {name!r} is a {type(layer).__name__}, which must be folded "
            "into a layer with weights: directly after a convolution or dense "
            "layer without an activation, or directly before a dense layer or "
            "a convolution without padding. Received: one between "
            f"{before!r} and {after!r}. Apply it to the data instead, or move "
            "it."
        )
    del nodes[name]
    for node in nodes.values():
        node[1] = [before if each == name else each for each in node[1]]


def _only_user(name, nodes):
    """Return the only layer that takes an output, or `None`."""
    users = [user for user, (_, inputs) in nodes.items() if name in inputs]
    return users[0] if len(users) == 1 else None


def _takes(layer, offset):
    """Return whether an affine layer can be folded into the layer after it."""
    # The offset would not reach the padded zeros.
    return isinstance(layer, keras.layers.Dense) or (
        isinstance(layer, keras.layers.Conv2D)
        and (not offset.any() or layer.padding == "valid")
    )


def _kernel_and_bias(weights):
    kernel = weights[0].astype("float64")
    bias = weights[1] if len(weights) > 1 else np.zeros(kernel.shape[-1])
    return kernel, bias.astype("float64")


def _build(nodes, arrays, output, name):
    """Build new layers in float32, with the weights in `arrays`."""
    tensors, built = {}, {}
    for each, (layer, inputs) in nodes.items():
        if not inputs:
            shape = layer.batch_shape[1:]
            tensors[each] = keras.Input(shape, name=each, dtype="float32")
            source = tensors[each]
            continue
        config = {**layer.get_config(), "dtype": "float32"}
        if type(layer).__name__ in WEIGHTED:
            config["use_bias"] = len(arrays[each]) > 1
        built[each] = type(layer).from_config(config)
        received = [tensors[each] for each in inputs]
        tensors[each] = built[each](graph.only(received))
    flat = keras.Model(source, tensors[output], name=name)
    for each, layer in built.items():
        layer.set_weights(arrays[each])
    return flat
