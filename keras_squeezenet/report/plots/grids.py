"""The networks of a sweep over the metaparameters."""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from matplotlib import figure
from matplotlib.axes import Axes

from keras_squeezenet.report.plots import style

# Positions of labels: at a point of two lines, both labels fit.
SIDES = (
    {"xytext": (-4, 4), "ha": "right"},
    {"xytext": (5, -9), "ha": "left"},
)


def exploration(
    points: Sequence[dict[str, Any]], fields: Sequence[str]
) -> figure.Figure:
    """Plot the accuracy of networks against their size and their cost.

    Args:
        points: dicts of `mib`, `macs`, `test_accuracy` (or `None`) and each
            of `fields`.
        fields: names of the metaparameters that vary. A line joins points
            that differ in only one of them.
    """
    drawn = figure.Figure((9, 4.6), layout="constrained")
    panels = drawn.subplots(1, 2, sharey=True)
    measured = [point for point in points if point["test_accuracy"] is not None]
    for axes, key, unit, label in (
        (panels[0], "mib", 1, "MiB of float32 weights"),
        (panels[1], "macs", 1e6, "million multiply-accumulates per image"),
    ):
        placed = [
            {
                **point,
                "place": (point[key] / unit, 100 * point["test_accuracy"]),
            }
            for point in measured
        ]
        # Some points do not belong to any line.
        places = [point["place"] for point in placed]
        axes.plot(*zip(*places), "o", color=style.GREY, markersize=4)
        for index, field in enumerate(fields):
            for line in _lines(placed, field, fields):
                _draw_line(axes, line, field, index)
        axes.set_xlabel(label)
        axes.margins(0.12)
        style.plain(axes, grid="both")
    panels[0].set_ylabel("test accuracy (%)")
    handles, names = panels[0].get_legend_handles_labels()
    by_name = dict(zip(names, handles))
    if by_name:
        drawn.legend(
            by_name.values(),
            by_name,
            loc="outside lower center",
            ncols=len(by_name),
            fontsize=9,
            frameon=False,
        )
    return drawn


def _lines(
    points: Sequence[dict[str, Any]], field: str, fields: Sequence[str]
) -> Iterator[list[dict[str, Any]]]:
    """Yield lists of points that differ in one field only."""
    lines = {}
    for point in points:
        others = tuple(str(point[name]) for name in fields if name != field)
        lines.setdefault(others, []).append(point)
    for line in lines.values():
        if len(line) > 1:
            yield sorted(line, key=lambda point: (point["mib"], point["macs"]))


def _draw_line(
    axes: Axes, line: Sequence[dict[str, Any]], field: str, index: int
) -> None:
    color = style.HIGHLIGHTS[index % len(style.HIGHLIGHTS)]
    places = [point["place"] for point in line]
    axes.plot(*zip(*places), color=color, marker="o", markersize=4, label=field)
    for point in line:
        axes.annotate(
            style.short(str(point[field])),
            point["place"],
            textcoords="offset points",
            fontsize=7,
            color=color,
            **SIDES[index % 2],
        )
