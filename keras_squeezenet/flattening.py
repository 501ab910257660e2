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
    nodes: dict[str, list] = {}
    output = _open(model, None, nodes)
    arrays = {name: layer.get_weights() for name, (layer, _) in nodes.items()}
    affine = [name for name in nodes if type(nodes[name][0]) in _AFFINE]
    # The first of several affine layers in a row may follow a layer with
    # weights, and the last one may precede such a layer.
    for fold, names in ((_fold_back, affine), (_fold_forward, affine[::-1])):
        for name in names:
            if name in nodes and fold(name, nodes, arrays):
                before = _remove(name, nodes)
                output = before if output == name else output
    for name in affine:
        if name in nodes:
            _refuse(name, nodes)
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
    if type(model) is keras.Sequential and model.built:
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    graph.require_functional(model)
    # Without the calls of the layers in other models.
    model = keras.Model(model.inputs, model.outputs)
    configs = {each["name"]: each for each in graph.config_of(model)["layers"]}
    names: dict[str, str] = {}
    for layer in model.operations:
        if isinstance(layer, keras.layers.InputLayer):
            if source is None:
                nodes[layer.name] = [layer, []]
            names[layer.name] = source or layer.name
            continue
        config = configs[layer.name]
        is_model, is_inactive = (
            isinstance(layer, keras.Model),
            _is_inactive(config),
        )
        if is_model or is_inactive or type(layer) in _AFFINE:
            received = graph.inputs_of(config)
        else:
            received = graph.describe_layer(config)["inputs"]
        inputs = [names[each] for each in received]
        if is_model:
            names[layer.name] = _open(layer, inputs[0], nodes)
            continue
        if is_inactive:
            names[layer.name] = inputs[0]
            continue
        if layer.name in nodes:
            raise ValueError(
                "the layers of a model and of those nested in it must have "
                f"different names. Received: several layers {layer.name!r}"
            )
        if not isinstance(layer, keras.Layer):
            # The operation `a + b`.
            layer = keras.layers.Add(name=layer.name)
        nodes[layer.name] = [layer, inputs]
        names[layer.name] = layer.name
    return names[model.operations[-1].name]


def _is_inactive(config):
    """Return whether a layer of Keras returns its input at inference."""
    kind = config["class_name"]
    return config["module"] == "keras.layers" and (
        kind.startswith("Random") or kind in INACTIVE
    )


def _batch_normalization(layer):
    mean, variance = _float64(layer.moving_mean, layer.moving_variance)
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * _float64(layer.gamma)[0]
    offset = -mean * scale
    if layer.center:
        offset = offset + _float64(layer.beta)[0]
    # As it is broadcast to the inputs.
    ndim = layer.input_spec.ndim
    shape = (-1, *[1] * (ndim - 1 - layer.axis % ndim))
    return scale.reshape(shape), offset.reshape(shape)


def _normalization(layer):
    mean, variance = _float64(layer.mean, layer.variance)
    scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
    return (1 / scale, mean) if layer.invert else (scale, -mean * scale)


def _float64(*tensors):
    """Return arrays in float64, which Keras may have in bfloat16."""
    return [
        np.asarray(keras.ops.convert_to_numpy(each), "float64")
        for each in tensors
    ]


# Functions of affine layers that return the scale and offset of their inputs.
_AFFINE: dict[type, Any] = {
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.Normalization: _normalization,
    keras.layers.Rescaling: lambda layer: (layer.scale, layer.offset),
}


def _affine_of(layer, channels):
    """Return the scale and offset of each channel, or `None` for other axes."""
    found = []
    for each in _AFFINE[type(layer)](layer):
        each = np.asarray(each, "float64")
        while each.ndim and len(each) == 1:
            each = each[0]
        if each.shape not in ((), (channels,)):
            return None
        found.append(np.broadcast_to(each, channels))
    return found


def _fold_back(name, nodes, arrays):
    """Fold an affine layer into the layer before it, if possible."""
    layer, (before,) = nodes[name]
    producer = nodes[before][0]
    if (
        type(producer).__name__ not in WEIGHTED
        or producer.activation is not keras.activations.linear
        or _only_user(before, nodes) != name
    ):
        return False
    kernel, bias = _kernel_and_bias(arrays[before])
    affine = _affine_of(layer, kernel.shape[-1])
    if affine is None:
        return False
    scale, offset = affine
    arrays[before] = [kernel * scale, bias * scale + offset]
    return True


def _fold_forward(name, nodes, arrays):
    """Fold an affine layer into the layer after it, if possible."""
    after = _only_user(name, nodes)
    while after and isinstance(nodes[after][0], keras.layers.Dropout):
        after = _only_user(after, nodes)
    if not after or type(nodes[after][0]).__name__ not in WEIGHTED:
        return False
    kernel, bias = _kernel_and_bias(arrays[after])
    affine = _affine_of(nodes[name][0], kernel.shape[-2])
    # The offset would not reach the padded zeros.
    is_padded = getattr(nodes[after][0], "padding", "valid") != "valid"
    if affine is None or (is_padded and affine[1].any()):
        return False
    scale, offset = affine
    added = kernel * offset[:, np.newaxis]
    sums = added.sum(axis=tuple(range(kernel.ndim - 1)))
    arrays[after] = [kernel * scale[:, np.newaxis], bias + sums]
    return True


def _refuse(name, nodes):
    layer, (before,) = nodes[name]
    raise ValueError(
        f"layer {name!r} is a {type(layer).__name__}, which must be folded "
        "into a layer with weights: channel by channel, and directly after a "
        "convolution or dense layer without an activation, or directly before "
        "a dense layer or a convolution without padding. Received: one between "
        f"{before!r} and {_only_user(name, nodes)!r}. Apply it to the data "
        "instead, or move it."
    )


def _remove(name, nodes):
    """Remove a folded layer; return the name of the one before it."""
    before = nodes.pop(name)[1][0]
    for node in nodes.values():
        node[1] = [before if each == name else each for each in node[1]]
    return before


def _only_user(name, nodes):
    """Return the only layer that takes an output, or `None`."""
    users = [user for user, (_, inputs) in nodes.items() if name in inputs]
    return users[0] if len(users) == 1 else None


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
