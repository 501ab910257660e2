"""What compression does to a kernel, measured: its zeros and its values."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class KernelStatistics:
    """What was measured on one kernel.

    `density` is the share of weights that are not zero, `distinct` counts the
    distinct values, zero included, `distinct_per_channel` is the largest such
    count within one output channel, and `bits` is what a code of fixed length
    for one weight takes.
    """

    shape: tuple[int, ...]
    density: float
    distinct: int
    distinct_per_channel: int
    bits: int

    @property
    def weights(self):
        """The number of weights, zeros included."""
        return math.prod(self.shape)


def measure(kernel):
    """Returns the `KernelStatistics` of an array, output channels last."""
    distinct = len(np.unique(kernel))
    return KernelStatistics(
        shape=kernel.shape,
        density=np.count_nonzero(kernel) / kernel.size,
        distinct=distinct,
        distinct_per_channel=max(
            len(np.unique(channel))
            for channel in kernel.reshape(-1, kernel.shape[-1]).T
        ),
        bits=math.ceil(math.log2(distinct)) if distinct > 1 else 1,
    )


def overall_density(kernels):
    """Returns the density over all the kernels of `{layer name: kernel}`."""
    total = sum(kernel.size for kernel in kernels.values())
    return sum(map(np.count_nonzero, kernels.values())) / total
