"""Networks that round their activations as 8-bit integers would be.

The LiteRT converter turns them into networks of integers.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_squeezenet import flattening
from keras_squeezenet import graph
from keras_squeezenet import metadata
from keras_squeezenet import normalizations
from keras_squeezenet.export import activation_ranges

# LiteRT computes these together with the convolution before them.
FUSED = ("linear", "relu", "relu6")
# The ranges of outputs that LiteRT requires.
FIXED = {
    "log_softmax": (-255 / 16, 0.0),
    "sigmoid": (0.0, 255 / 256),
    "softmax": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
}
SEPARATED = "{}_activation"


def separate_activations(model: keras.Model) -> keras.Model:
    """Return a flat copy of a model that has what LiteRT quantizes as layers.

    A convolution or dense layer with an activation that is not in `FUSED`
    becomes two layers.
    """
    flat = flattening.flatten(model)
    description = graph.describe(flat)
    renamed: dict[str, str] = {}
    separated = []
    for layer in description["layers"]:
        layer["inputs"] = [
            renamed.get(each, each) for each in layer.get("inputs", ())
        ]
        separated.append(layer)
        activation = layer.get("activation", "linear")
        if layer["type"] in flattening.WEIGHTED and activation not in FUSED:
            layer["activation"] = "linear"
            renamed[layer["name"]] = SEPARATED.format(layer["name"])
            separated.append(
                {
                    "type": "Activation",
                    "name": renamed[layer["name"]],
                    "inputs": [layer["name"]],
                    "activation": activation,
                }
            )
    result = graph.build(keras, {**description, "layers": separated})
    result.set_weights(flat.get_weights())
    if found := metadata.of(flat):
        metadata.attach(result, found)
    return result


def rounding(
    model: keras.Model, ranges: dict[str, activation_ranges.Range]
) -> Callable[[dict, tf.Tensor], tf.Tensor]:
    """Return a function that rounds the output of a layer as LiteRT does.

    It takes the description of the layer, as `graph.describe` returns it, and
    the output. Photographs, with the normalization `"raw"`, are exact: they are
    integers. A softmax at the end is not rounded: as integers of 8 bits, most
    probabilities of many classes would be 0.

    Args:
        model: as `separate_activations` returns it.
        ranges: what `activation_ranges.measure` returned.
    """
    description = graph.describe(model)
    first, *_, last = description["layers"]
    exact = set(_fused(description))
    if _activation(last) == "softmax":
        exact.add(last["name"])
    found = metadata.of(model)
    if found and found.normalization == normalizations.RAW:
        ranges = {**ranges, first["name"]: (0.0, 255.0)}

    def rounded(layer, output):
        name, kind = layer["name"], layer["type"]
        if name in exact or kind in activation_ranges.SAME_SCALE:
            return output
        ends = FIXED.get(_activation(layer), ranges[name])
        return tf.quantization.fake_quant_with_min_max_args(output, *ends)

    return rounded


def function(
    model: keras.Model, ranges: dict[str, activation_ranges.Range]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function of a batch that computes with rounded activations.

    The arguments are those of `rounding`.
    """
    description = graph.describe(model)
    first, *_, last = description["layers"]
    rounded = rounding(model, ranges)

    def call(layer, *received):
        received = graph.only(received)
        if layer["name"] == last["name"] and _activation(layer) == "softmax":
            # The same result. The converter quantizes a softmax unless its
            # input is float32, as that of a difference without a range is. It
            # would leave out a difference with the maximum.
            received -= tf.reduce_min(received, axis=-1, keepdims=True)
        return rounded(layer, model.get_layer(layer["name"])(received))

    return lambda images: graph.run(description, rounded(first, images), call)


def _activation(layer):
    if layer["type"] in ("ReLU", "Softmax"):
        return layer["type"].lower()
    return layer.get("activation", "linear")


def _fused(description):
    """Yield the names of layers that are computed with the ReLU after them."""
    users: dict[str, list[dict]] = {}
    for layer in description["layers"]:
        for each in layer.get("inputs", ()):
            users.setdefault(each, []).append(layer)
    for layer in description["layers"]:
        after = users.get(layer["name"], [])
        if (
            layer["type"] in flattening.WEIGHTED
            and _activation(layer) == "linear"
            and len(after) == 1
            and _activation(after[0]) in ("relu", "relu6")
            and after[0]["type"] in ("Activation", "ReLU")
        ):
            yield layer["name"]
