"""Bytes, weights and accuracy of a network that was made smaller."""

import numpy as np
from matplotlib import figure
from matplotlib import ticker

from keras_squeezenet.report.plots import style


def sizes(report):
    """Bytes and accuracy of every stage and file, one below the other."""
    rows = [
        (
            stage["name"],
            {
                "float32": stage["bytes"],
                "gzipped": stage["gzip_bytes"],
                "Huffman": stage["huffman_bytes"],
            },
            stage["accuracy"],
        )
        for stage in report["stages"]
    ] + [
        (
            file["name"],
            {"float32": file["bytes"], "gzipped": file["gzip_bytes"]},
            file["accuracy"],
        )
        for file in report["files"]
    ]
    drawn = figure.Figure((9, 1.4 + 0.42 * len(rows)), layout="constrained")
    left, right = drawn.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    _draw_bytes(left, [found for _, found, _ in rows])
    left.set_yticks(np.arange(len(rows)), [name for name, _, _ in rows])
    left.invert_yaxis()
    _draw_accuracies(right, [accuracy for _, _, accuracy in rows])
    for axes in (left, right):
        # Between the stages and the files.
        between = len(report["stages"]) - 0.5
        axes.axhline(between, color=style.INK, linewidth=0.5)
        style.plain(axes)
        style.grid(axes, axis="x")
    return drawn


def _draw_bytes(axes, rows):
    looks = {
        "float32": ("as it is", style.GREY, "o"),
        "gzipped": ("gzipped", style.BLUE, "s"),
        "Huffman": ("as Deep Compression counts", style.ORANGE, "D"),
    }
    for kind, (label, color, marker) in looks.items():
        found = [
            (sizes[kind], place)
            for place, sizes in enumerate(rows)
            if kind in sizes
        ]
        axes.plot(*zip(*found), marker, color=color, label=label)
    for place, found in enumerate(rows):
        axes.hlines(
            place,
            min(found.values()),
            max(found.values()),
            color=style.GREY,
            linewidth=1,
            zorder=0,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(style.in_bytes))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_xlabel("bytes (logarithmic)")
    style.legend_above(axes, ncols=3)


def _draw_accuracies(axes, accuracies):
    percent = [100 * accuracy for accuracy in accuracies]
    axes.plot(percent, range(len(percent)), "o", color=style.INK)
    for place, value in enumerate(percent):
        axes.annotate(
            f"{value:.2f}%",
            (value, place),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    low, high = min(percent), max(percent)
    margin = max(0.5, 0.25 * (high - low))
    axes.set_xlim(low - margin, high + margin)
    axes.set_xlabel("accuracy (%)")


def layers(report):
    """Density and bits of every layer, beside the paper's table 1."""
    rows = report["layers"]
    places = np.arange(len(rows))
    drawn = figure.Figure((9, 1.2 + 0.24 * len(rows)), layout="constrained")
    left, right = drawn.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    left.barh(
        places,
        [100 * row["density"] for row in rows],
        color=style.SKY,
        label="measured",
    )
    paper = [
        (100 * row["paper_density"], place)
        for place, row in zip(places, rows)
        if row["paper_density"] is not None
    ]
    if paper:
        left.plot(
            *zip(*paper),
            "D",
            color=style.ORANGE,
            markersize=5,
            label="the paper",
        )
    left.set_xlabel("density (%)")
    left.set_xlim(0, 104)
    left.set_yticks(places, [row["name"] for row in rows], fontsize=8)
    left.set_ylim(len(rows) - 0.4, -0.6)
    style.legend_above(left, ncols=2)
    bits = [row["bits"] for row in rows]
    right.barh(places, bits, color=style.GREY)
    for value, place, row in zip(bits, places, rows):
        right.annotate(
            f"{value}  ({row['distinct_values']:,} values)",
            (value, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    right.set_xlim(0, 1.8 * max(bits))
    right.set_xlabel("bits of a code")
    for axes in (left, right):
        axes.margins(y=0.01)
        style.plain(axes)
    return drawn


def histograms(report):
    """What the weights of every kernel were, and what they are.

    The weights that are zero now are counted in words: as a bar they would
    dwarf the others. Few values make high bars: the two curves have scales of
    their own.
    """
    densities = {row["name"]: row["density"] for row in report["layers"]}
    rows = report["histograms"]
    columns = min(5, len(rows))
    lines = -(-len(rows) // columns)
    drawn = figure.Figure((9, 1.35 * lines + 0.6), layout="constrained")
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
        axes.set_title(f"{row['name']}, {share:.0%} zero", fontsize=7, pad=2)
        axes.set_yticks([])
        axes.tick_params(labelsize=6)
        axes.xaxis.set_major_locator(ticker.MaxNLocator(3))
        style.plain(axes)
    for axes in grid[len(rows) :]:
        axes.set_axis_off()
    drawn.legend(
        *grid[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        frameon=False,
        fontsize=8,
    )
    drawn.supxlabel("value of a weight", fontsize=8)
    return drawn


def pack(summary):
    """What a network loses by the size of its file.

    Args:
        summary: dict of the chosen `bytes`, `kl` and `agreement`, and the
            `curve`, dicts of the same, the smallest file first.
    """
    drawn = figure.Figure((9, 3.6), layout="constrained")
    left, right = drawn.subplots(1, 2)
    points = [point for point in summary["curve"] if point["kl"] > 0]
    for axes, key, factor, label in (
        (left, "kl", 1, "divergence of the outputs (nats)"),
        (right, "agreement", 100, "images with the same first class (%)"),
    ):
        axes.plot(
            [point["bytes"] for point in points],
            [factor * point[key] for point in points],
            color=style.BLUE,
            marker="o",
            markersize=3.5,
        )
        axes.plot(
            [summary["bytes"]],
            [factor * summary[key]],
            color=style.ORANGE,
            marker="D",
            linestyle="none",
            label="written",
        )
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(style.in_bytes))
        axes.set_xlabel("bytes of the file")
        axes.set_ylabel(label)
        style.plain(axes)
        style.grid(axes)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(ticker.FuncFormatter(style.number))
    left.yaxis.set_minor_formatter(ticker.NullFormatter())
    left.legend(frameon=False)
    return drawn
