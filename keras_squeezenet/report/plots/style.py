"""Colors, sizes and helpers that the plots share."""

from matplotlib import figure
from matplotlib.axes import Axes

from keras_squeezenet.utils.text import one_line

# Wong's palette, whose colors color-blind readers can distinguish.
INK = "#333333"
GREY = "#b8b8b8"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
SKY = "#56b4e9"
HIGHLIGHTS = (ORANGE, BLUE, GREEN, PURPLE, SKY)
# In inches: plots fit a telephone, or half the width of a page.
WIDTH = 4.4
NAME_LENGTH = 18


def plain(axes: Axes, grid: str | None = None) -> None:
    """Remove the frame, and draw grid lines along `x`, `y` or `both`."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_size(9)
    axes.yaxis.label.set_size(9)
    if grid:
        # Transparent, so that it is visible on a dark page too.
        axes.grid(axis=grid, color=INK, alpha=0.12)
        axes.set_axisbelow(True)


def legend_above(drawn: figure.Figure, axes: Axes, ncols: int) -> None:
    handles, names = axes.get_legend_handles_labels()
    legend(drawn, handles, names, ncols, "outside upper center")


def legend(
    drawn: figure.Figure, handles: list, names: list, ncols: int, loc: str
) -> None:
    drawn.legend(
        handles,
        names,
        loc=loc,
        ncols=ncols,
        frameon=False,
        fontsize=8,
        handlelength=1.5,
        columnspacing=1.2,
    )


def short(name: str) -> str:
    """Return a name shortened, and escaped for matplotlib's TeX."""
    name = one_line(name)
    if len(name) > NAME_LENGTH:
        name = f"{name[: NAME_LENGTH - 1]}…"
    return name.replace("$", r"\$")


def number(value: float, position: int | None) -> str:
    return f"{value:g}"


def in_bytes(value: float, position: int | None) -> str:
    """Return a size such as `20 kB`, in decimal units as in the paper."""
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"
