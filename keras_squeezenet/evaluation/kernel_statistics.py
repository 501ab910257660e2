"""Density and distinct values of kernels."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True)
class KernelStatistics:
    """The density and the distinct values of one kernel, zero included."""

    shape: tuple[int, ...]
    # The share of weights that are not zero.
    density: float
    distinct: int
    # The largest number of distinct values in one output channel.
    distinct_per_channel: int
    # The length of a fixed-length code for one weight.
    bits: int

    @property
    def weights(self) -> int:
        return math.prod(self.shape)


def measure(kernel: np.ndarray) -> KernelStatistics:
    """Measure an array whose last axis is the output channels."""
    distinct = len(np.unique(kernel))
    channels = np.sort(kernel.reshape(-1, kernel.shape[-1]), axis=0)
    changes = np.count_nonzero(channels[1:] != channels[:-1], axis=0)
    return KernelStatistics(
        shape=kernel.shape,
        density=np.count_nonzero(kernel) / kernel.size,
        distinct=distinct,
        distinct_per_channel=int(changes.max()) + 1,
        bits=math.ceil(math.log2(distinct)) if distinct > 1 else 1,
    )


def overall_density(kernels: Mapping[str, np.ndarray]) -> float:
    """Return the density of all kernels together."""
    total = sum(kernel.size for kernel in kernels.values())
    return sum(map(np.count_nonzero, kernels.values())) / total
