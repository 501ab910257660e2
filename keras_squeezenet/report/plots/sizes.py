"""Sizes, weights and accuracy of a compressed network."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import figure
from matplotlib import ticker
from matplotlib.axes import Axes

from keras_squeezenet.report import report_tables
from keras_squeezenet.report.plots import style

# The label, color and marker of each size.
COUNTS = {
    "bytes": ("as it is", style.GREY, "o"),
    "gzip_bytes": ("gzipped", style.BLUE, "s"),
    "huffman_bytes": ("Huffman size", style.ORANGE, "D"),
}


def stages_and_files(report: dict[str, Any]) -> figure.Figure:
    """Plot bytes and accuracy of every stage and file, one below the other."""
    rows = [*report["stages"], *report_tables.files(report)]
    drawn = figure.Figure(
        (style.WIDTH, 0.9 + 0.27 * len(rows)), layout="constrained"
    )
    left, right = drawn.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _draw_bytes(left, rows)
    left.set_yticks(np.arange(len(rows)), [row["name"] for row in rows])
    left.invert_yaxis()
    _draw_accuracies(right, [row["accuracy"] for row in rows])
    # Between the stages and the files.
    boundary = len(report["stages"]) - 0.5
    for axes in (left, right):
        axes.axhline(boundary, color=style.INK, linewidth=0.5)
        style.plain(axes, grid="x")
    style.legend_above(drawn, left, ncols=3)
    return drawn


def _draw_bytes(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    for key, (label, color, marker) in COUNTS.items():
        points = [
            (row[key], position)
            for position, row in enumerate(rows)
            if row.get(key)
        ]
        axes.plot(*zip(*points), marker, color=color, markersize=5, label=label)
    for position, row in enumerate(rows):
        counts = [row[key] for key in COUNTS if row.get(key)]
        axes.hlines(
            position,
            min(counts),
            max(counts),
            color=style.GREY,
            linewidth=1,
            zorder=0,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(style.in_bytes))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_xlabel("size (logarithmic)")


def _draw_accuracies(axes: Axes, accuracies: Sequence[float]) -> None:
    percents = [100 * accuracy for accuracy in accuracies]
    axes.plot(percents, range(len(percents)), "o", color=style.INK)
    for position, accuracy in enumerate(accuracies):
        axes.annotate(
            report_tables.percent(accuracy),
            (100 * accuracy, position),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    span = max(1, max(percents) - min(percents))
    # The numbers need room on the right.
    axes.set_xlim(min(percents) - 0.15 * span, max(percents) + 0.85 * span)
    axes.set_xlabel("accuracy (%)")


def layers(report: dict[str, Any]) -> figure.Figure:
    """Plot density and bits of every layer, with table 1 of the paper."""
    rows = report["layers"]
    positions = np.arange(len(rows))
    drawn = figure.Figure(
        (style.WIDTH, 0.9 + 0.17 * len(rows)), layout="constrained"
    )
    left, right = drawn.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    left.barh(
        positions,
        [100 * row["density"] for row in rows],
        color=style.SKY,
        label="this network",
    )
    paper = [
        (100 * row["paper_density"], position)
        for position, row in zip(positions, rows)
        if row["paper_density"] is not None
    ]
    if paper:
        left.plot(
            *zip(*paper),
            "D",
            color=style.ORANGE,
            markersize=4,
            label="the paper, table 1",
        )
    left.set_xlabel("density (%)")
    left.set_xlim(0, 108)
    left.set_yticks(positions, [row["name"] for row in rows])
    left.set_ylim(len(rows) - 0.4, -0.6)
    bits = [row["bits"] for row in rows]
    right.barh(positions, bits, color=style.GREY)
    for value, position, row in zip(bits, positions, rows):
        right.annotate(
            f"{row['distinct_values']:,}",
            (value, position),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    right.set_xlim(0, 1.7 * max(bits))
    right.xaxis.set_major_locator(ticker.MaxNLocator(3, integer=True))
    right.set_xlabel("bits per weight\n(number: distinct values)")
    for axes in (left, right):
        style.plain(axes)
        axes.tick_params(axis="y", labelsize=7)
    style.legend_above(drawn, left, ncols=2)
    return drawn


def histograms(report: dict[str, Any]) -> figure.Figure:
    """Plot the weights of every kernel before and after.

    The title has the share of zeros, whose bar would dwarf the others. Each
    histogram has its own scale, because few distinct values make high bars.
    """
    densities = {row["name"]: row["density"] for row in report["layers"]}
    rows = report["histograms"]
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    drawn = figure.Figure(
        (style.WIDTH, 0.9 * lines + 0.6), layout="constrained"
    )
    grid = drawn.subplots(lines, columns, squeeze=False).ravel()
    for axes, row in zip(grid, rows):
        edges, before, after = (
            np.array(row[part]) for part in ("edges", "before", "after")
        )
        zeros = round((1 - densities[row["name"]]) * after.sum())
        zero_bin = np.clip(np.searchsorted(edges, 0, "right") - 1, 0, None)
        after[min(zero_bin, len(after) - 1)] -= zeros
        axes.stairs(before, edges, fill=True, color=style.GREY, label="dense")
        scale = before.max() / max(1, after.max())
        axes.stairs(
            after * scale,
            edges,
            color=style.BLUE,
            linewidth=0.9,
            label="compressed, without zeros",
        )
        axes.set_ylim(0, 1.05 * max(1, before.max()))
        share = zeros / max(1, before.sum())
        axes.set_title(
            f"{row['name']}\n{report_tables.percent(share, 1)} zero",
            fontsize=6.5,
            pad=2,
        )
        axes.set_yticks([])
        axes.xaxis.set_major_locator(ticker.MaxNLocator(2))
        style.plain(axes)
        axes.tick_params(labelsize=6)
    for axes in grid[len(rows) :]:
        axes.set_axis_off()
    style.legend_above(drawn, grid[0], ncols=2)
    drawn.supxlabel("value of a weight", fontsize=8)
    return drawn


def pack(packing: Mapping[str, Any]) -> figure.Figure:
    """Plot the rate-distortion curve of packing.

    `packing` is the JSON of a `packing.PackResult`. With labels the accuracy is
    drawn beside the divergence, else the agreement.
    """
    drawn = figure.Figure((9, 3.6), layout="constrained")
    left, right = drawn.subplots(1, 2)
    _draw_curve(left, packing, "kl", 1)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(ticker.FuncFormatter(style.number))
    left.yaxis.set_minor_formatter(ticker.NullFormatter())
    left.set_ylabel("KL divergence of the outputs (nats)")
    left.legend(frameon=False, fontsize=8)
    if packing["accuracy"] is None:
        _draw_curve(right, packing, "agreement", 100)
        right.set_ylabel("agreement with the original (%)")
        return drawn
    _draw_curve(right, packing, "accuracy", 100)
    right.axhline(
        100 * packing["accuracy_before"],
        color=style.GREY,
        linestyle="--",
        label="before packing",
    )
    right.set_ylabel("accuracy (%)")
    right.legend(frameon=False, fontsize=8, loc="lower right")
    return drawn


def _draw_curve(
    axes: Axes, packing: Mapping[str, Any], key: str, factor: float
) -> None:
    """Draw a measurement of every file with its standard error, over bytes."""

    def draw(rows, **options):
        axes.errorbar(
            [row["bytes"] for row in rows],
            [factor * row[key] for row in rows],
            [factor * row[f"{key}_error"] for row in rows],
            elinewidth=1,
            **options,
        )

    points = [point for point in packing["curve"] if point["kl"] > 0]
    draw(points, color=style.BLUE, marker="o", markersize=3.5)
    alone = {"linestyle": "none", "markersize": 6}
    draw([packing], color=style.ORANGE, marker="D", label="this file", **alone)
    if packing["test"]:
        row = {**packing["test"], "bytes": packing["bytes"]}
        label = "this file, test set"
        draw([row], color=style.GREEN, marker="s", label=label, **alone)
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(style.in_bytes))
    axes.set_xlabel("size of the file")
    style.plain(axes, grid="both")
