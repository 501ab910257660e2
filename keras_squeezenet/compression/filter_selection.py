"""The choice of the filters to remove: the least distortion for a cost.

The distortion is that of the layers that take the outputs of a filter. Each of
them compensates for the missing inputs with its other weights, as well as the
Hessian allows (the Optimal Brain Surgeon, for all weights of an input at once).
Filters are removed one after the other, always the one with the least
distortion for the cost that it saves.

References:
- [Optimal Brain Surgeon](https://doi.org/10.1109/ICNN.1993.298572) (Hassibi et
  al., 1993)
- [ZipLM](https://arxiv.org/abs/2302.04089) (Kurtic et al., 2023): removal of
  structures by the Optimal Brain Surgeon for a target latency
"""

import math
from collections.abc import Mapping

import numpy as np

from keras_squeezenet.compression import filter_costs
from keras_squeezenet.compression.channels import Channels
from keras_squeezenet.packing.rate_distortion import Hessian

# Added to the diagonal of a Hessian, as a fraction of its mean.
DAMPING = 0.01
# A layer keeps at least so many filters.
MIN_FILTERS = 1


def select(
    channels: Channels,
    kernels: Mapping[str, np.ndarray],
    hessians: Mapping[str, Hessian],
    cost: filter_costs.Cost,
    budget: float,
) -> np.ndarray:
    """Remove channels until a network costs at most `budget`.

    Each layer keeps a filter, even if that costs more.

    Args:
        channels: of the network.
        kernels: `{layer: kernel}`.
        hessians: those of `packing.fisher.measure`.
        cost: of each layer by its channels, as `filter_costs` or
            `layer_latencies` give it.
        budget: in the unit of the cost.

    Returns:
        The channels that are kept, a bool array of shape `(channels,)`.
    """
    greedy = _Greedy(channels, kernels, hessians, cost)
    while greedy.cost > budget and greedy.remove_next():
        pass
    return greedy.kept


def least_cost(channels: Channels, cost: filter_costs.Cost) -> float:
    """Return the cost with one filter in each layer that can lose some."""
    kept = ~channels.removable
    for outputs in channels.outputs.values():
        if not kept[outputs].any():
            kept[outputs[0]] = True
    return filter_costs.total(cost, channels.counts(kept))


class _Greedy:
    def __init__(self, channels, kernels, hessians, cost):
        self.channels = channels
        self.cost_of = cost
        self.kept = np.full(len(channels.removable), True)
        self.counts = channels.counts(self.kept)
        self.consumers = {
            name: _Consumer(kernel, hessians[name])
            for name, kernel in kernels.items()
        }
        self.groups = _group(channels)
        # `{group: (ratio, number of channels)}`, while they are valid.
        self.found = {}

    @property
    def cost(self):
        return filter_costs.total(self.cost_of, self.counts)

    def remove_next(self):
        """Remove the best block of channels; return whether there was one."""
        for group in self.groups:
            if group not in self.found:
                self.found[group] = self._best_of(group)
        ratio, size, group = min(
            (*self.found[group], group) for group in self.groups
        )
        if math.isinf(ratio):
            return False
        for _ in range(size):
            self._remove_best_of(group)
        changed = {name for part in group for name, _ in part}
        self.counts = self.channels.counts(self.kept)
        self.found = {
            group: best
            for group, best in self.found.items()
            if changed.isdisjoint(name for part in group for name, _ in part)
        }
        return True

    def _best_of(self, group):
        """Return the least distortion by saved cost, and for how many."""
        producers, _ = group
        _, distortions = self._distortions(group)
        sums = np.cumsum(np.sort(distortions))
        most = min(
            (self.counts[name][1] - MIN_FILTERS) // uses
            for name, uses in producers
        )
        sizes = range(1, min(most, max(self.cost_of.blocks)) + 1)
        ratios = [
            (sums[size - 1] / saved, size)
            for size in sizes
            if (saved := self._saving(group, size)) > 0
        ]
        return min(ratios, default=(math.inf, 0))

    def _distortions(self, group):
        """Return the channels left of a group, and their distortions."""
        numbers = self.groups[group]
        numbers = numbers[self.kept[numbers]]
        distortions = np.zeros(len(self.kept))
        for name, _ in group[1]:
            inputs = self.channels.inputs[name]
            np.add.at(distortions, inputs, self.consumers[name].distortions)
        return numbers, distortions[numbers]

    def _saving(self, group, size):
        """Return what `size` channels of a group save."""
        fewer = {
            name: list(self.counts[name]) for part in group for name, _ in part
        }
        for axis, users in zip((1, 0), group):
            for name, uses in users:
                fewer[name][axis] -= size * uses
        return sum(
            self.cost_of.layer(name, *self.counts[name])
            - self.cost_of.layer(name, *count)
            for name, count in fewer.items()
        )

    def _remove_best_of(self, group):
        numbers, distortions = self._distortions(group)
        number = numbers[np.argmin(distortions)]
        self.kept[number] = False
        producers, consumers = group
        for name, _ in producers:
            outputs = self.channels.outputs[name]
            self.consumers[name].drop_outputs(outputs == number)
        for name, _ in consumers:
            for index in np.flatnonzero(self.channels.inputs[name] == number):
                self.consumers[name].remove(index)


def _group(channels):
    """Return `{(producers, consumers): numbers}` of the removable channels.

    Both are tuples of `(layer, times that it has the channel)`.
    """

    def users(arrays, number):
        counts = (
            (name, int((a == number).sum())) for name, a in arrays.items()
        )
        return tuple((name, count) for name, count in counts if count)

    groups = {}
    for number in np.flatnonzero(channels.removable):
        key = users(channels.outputs, number), users(channels.inputs, number)
        groups.setdefault(key, []).append(number)
    return {key: np.array(numbers) for key, numbers in groups.items()}


class _Consumer:
    """A layer whose weights compensate for missing inputs.

    Attributes:
        distortions: float64 array of shape `(inputs,)`, the distortion if one
            more input is removed; infinite for those that are removed.
    """

    def __init__(self, kernel, hessian):
        inputs, outputs = kernel.shape[-2:]
        # The weights of an input channel are `window` rows of the matrix.
        window = kernel.size // (inputs * outputs)
        self.rows = np.arange(window * inputs).reshape(window, inputs).T
        self.weights = kernel.reshape(-1, outputs).astype("float64")
        matrix = hessian.inputs
        damping = DAMPING * np.trace(matrix) / len(matrix)
        damped = matrix + max(damping, 1e-12) * np.eye(len(matrix))
        # The last row and column are the bias's, which compensates too.
        self.inverse = np.linalg.inv(damped)
        self.weights = np.vstack([self.weights, np.zeros(outputs)])
        self.scales = hessian.outputs.copy()
        self.removed = np.full(inputs, False)
        self._by_output = self._measure()

    @property
    def distortions(self):
        return np.where(self.removed, np.inf, self._by_output @ self.scales)

    def drop_outputs(self, which):
        """Leave out outputs, given by a bool array, that nothing takes."""
        self.scales[which] = 0

    def remove(self, index):
        """Remove an input, and compensate for it."""
        rows = self.rows[index]
        block = np.linalg.inv(self.inverse[np.ix_(rows, rows)])
        spread = self.inverse[:, rows] @ block
        self.weights -= spread @ self.weights[rows]
        self.inverse -= spread @ self.inverse[rows]
        # Rounding errors would grow.
        self.weights[rows] = 0
        self.inverse[rows] = 0
        self.inverse[:, rows] = 0
        self.removed[index] = True
        self._by_output = self._measure()

    def _measure(self):
        """Return the distortions of shape `(inputs, outputs)`."""
        found = np.zeros((len(self.rows), self.weights.shape[1]))
        left = self.rows[~self.removed]
        blocks = self.inverse[left[:, :, None], left[:, None, :]]
        weights = self.weights[left]
        # For so many outputs `inv` is much quicker than `solve`.
        products = weights * (np.linalg.inv(blocks) @ weights)
        found[~self.removed] = 0.5 * products.sum(axis=1)
        return found
