"""The names of layers in imgclsmob's SqueezeNets, and those in the paper.

Its stages are what is between two poolings, and their units are Fire modules.
"""

import re
from collections.abc import Iterable

RENAMED = {
    "features/init_block/conv": "conv1",
    "output/final_conv": "conv10",
    "squeeze": "squeeze1x1",
}
_FIRE = re.compile(
    r"features/stage(\d+)/unit(\d+)/(squeeze|expand1x1|expand3x3)/conv"
)


def rename(names: Iterable[str]) -> dict[str, str]:
    """Return the paper's names of those layers that have imgclsmob's."""
    names = list(names)
    renamed = {name: RENAMED[name] for name in names if name in RENAMED}
    matches = [match for match in map(_FIRE.fullmatch, names) if match]
    units = sorted({_unit(match) for match in matches})
    for match in matches:
        fire = f"fire{units.index(_unit(match)) + 2}"
        renamed[match[0]] = f"{fire}_{RENAMED.get(match[3], match[3])}"
    return renamed


def _unit(match):
    return int(match[1]), int(match[2])
