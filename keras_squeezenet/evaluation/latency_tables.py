"""Latencies of layers by their numbers of channels, interpolated."""

import bisect
import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Table:
    """Latencies of one layer by its numbers of channels.

    Attributes:
        inputs, outputs: numbers of channels, ascending.
        milliseconds: a row for each number of inputs, and in it the latency for
            each number of outputs; ascending along both.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    milliseconds: tuple[tuple[float, ...], ...]

    def at(self, in_channels: int, out_channels: int) -> float:
        """Return the latency in milliseconds, interpolated linearly.

        Below the smallest numbers it is theirs, beyond the largest it rises as
        before them.
        """
        return _interpolate(
            self.inputs,
            [
                _interpolate(self.outputs, row, out_channels)
                for row in self.milliseconds
            ],
            in_channels,
        )


@dataclasses.dataclass(frozen=True)
class LayerLatencies:
    """The latency of every layer with a kernel, by its channels.

    Attributes:
        runtime: the name of the format, one of `formats.LATENCY_RUNTIMES`.
        rest: what a call takes with any layers, in milliseconds. The time of
            pooling, concatenation and the like is that of the measured network
            which neither this nor a layer with a kernel takes. The layers with
            kernels have shares of it, in proportion to their outputs.
        blocks: the sizes of the blocks of input and of output channels that the
            runtime computes at once. A layer whose last block is not full takes
            as long as if it were.
        tables: by the name of the layer.
    """

    runtime: str
    rest: float
    blocks: tuple[int, int]
    tables: Mapping[str, Table]

    def layer(self, name: str, in_channels: int, out_channels: int) -> float:
        """Return the latency of a layer in milliseconds.

        It does not fall where one of the channels rises.

        Args:
            name: the name of a layer of the network that was measured.
            in_channels, out_channels: the numbers of its channels.
        """
        counts = in_channels, out_channels
        return self.tables[name].at(*map(ceil, counts, self.blocks))

    def network(self, channels: Mapping[str, tuple[int, int]]) -> float:
        """Return the latency of a network in milliseconds.

        Args:
            channels: the numbers of input and output channels of its layers
                with kernels, as `channels_of` returns them.
        """
        return self.rest + sum(
            self.layer(name, *counts) for name, counts in channels.items()
        )


def ceil(count: int, block: int) -> int:
    """Return a number rounded up to a multiple of a block."""
    return -(-count // block) * block


def _interpolate(points, values, at):
    if len(points) == 1 or at <= points[0]:
        return values[0]
    high = min(bisect.bisect_left(points, at), len(points) - 1)
    rise = max(0.0, values[high] - values[high - 1])
    share = (at - points[high - 1]) / (points[high] - points[high - 1])
    return values[high - 1] + share * rise
