"""What a network costs, as a sum over layers of functions of their channels."""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Mapping
from typing import Protocol

import keras
import numpy as np

from keras_squeezenet import graph
from keras_squeezenet import layers
from keras_squeezenet.compression import channels


class Cost(Protocol):
    """The cost of a network; `evaluation.layer_latencies` measures another.

    Attributes:
        rest: the part of the cost that no layer with a kernel has.
        blocks: the sizes of the blocks of input and of output channels between
            which the cost of a layer changes.
    """

    @property
    def rest(self) -> float: ...
    @property
    def blocks(self) -> tuple[int, int]: ...

    def layer(self, name: str, in_channels: int, out_channels: int) -> float:
        """Return the cost of a layer with so many channels."""
        ...


@dataclasses.dataclass(frozen=True)
class CountedCost:
    """A `Cost` that is a function of a layer and its channels."""

    layer: Callable[[str, int, int], float]
    rest: float = 0.0
    blocks: tuple[int, int] = (1, 1)


def macs(description: dict) -> Cost:
    """Return the multiply-accumulates of layers, for one image."""
    sizes = _sizes(description)

    def layer(name, in_channels, out_channels):
        return math.prod(sizes[name]) * in_channels * out_channels

    return CountedCost(layer)


def parameters(description: dict) -> Cost:
    """Return the numbers of weights and biases of layers."""
    sizes = _sizes(description)

    def layer(name, in_channels, out_channels):
        return (sizes[name][1] * in_channels + 1) * out_channels

    return CountedCost(layer)


def total(cost: Cost, counts: Mapping[str, tuple[int, int]]) -> float:
    """Return the cost of a network, from `{layer: (inputs, outputs)}`."""
    return cost.rest + sum(
        cost.layer(name, *channels) for name, channels in counts.items()
    )


def count_macs(model: keras.Model) -> int:
    """Return the multiply-accumulates of a network for one image."""
    description = graph.describe(model)
    traced = channels.trace(description)
    counts = traced.counts(np.full(len(traced.removable), True))
    return int(total(macs(description), counts))


def _sizes(description):
    """Return the positions of each layer's output, and its window's size."""
    first = description["layers"][0]
    found = {}

    def call(layer, *shapes):
        shape = layers.output_shape(layer, shapes)
        kernel = layers.kernel_shape(layer, 1)
        if kernel:
            # The last two axes are those of the channels.
            window = math.prod(kernel[:-2])
            found[layer["name"]] = math.prod(shape[:-1]), window
        return shape

    graph.run(description, layers.input_shape(first["shape"]), call)
    return found
