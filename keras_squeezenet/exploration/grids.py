"""Sweeps over the metaparameters of SqueezeNet, in closed form.

A sweep is a dict of fields of `SqueezeNetConfig` to the values that they take,
in every combination; a grid is one sweep or a list of them.

Reference:
- [SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB
  model size](https://arxiv.org/abs/1602.07360) (Iandola et al., 2016),
  section 5
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from collections.abc import Sequence

from keras_squeezenet import architecture
from keras_squeezenet.utils.text import shortened
from keras_squeezenet.utils.text import shown

SQUEEZE_RATIOS = {"SR": [0.125, 0.25, 0.5, 0.75, 1.0], "pct_3x3": [0.5]}
SHARES_OF_3X3 = {
    "SR": [0.5],
    "pct_3x3": [0.01, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.99],
}
# Figures 3a and 3b of the paper, and both.
GRIDS = {
    "SR": SQUEEZE_RATIOS,
    "pct_3x3": SHARES_OF_3X3,
    "paper": [SQUEEZE_RATIOS, SHARES_OF_3X3],
}
FIELDS = tuple(
    field.name for field in dataclasses.fields(architecture.SqueezeNetConfig)
)
BYTES_OF_FLOAT32 = 4
MAX_POINTS = 10_000
MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Point:
    """A network of a grid.

    Args:
        name: str, the metaparameters that differ from the base network's, such
            as `"SR=0.5,pct_3x3=0.25"`, or `"base"`.
        config: `SqueezeNetConfig`.
    """

    name: str
    config: architecture.SqueezeNetConfig


def points(
    grid: Mapping | Sequence[Mapping],
    config: architecture.SqueezeNetConfig | str = "1.0",
) -> list[Point]:
    """Return the points of a grid, each once.

    Args:
        grid: dict of names of fields of `SqueezeNetConfig` to lists of
            values, or a list of such dicts.
        config: the base network, which sets all other fields.

    Returns:
        A list of `Point`, in the order of the grid; the last field of a dict
        varies fastest.

    Raises:
        ValueError: if the grid, or one of its points, is not valid.
    """
    base = architecture.get_config(config)
    sweeps = [grid] if isinstance(grid, Mapping) else grid
    if not isinstance(sweeps, list | tuple) or not sweeps:
        raise ValueError(
            "a grid must be a dict of metaparameters to lists of values, or "
            f"a list of such dicts. Received: {shown(grid)}"
        )
    lists = [_lists(sweep) for sweep in sweeps]
    count = sum(math.prod(map(len, values)) for values in lists)
    if count > MAX_POINTS:
        raise ValueError(
            f"a grid must have at most {MAX_POINTS:,} points. Received: "
            f"{count:,}"
        )
    configs = {
        _config(base, dict(zip(sweep, values))): None
        for sweep, choices in zip(sweeps, lists)
        for values in itertools.product(*choices)
    }
    return [Point(_name(config, base), config) for config in configs]


def _lists(sweep):
    if not isinstance(sweep, Mapping) or not sweep:
        raise ValueError(
            "a sweep must be a dict of metaparameters to lists of values. "
            f"Received: {shown(sweep)}"
        )
    unknown = [str(name) for name in sweep if name not in FIELDS]
    if unknown:
        raise ValueError(
            f"the metaparameters of a grid must be some of "
            f"{', '.join(FIELDS)}. Received: {shortened(', '.join(unknown))}"
        )
    for name, values in sweep.items():
        if not isinstance(values, list | tuple) or not values:
            raise ValueError(
                f"`{name}` must be a list of values. Received: "
                f"{name}={shown(values)}"
            )
    return sweep.values()


def _config(base, values):
    try:
        if isinstance(values.get("stem"), Mapping):
            values = {**values, "stem": architecture.Stem(**values["stem"])}
        return dataclasses.replace(base, **values)
    # The values may be out of range, of another type, or infinite.
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ValueError(
            f"the point {shortened(_text(values))} is not a network: {error}"
        ) from error


def _name(config, base):
    changes = {
        name: getattr(config, name)
        for name in FIELDS
        if getattr(config, name) != getattr(base, name)
    }
    return _text(changes) or "base"


def _text(values):
    return ",".join(f"{name}={value}" for name, value in values.items())


def sizes(
    points: list[Point], image_size: int = 227, classes: int = 1000
) -> list[dict]:
    """Return the parameters and operations of each point, without building it.

    Args:
        points: the points.
        image_size: the side of the square RGB images in pixels.
        classes: the number of classes.

    Returns:
        A list of a dict for each point: its `name`, every field of its
        config, `parameters`, `mib` (2**20 bytes of float32 weights) and
        `macs` (multiply-accumulates per image).

    Raises:
        ValueError: if the images are too small for a point.
    """
    return [_row(point, image_size, classes) for point in points]


def _row(point, image_size, classes):
    config = point.config
    smallest = architecture.min_side(config)
    if image_size < smallest:
        raise ValueError(
            f"`image_size` must be at least {smallest} for the point "
            f"{point.name}. Received: image_size={image_size}"
        )
    parameters = architecture.count_parameters(config, classes=classes)
    return {
        "name": point.name,
        **dataclasses.asdict(config),
        "pools": list(config.pools),
        "parameters": parameters,
        "mib": parameters * BYTES_OF_FLOAT32 / MIB,
        "macs": architecture.count_macs(config, image_size, classes=classes),
    }


def varied(rows: list[dict]) -> list[str]:
    """Return the names of the fields whose values differ between rows."""
    return [
        name
        for name in FIELDS
        if any(row[name] != rows[0][name] for row in rows)
    ]
