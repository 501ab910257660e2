"""How an overall density or bit width is divided among the layers."""

import fnmatch
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_squeezenet import architecture
from keras_squeezenet.compression import checks

# A layer of lower density would be dead.
MIN_DENSITY = 0.02
DENSITIES = np.geomspace(MIN_DENSITY, 1, 200)
BISECTIONS = 100


def match(rules: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the value of each layer, that of the first pattern it matches.

    Every layer must match a pattern, and every pattern a layer of the network
    or at least of some SqueezeNet.
    """
    known = [
        layer.name
        for config in architecture.VARIANTS.values()
        for layer in architecture.convolutions(config)
    ]
    for pattern in rules:
        if not fnmatch.filter([*names, *known], pattern):
            raise ValueError(
                "every pattern must match one of the layers "
                f"{', '.join(names)}. Received: {pattern!r}"
            )
    found = {}
    for name in names:
        patterns = [
            pattern for pattern in rules if fnmatch.fnmatchcase(name, pattern)
        ]
        if not patterns:
            raise ValueError(
                "every layer must match a pattern. Received: "
                f"{', '.join(rules)}, none of which matches {name!r}. Add '*', "
                "which matches every layer."
            )
        found[name] = rules[patterns[0]]
    return found


def scale(
    densities: dict[str, float], kernels: dict[str, np.ndarray], overall: float
) -> dict[str, float]:
    """Scale the densities below 1 by one factor, at most 1, to an overall one.

    The layers of density 1 stay dense; they alone must not have more weights
    than `overall` allows.
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
    """Return the density of each layer under one threshold on the magnitudes.

    `density` is that of all kernels together. The `fixed` layers stay dense,
    and no other gets less than `MIN_DENSITY`.
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
                # TF-MOT does not take NumPy numbers.
                float(1 - np.searchsorted(values, threshold) / len(values)),
            )
            for name, values in magnitudes.items()
        }

    high = max((values[-1] for values in magnitudes.values()), default=0)
    found = _bisect(split, 0.0, float(high), sizes, budget)
    return dict.fromkeys(kernels, 1.0) | found


def split_density(
    scan: dict, density: float, fixed: Collection[str] = ()
) -> dict[str, float]:
    """Divide an overall density so that the outputs change least.

    The divergences that a scan (a dict of `SensitivityResult`) measured for
    single layers are assumed to add up. Their sum is least where one more
    weight reduces it equally in every layer. The `fixed` layers stay dense, and
    no other gets less than `MIN_DENSITY`.
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
    """Divide an average number of bits so that the outputs change least.

    All layers start with the most bits. Fewer go to the layer whose divergence
    rises least for each bit that its kernel saves, until the mean over all
    weights is at most `average_bits`. `scan` is a dict of `SensitivityResult`.
    """
    choices = sorted(choices, reverse=True)
    if average_bits < choices[-1]:
        raise ValueError(
            f"`average_bits` must be at least {choices[-1]}. Received: "
            f"average_bits={average_bits}"
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
    """Return how many weights the layers that are not fixed may keep."""
    total = sum(sizes.values())
    dense = sum(sizes[name] for name in fixed)
    low = (dense + least * (total - dense)) / total
    if density < low:
        raise checks.TargetError(
            f"the overall density must be at least {low:.2%}, since the "
            f"layers that stay dense have {dense:,} of {total:,} weights. "
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
    """Return the densities that meet a budget of weights.

    `split` is a function of a number to `{layer name: density}`, with fewer
    weights for a larger number: too many at `low`, few enough at `high`.
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
