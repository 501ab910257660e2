"""What the plots have in common."""

from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Wong's palette, which color-blind readers can tell apart.
INK = "#333333"
GREY = "#b8b8b8"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
SKY = "#56b4e9"
HIGHLIGHTS = (ORANGE, BLUE, GREEN, PURPLE, SKY)
# Inches. The plots of a report fit a telephone and half of a page.
WIDTH = 4.4
NAME_LENGTH = 18


def plain(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_size(9)
    axes.yaxis.label.set_size(9)


def grid(axes: "Axes", axis: str = "both") -> None:
    # Transparent, so that it is seen on a dark page too.
    axes.grid(axis=axis, color=INK, alpha=0.12)
    axes.set_axisbelow(True)


def legend_above(
    drawn: "Figure", axes: "Axes", ncols: int, **options: Any
) -> None:
    drawn.legend(
        *axes.get_legend_handles_labels(),
        loc="outside upper center",
        ncols=ncols,
        frameon=False,
        fontsize=8,
        handlelength=1.5,
        columnspacing=1.2,
        **options,
    )


def short(name: str) -> str:
    """Return a name that fits, and that matplotlib does not read as TeX."""
    if len(name) > NAME_LENGTH:
        name = f"{name[: NAME_LENGTH - 1]}…"
    return name.replace("$", r"\$")


def number(value: float, position: int | None) -> str:
    return f"{value:g}"


def in_bytes(value: float, position: int | None) -> str:
    """Return `20 kB`: decimal units, as the MB of the paper."""
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"
