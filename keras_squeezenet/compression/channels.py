"""Which channels of a network can be removed, and which only together.

The outputs of a layer are the inputs of others, shifted by the concatenations
between them; an addition ties channels of several layers to each other.
"""

import dataclasses
from collections.abc import Collection
from collections.abc import Mapping

import numpy as np

from keras_squeezenet import graph
from keras_squeezenet import layers

# Activations whose outputs depend on all channels.
COUPLING = ("softmax", "log_softmax")


@dataclasses.dataclass(frozen=True)
class Channels:
    """The channels of a network, numbered from 0.

    Channels that only together can be removed have the same number.

    Attributes:
        outputs: `{layer: numbers}` of the output channels of the layers with a
            kernel, int arrays.
        inputs: the same of their input channels.
        removable: bool array of shape `(channels,)`: false for the inputs and
            the outputs of the network.
    """

    outputs: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    removable: np.ndarray

    def counts(self, kept: np.ndarray) -> dict[str, tuple[int, int]]:
        """Return the numbers of input and output channels that are kept.

        Args:
            kept: bool array of shape `(channels,)`.

        Returns:
            `{layer: (inputs, outputs)}`.
        """
        return {
            name: (
                int(kept[self.inputs[name]].sum()),
                int(kept[outputs].sum()),
            )
            for name, outputs in self.outputs.items()
        }


def trace(description: dict) -> Channels:
    """Follow the channels through a network that `graph.describe` describes."""
    ties = _Ties()
    outputs, inputs = {}, {}
    first = description["layers"][0]
    source = ties.new(first["shape"][-1])
    fixed = [source]
    vectors = set()

    def call(layer, *received):
        kind = layer["type"]
        if kind.startswith("Global") or vectors.intersection(layer["inputs"]):
            vectors.add(layer["name"])
        last_axis = 1 if layer["name"] in vectors else 3
        if layers.kernel_shape(layer, 1):
            found = ties.new(layers.kernel_shape(layer, 1)[-1])
            inputs[layer["name"]] = received[0]
            outputs[layer["name"]] = found
        elif kind == "Concatenate" and layer["axis"] in (-1, last_axis):
            found = np.concatenate(received)
        elif kind in layers.MERGES:
            found = ties.tie(*received)
        else:
            (found,) = received
        if kind == "Softmax" or layer.get("activation") in COUPLING:
            fixed.append(found)
        return found

    fixed.append(graph.run(description, source, call))
    numbers = ties.numbers()
    removable = np.full(numbers.max() + 1, True)
    removable[numbers[np.concatenate(fixed)]] = False
    return Channels(
        {name: numbers[found] for name, found in outputs.items()},
        {name: numbers[found] for name, found in inputs.items()},
        removable,
    )


def keep(channels: Channels, names: Collection[str]) -> None:
    """Make the channels that some layers have not removable."""
    for name in names:
        for found in (channels.outputs, channels.inputs):
            channels.removable[found.get(name, [])] = False


def remove(
    description: dict,
    weights: Mapping[str, list[np.ndarray]],
    channels: Channels,
    kept: np.ndarray,
) -> tuple[dict, dict[str, list[np.ndarray]]]:
    """Remove all channels but some from a network.

    Args:
        description: what `graph.describe` returns.
        weights: `{layer: [kernel, bias]}`, or without a bias.
        channels: of `trace`.
        kept: bool array of shape `(channels,)`.

    Returns:
        The description and the weights of the smaller network.
    """
    described = []
    for layer in description["layers"]:
        outputs = channels.outputs.get(layer["name"])
        if outputs is not None:
            size = "filters" if layer["type"] == "Conv2D" else "units"
            layer = {**layer, size: int(kept[outputs].sum())}
        described.append(layer)
    smaller = {}
    for name, (kernel, *bias) in weights.items():
        columns = kept[channels.outputs[name]]
        rows = kept[channels.inputs[name]]
        smaller[name] = [
            kernel[..., rows, :][..., columns],
            *(array[columns] for array in bias),
        ]
    return {**description, "layers": described}, smaller


class _Ties:
    """Numbers of channels, some of which are tied to each other."""

    def __init__(self):
        self.parents: list[int] = []

    def new(self, count):
        start = len(self.parents)
        self.parents += range(start, start + count)
        return np.arange(start, start + count)

    def tie(self, first, *others):
        """Tie arrays of channels, element by element; return one of them."""
        for other in others:
            for a, b in np.broadcast(first, other):
                self.parents[self._root(b)] = self._root(a)
        return max((first, *others), key=len)

    def _root(self, number):
        while self.parents[number] != number:
            number = self.parents[number]
        return number

    def numbers(self):
        """Return a number for each channel; tied ones have the same."""
        roots = [self._root(number) for number in range(len(self.parents))]
        return np.unique(roots, return_inverse=True)[1]
