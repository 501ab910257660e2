"""The networks of a sweep over the metaparameters."""

from matplotlib import figure

from keras_squeezenet.report.plots import style

# Where values are written beside a point, of two lines that cross in it.
SIDES = (
    {"xytext": (-4, 4), "ha": "right"},
    {"xytext": (5, -9), "ha": "left"},
)


def exploration(points, fields):
    """Accuracy of networks against their size and their work.

    Args:
        points: list of dicts of `mib`, `macs`, `test_accuracy`, which may be
            `None`, and of each field.
        fields: names of the metaparameters that vary. Points that differ in
            one of them only are joined by a line.
    """
    drawn = figure.Figure((9, 4.6), layout="constrained")
    panels = drawn.subplots(1, 2, sharey=True)
    measured = [point for point in points if point["test_accuracy"] is not None]
    for axes, key, unit, label in (
        (panels[0], "mib", 1, "MiB of float32 weights"),
        (panels[1], "macs", 1e6, "million multiply-accumulates of an image"),
    ):

        def place(point, key=key, unit=unit):
            return point[key] / unit, 100 * point["test_accuracy"]

        # Of a point that no line goes through, too.
        axes.plot(
            *zip(*map(place, measured)), "o", color=style.GREY, markersize=4
        )
        for index, field in enumerate(fields):
            for line in _lines(measured, field, fields):
                _draw_line(axes, line, field, index, place)
        axes.set_xlabel(label)
        axes.margins(0.12)
        style.plain(axes)
        style.grid(axes)
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


def _lines(points, field, fields):
    """Yields the points that have the same values of the other fields."""
    lines = {}
    for point in points:
        others = tuple(str(point[name]) for name in fields if name != field)
        lines.setdefault(others, []).append(point)
    for line in lines.values():
        if len(line) > 1:
            yield sorted(line, key=lambda point: (point["mib"], point["macs"]))


def _draw_line(axes, line, field, index, place):
    color = style.HIGHLIGHTS[index % len(style.HIGHLIGHTS)]
    places = list(map(place, line))
    axes.plot(*zip(*places), color=color, marker="o", markersize=4, label=field)
    for point, found in zip(line, places):
        axes.annotate(
            style.short(str(point[field])),
            found,
            textcoords="offset points",
            fontsize=7,
            color=color,
            **SIDES[index % 2],
        )
