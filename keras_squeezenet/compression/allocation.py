"""Allocation of densities and bits to the layers."""

import fnmatch
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_squeezenet import architecture

# A layer of a lower density would be dead.
MIN_DENSITY = 0.02
DENSITIES = np.geomspace(MIN_DENSITY, 1, 200)
BISECTIONS = 100


def match(rules: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the value of each layer by rules.

    Args:
        rules: dict of patterns, as `fnmatch` takes them, to values. The first
            pattern that matches a name counts.
        names: list of layer names.

    Returns:
        A dict of layer name to value.

    Raises:
        ValueError: if a layer is matched by no pattern, or a pattern matches
            neither a layer nor one that any SqueezeNet has.
    """
    for pattern in rules:
        if not any(map(_matcher(pattern), {*names, *_known_layers()})):
            raise ValueError(
                f"every pattern must match a layer: {', '.join(names)}. "
                f"Received: {pattern!r}"
            )
    found = {}
    for name in names:
        patterns = [pattern for pattern in rules if _matcher(pattern)(name)]
        if not patterns:
            raise ValueError(
                "every layer must be matched by a pattern; '*' matches all. "
                f"Received: {', '.join(rules)}, which do not match {name!r}"
            )
        found[name] = rules[patterns[0]]
    return found


def _matcher(pattern):
    return lambda name: fnmatch.fnmatchcase(name, pattern)


def _known_layers():
    return [
        layer.name
        for config in architecture.VARIANTS.values()
        for layer in architecture.convolutions(config)
    ]


def scale(
    densities: dict[str, float], kernels: dict[str, np.ndarray], overall: float
) -> dict[str, float]:
    """Scale the densities below 1 by one factor, which is at most 1.

    Args:
        densities: dict of layer name to density.
        kernels: dict of layer name to kernel.
        overall: float, an upper bound of the density of all kernels together.

    Raises:
        ValueError: if the dense layers alone have more weights.
    """
    sizes = {name: kernel.size for name, kernel in kernels.items()}
    fixed = [name for name, density in densities.items() if density == 1]
    budget = _budget(sizes, overall, fixed, least=0)
    weights = sum(
        sizes[name] * density
        for name, density in densities.items()
        if name not in fixed
    )
    factor = min(1, budget / weights) if weights else 1
    return {
        name: density if name in fixed else density * factor
        for name, density in densities.items()
    }


def global_threshold(
    kernels: dict[str, np.ndarray], density: float, fixed: Collection[str] = ()
) -> dict[str, float]:
    """Return the density of each layer above one magnitude for all.

    Args:
        kernels: dict of layer name to kernel.
        density: float, of all kernels together.
        fixed: names of the layers that stay dense. Defaults to none.

    Returns:
        A dict of layer name to density, at least `MIN_DENSITY`.

    Raises:
        ValueError: if the density is out of reach.
    """
    sizes = {name: kernel.size for name, kernel in kernels.items()}
    budget = _budget(sizes, density, fixed)
    magnitudes = {
        name: np.sort(np.abs(kernel), axis=None)
        for name, kernel in kernels.items()
        if name not in fixed
    }

    def split(threshold):
        return {
            name: max(
                MIN_DENSITY,
                1 - np.searchsorted(values, threshold) / len(values),
            )
            for name, values in magnitudes.items()
        }

    high = max((values[-1] for values in magnitudes.values()), default=0)
    found = _bisect(split, 0.0, float(high), sizes, budget)
    return dict.fromkeys(kernels, 1.0) | found


def split_density(
    scan: dict, density: float, fixed: Collection[str] = ()
) -> dict[str, float]:
    """Split an overall density so that the outputs change least.

    The divergences that a scan measured for single layers are assumed to add
    up. Their sum is least where one more weight reduces it equally in every
    layer.

    Args:
        scan: dict of `SensitivityResult`.
        density: float, of all the scanned kernels together.
        fixed: names of the layers that stay dense. Defaults to none.

    Returns:
        A dict of layer name to density, at least `MIN_DENSITY`.

    Raises:
        ValueError: if the density is out of reach.
    """
    layers = {layer["name"]: layer for layer in scan["layers"]}
    sizes = {name: layer["weights"] for name, layer in layers.items()}
    budget = _budget(sizes, density, fixed)
    costs = {
        name: _cost_of_density(layer)
        for name, layer in layers.items()
        if name not in fixed
    }

    def split(price):
        return {
            name: DENSITIES[np.argmin(cost + price * sizes[name] * DENSITIES)]
            for name, cost in costs.items()
        }

    high = max(
        (np.ptp(cost) / sizes[name] for name, cost in costs.items()), default=0
    )
    steepest = float(high) / np.diff(DENSITIES).min() + 1e-12
    found = _bisect(split, 0.0, steepest, sizes, budget)
    return dict.fromkeys(layers, 1.0) | {
        name: float(value) for name, value in found.items()
    }


def split_bits(
    scan: dict, average_bits: float, choices: Sequence[int] = (8, 6, 5, 4)
) -> dict[str, int]:
    """Split an average number of bits so that the outputs change least.

    All layers begin with the most bits. The layer that loses the least
    divergence for each bit of its kernel gets fewer, until the average is
    reached.

    Args:
        scan: dict of `SensitivityResult`.
        average_bits: float, an upper bound of the mean over the weights of all
            scanned kernels.
        choices: the numbers of bits to choose from. Defaults to
            `(8, 6, 5, 4)`.

    Returns:
        A dict of layer name to int.

    Raises:
        ValueError: if it is below the least of the choices.
    """
    choices = sorted(choices, reverse=True)
    if average_bits < choices[-1]:
        raise ValueError(
            f"the average must be at least {choices[-1]} bits. "
            f"Received: average_bits={average_bits}"
        )
    layers = {layer["name"]: layer for layer in scan["layers"]}
    costs = {
        name: {row["bits"]: row["kl"] for row in layer["bits"]}
        for name, layer in layers.items()
    }
    levels = dict.fromkeys(layers, 0)
    total = sum(layer["weights"] for layer in layers.values())

    def used():
        return sum(
            choices[level] * layers[name]["weights"]
            for name, level in levels.items()
        )

    def price(name):
        more, fewer = choices[levels[name]], choices[levels[name] + 1]
        cost = costs[name][fewer] - costs[name][more]
        return max(cost, 0) / ((more - fewer) * layers[name]["weights"])

    while used() > average_bits * total:
        open_layers = [
            name for name, level in levels.items() if level + 1 < len(choices)
        ]
        levels[min(open_layers, key=price)] += 1
    return {name: choices[level] for name, level in levels.items()}


def _budget(sizes, density, fixed, least=MIN_DENSITY):
    """Return the number of weights of all layers that are not fixed."""
    total = sum(sizes.values())
    dense = sum(sizes[name] for name in fixed)
    low = (dense + least * (total - dense)) / total
    if density < low:
        raise ValueError(
            f"the overall density must be at least {low:.2%}: the layers "
            f"that stay dense have {dense:,} of {total:,} weights. "
            f"Received: {density:.2%}"
        )
    return density * total - dense


def _cost_of_density(layer):
    """Return the divergence at each of `DENSITIES`, made monotonic."""
    rows = sorted(layer["densities"], key=lambda row: row["density"])
    measured = [row["density"] for row in rows] + [1.0]
    costs = np.array([row["kl"] for row in rows] + [0.0])
    costs = np.maximum.accumulate(costs[::-1])[::-1]
    # Extrapolate below the lowest density that was measured.
    slope = (costs[0] - costs[1]) / (measured[1] - measured[0])
    return np.where(
        DENSITIES < measured[0],
        costs[0] + slope * (measured[0] - DENSITIES),
        np.interp(DENSITIES, measured, costs),
    )


def _bisect(split, low, high, sizes, budget):
    """Return the split that stays within a budget of weights.

    Args:
        split: function of a number to `{layer name: density}`, with fewer
            weights for a larger number.
        low: float, a number with too many weights, or just enough.
        high: float, a number with few enough.
        sizes: dict of layer name to number of weights.
        budget: float, the number of weights.
    """

    def weights(densities):
        return sum(sizes[name] * share for name, share in densities.items())

    if weights(split(low)) <= budget:
        return split(low)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if weights(split(middle)) <= budget:
            high = middle
        else:
            low = middle
    more, fewer = split(low), split(high)
    # Interpolate where the weights jump at a number.
    part = (budget - weights(fewer)) / (weights(more) - weights(fewer))
    return {
        name: share + part * (more[name] - share)
        for name, share in fewer.items()
    }
