"""Choose the ranges in which activations are quantized to 8 bits."""

from collections.abc import Callable
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import graph
from keras_squeezenet import layers

BATCH_SIZE = 32
BINS = 4096
# The number of steps in a range, and the shares of the extremes that are tried
# as its ends.
STEPS = 255
SHARES = np.linspace(0.3, 1, 71)
# LiteRT computes these with the scale of their inputs.
SAME_SCALE = (
    *("Concatenate", "Dropout", "GlobalMaxPooling2D", "MaxPooling2D"),
    "ZeroPadding2D",
)

Range: TypeAlias = tuple[float, float]
# A function of a histogram and of the range of its bins.
Choice: TypeAlias = Callable[[np.ndarray, float, float], Range]


def least_square_error(histogram: np.ndarray, low: float, high: float) -> Range:
    """Return the range whose rounding and clipping change the numbers least.

    Args:
        histogram: how many numbers are in each of the equal bins between `low`,
            at most 0, and `high`, at least 0.
    """
    width = (high - low) / len(histogram)
    middles = low + width * (np.arange(len(histogram)) + 0.5)

    def error(share):
        step = share * (high - low) / STEPS
        first = np.round(share * low / step)
        codes = np.clip(np.round(middles / step), first, first + STEPS)
        return histogram @ (codes * step - middles) ** 2

    share = min(SHARES, key=error)
    return float(share * low), float(share * high)


def extremes(histogram: np.ndarray, low: float, high: float) -> Range:
    """Return the whole range."""
    return low, high


def measure(
    model: keras.Model,
    images: np.ndarray,
    choose: Choice = least_square_error,
) -> dict[str, Range]:
    """Return `{layer name: range}` of the outputs of all layers.

    Layers that LiteRT computes with one scale share a range. Each one includes
    0 and has a positive length.

    Args:
        model: as `flattening.flatten` returns it.
        images: the images that the network takes, at least one.
        choose: how a range is chosen. Defaults to `least_square_error`.
    """
    description = graph.describe(model)
    owners = _owners(description)
    lows, highs = dict.fromkeys(owners, 0.0), dict.fromkeys(owners, 0.0)
    for found in _map(model, description, images, _extremes_of):
        for name, (low, high) in found.items():
            owner = owners[name]
            lows[owner] = min(lows[owner], float(low))
            highs[owner] = max(highs[owner], float(high))
    whole = {
        owner: (lows[owner], highs[owner])
        if lows[owner] < highs[owner]
        else (0.0, 1.0)
        for owner in owners.values()
    }
    histograms = dict.fromkeys(whole, np.zeros(BINS))
    kinds = {layer["name"]: layer["type"] for layer in description["layers"]}

    def count(name, output):
        if kinds[name] in SAME_SCALE:
            return None
        return tf.histogram_fixed_width(
            output, tf.constant(whole[owners[name]], tf.float32), BINS, tf.int64
        )

    for found in _map(model, description, images, count):
        for name, counts in found.items():
            owner = owners[name]
            histograms[owner] = histograms[owner] + counts.numpy()
    chosen = {
        owner: choose(histograms[owner], *ends) for owner, ends in whole.items()
    }
    return {name: chosen[owner] for name, owner in owners.items()}


def _owners(description):
    """Return the first of the layers that share a range, for each layer."""
    owners = {}
    for layer in description["layers"]:
        name = layer["name"]
        owners[name] = name
        if layer["type"] in SAME_SCALE:
            joined = {owners[each] for each in layer["inputs"]} | {name}
            first = next(each for each in owners if each in joined)
            for each, owner in owners.items():
                owners[each] = first if owner in joined else owner
    return owners


def _extremes_of(name, output):
    return tf.reduce_min(output), tf.reduce_max(output)


def _map(model, description, images, function):
    """Yield `{layer name: function(layer name, output)}` for each batch."""

    @tf.function(reduce_retracing=True)
    def run(batch):
        found = {}

        def call(layer, *received):
            output = batch
            if layer["type"] != layers.INPUT:
                output = model.get_layer(layer["name"])(graph.only(received))
            result = function(layer["name"], output)
            if result is not None:
                found[layer["name"]] = result
            return output

        graph.run(description, call(description["layers"][0]), call)
        return found

    for start in range(0, len(images), BATCH_SIZE):
        yield run(tf.constant(images[start : start + BATCH_SIZE], tf.float32))
