"""The pictures of a report, as matplotlib figures.

None of them touches matplotlib's global state, and the same report gives the
same picture.
"""

import math

import numpy as np
from matplotlib import colors
from matplotlib import figure
from matplotlib import ticker

# Wong's palette, which the colour-blind can tell apart.
INK = "#333333"
GREY = "#b8b8b8"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
SKY = "#56b4e9"
HIGHLIGHTS = (ORANGE, BLUE, GREEN, PURPLE, SKY)
# Above so many classes a matrix has no numbers, and no names.
MAX_CELLS = 20
MAX_NAMES = 60
# Above so many its cells would be smaller than what can be seen.
MAX_SQUARES = 200
NAME_LENGTH = 18
# Where values are written beside a point, of two lines that cross in it.
SIDES = (
    {"xytext": (-4, 4), "ha": "right"},
    {"xytext": (5, -9), "ha": "left"},
)


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
    places = np.arange(len(rows))
    drawn = figure.Figure((9, 1.4 + 0.42 * len(rows)), layout="constrained")
    left, right = drawn.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    looks = {
        "float32": ("as it is", GREY, "o"),
        "gzipped": ("gzipped", BLUE, "s"),
        "Huffman": ("as Deep Compression counts", ORANGE, "D"),
    }
    for kind, (label, color, marker) in looks.items():
        found = [
            (sizes[kind], place)
            for place, (_, sizes, _) in zip(places, rows)
            if kind in sizes
        ]
        left.plot(*zip(*found), marker, color=color, label=label)
    for place, (_, found, _) in zip(places, rows):
        left.hlines(
            place,
            min(found.values()),
            max(found.values()),
            color=GREY,
            linewidth=1,
            zorder=0,
        )
    left.set_xscale("log")
    left.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    left.xaxis.set_major_formatter(ticker.FuncFormatter(_bytes))
    left.xaxis.set_minor_locator(ticker.NullLocator())
    left.set_yticks(places, [name for name, _, _ in rows])
    left.invert_yaxis()
    left.set_xlabel("bytes (logarithmic)")
    left.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False
    )
    accuracies = [100 * accuracy for _, _, accuracy in rows]
    right.plot(accuracies, places, "o", color=INK)
    for value, place in zip(accuracies, places):
        right.annotate(
            f"{value:.2f}%",
            (value, place),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    low, high = min(accuracies), max(accuracies)
    margin = max(0.5, 0.25 * (high - low))
    right.set_xlim(low - margin, high + margin)
    right.set_xlabel("accuracy (%)")
    for axes in (left, right):
        # Between the stages and the files.
        axes.axhline(len(report["stages"]) - 0.5, color=INK, linewidth=0.5)
        _plain(axes)
        axes.grid(axis="x", color="#eeeeee")
    return drawn


def layers(report):
    """Density and bits of every layer, beside the paper's table 1."""
    rows = report["layers"]
    places = np.arange(len(rows))
    drawn = figure.Figure((9, 1.2 + 0.24 * len(rows)), layout="constrained")
    left, right = drawn.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    left.barh(
        places,
        [100 * row["density"] for row in rows],
        color=SKY,
        label="measured",
    )
    paper = [
        (100 * row["paper_density"], place)
        for place, row in zip(places, rows)
        if row["paper_density"] is not None
    ]
    if paper:
        left.plot(
            *zip(*paper), "D", color=ORANGE, markersize=5, label="the paper"
        )
    left.set_xlabel("density (%)")
    left.set_xlim(0, 104)
    left.set_yticks(places, [row["name"] for row in rows], fontsize=8)
    left.set_ylim(len(rows) - 0.4, -0.6)
    left.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False
    )
    bits = [row["bits"] for row in rows]
    right.barh(places, bits, color=GREY)
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
        _plain(axes)
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
        axes.stairs(before, edges, fill=True, color=GREY, label="dense")
        scale = before.max() / max(1, after.max())
        axes.stairs(
            after * scale,
            edges,
            color=BLUE,
            linewidth=0.9,
            label="compressed, without zeros",
        )
        axes.set_ylim(0, 1.05 * max(1, before.max()))
        share = zeros / max(1, before.sum())
        axes.set_title(f"{row['name']}, {share:.0%} zero", fontsize=7, pad=2)
        axes.set_yticks([])
        axes.tick_params(labelsize=6)
        axes.xaxis.set_major_locator(ticker.MaxNLocator(3))
        _plain(axes)
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


def sensitivity(scan, highlighted=5):
    """Accuracy against the density and the bits of one layer at a time.

    Args:
        scan: what `compression.sensitivity.scan` returned.
        highlighted: int, how many of the layers that lose most are in colour,
            at most 5. Defaults to `5`.
    """
    # One order for both panels: a layer has the same colour in them.
    ranked = sorted(scan["layers"], key=_mean_accuracy)
    drawn = figure.Figure((9, 4.6), layout="constrained")
    panels = drawn.subplots(1, 2, sharey=True)
    for axes, points, key, title, label in (
        (
            panels[0],
            "densities",
            "density",
            "One layer pruned, the others as they are",
            "density of the layer (%)",
        ),
        (
            panels[1],
            "bits",
            "bits",
            "One layer's weights shared",
            "bits of a weight of the layer",
        ),
    ):
        factor = 100 if key == "density" else 1
        # The most sensitive ones last, on top.
        for place, row in reversed(list(enumerate(ranked))):
            is_colored = place < highlighted
            axes.plot(
                [factor * point[key] for point in row[points]],
                [100 * point["accuracy"] for point in row[points]],
                color=HIGHLIGHTS[place] if is_colored else GREY,
                linewidth=1.8 if is_colored else 0.8,
                marker="o" if is_colored else None,
                markersize=3.5,
                label=row["name"] if is_colored else None,
            )
        axes.axhline(
            100 * scan["accuracy"], color=INK, linewidth=0.8, linestyle="--"
        )
        axes.set_xticks([factor * point[key] for point in ranked[0][points]])
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(_number))
        axes.invert_xaxis()
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(label)
        _plain(axes)
        axes.grid(color="#eeeeee")
    panels[0].set_ylabel("accuracy (%)")
    handles, names = panels[0].get_legend_handles_labels()
    drawn.legend(
        handles[::-1],
        names[::-1],
        loc="outside lower center",
        ncols=highlighted,
        fontsize=8,
        frameon=False,
    )
    return drawn


def _mean_accuracy(row):
    """Of a layer in a scan, its pruning and its sharing alike."""
    return sum(
        np.mean([point["accuracy"] for point in row[points]])
        for points in ("densities", "bits")
    )


def training(report):
    """Loss and validation accuracy of every epoch of every stage."""
    drawn = figure.Figure((9, 4.8), layout="constrained")
    top, bottom = drawn.subplots(2, 1, sharex=True)
    start = 0
    for index, stage in enumerate(report["stages"]):
        epochs = np.arange(start, start + len(stage["history"])) + 1
        if not len(epochs):
            continue
        color = HIGHLIGHTS[index % len(HIGHLIGHTS)]
        look = {"color": color, "marker": "o", "markersize": 3}
        losses = [epoch["loss"] for epoch in stage["history"]]
        accuracies = [
            100 * epoch["validation_accuracy"] for epoch in stage["history"]
        ]
        top.plot(epochs, accuracies, label=stage["name"], **look)
        bottom.plot(epochs, losses, **look)
        start = epochs[-1]
    top.set_ylabel("validation accuracy (%)")
    bottom.set_ylabel("training loss")
    bottom.set_yscale("log")
    low, high = bottom.get_ylim()
    between = (1, 2, 5) if high < 100 * low else (1,)
    bottom.yaxis.set_major_locator(ticker.LogLocator(subs=between))
    bottom.yaxis.set_major_formatter(ticker.FuncFormatter(_number))
    bottom.yaxis.set_minor_locator(ticker.NullLocator())
    bottom.set_xlabel("epoch")
    bottom.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    if start:
        bottom.set_xlim(0.5, start + 0.5)
        top.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 1),
            ncols=5,
            fontsize=8,
            frameon=False,
        )
    drawn.align_ylabels()
    for axes in (top, bottom):
        _plain(axes)
        axes.grid(color="#eeeeee")
    return drawn


def confusion(report):
    """How often an image of each class was taken for each other one."""
    matrix = np.array(report["confusion"], float)
    names = [_short(name) for name in report["dataset"]["classes"]]
    count = len(names)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = min(9, 3.4 + 0.3 * count)
    drawn = figure.Figure((side, 0.9 * side), layout="constrained")
    axes = drawn.subplots()
    # By the square root, that an error of one in a hundred is seen.
    scale = colors.PowerNorm(0.5, 0, 100)
    if count <= MAX_SQUARES:
        picture = axes.imshow(100 * shares, cmap="Blues", norm=scale)
    else:
        rows, columns = np.nonzero(shares)
        picture = axes.scatter(
            columns,
            rows,
            s=4,
            c=100 * shares[rows, columns],
            cmap="Blues",
            norm=scale,
            linewidths=0,
        )
        axes.set_aspect("equal")
        axes.set_xlim(-0.5, count - 0.5)
        axes.set_ylim(count - 0.5, -0.5)
    drawn.colorbar(
        picture,
        shrink=0.7,
        label="share of the class (%)",
        ticks=(0, 1, 5, 10, 25, 50, 100),
    )
    if count <= MAX_CELLS:
        for (row, column), number in np.ndenumerate(matrix.astype(int)):
            if number:
                axes.text(
                    column,
                    row,
                    str(number),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if shares[row, column] > 0.35 else INK,
                )
    if count <= MAX_NAMES:
        size = 9 if count <= MAX_CELLS else 6
        axes.set_xticks(range(count), names, rotation=90, fontsize=size)
        axes.set_yticks(range(count), names, fontsize=size)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return drawn


def samples(report, pictures):
    """Pictures, and what the dense and the compressed network call them."""
    classes = report["dataset"]["classes"]
    columns = min(4, max(1, len(pictures)))
    lines = max(1, math.ceil(len(pictures) / columns))
    drawn = figure.Figure((9, 2.9 * lines), layout="constrained")
    drawn.get_layout_engine().set(h_pad=0.1)
    grid = drawn.subplots(lines, columns, squeeze=False).ravel()
    for axes, picture, sample in zip(grid, pictures, report["samples"]):
        axes.imshow(picture, interpolation="nearest")
        label = _short(classes[sample["label"]])
        axes.set_title(f"is: {label}", fontsize=9, weight="bold")
        said = "\n".join(
            f"{which}: {_short(classes[sample[which]['class']])} "
            f"{sample[which]['probability']:.0%}"
            for which in ("dense", "compressed")
        )
        differs = sample["dense"]["class"] != sample["compressed"]["class"]
        axes.set_xlabel(said, fontsize=8, color=ORANGE if differs else INK)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color(ORANGE if differs else GREY)
            spine.set_linewidth(2.5 if differs else 0.5)
    for axes in grid[len(pictures) :]:
        axes.set_axis_off()
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
            color=BLUE,
            marker="o",
            markersize=3.5,
        )
        axes.plot(
            [summary["bytes"]],
            [factor * summary[key]],
            color=ORANGE,
            marker="D",
            linestyle="none",
            label="written",
        )
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(_bytes))
        axes.set_xlabel("bytes of the file")
        axes.set_ylabel(label)
        _plain(axes)
        axes.grid(color="#eeeeee")
    left.set_yscale("log")
    left.yaxis.set_major_formatter(ticker.FuncFormatter(_number))
    left.yaxis.set_minor_formatter(ticker.NullFormatter())
    left.legend(frameon=False)
    return drawn


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
        axes.plot(*zip(*map(place, measured)), "o", color=GREY, markersize=4)
        for index, field in enumerate(fields):
            for line in _lines(measured, field, fields):
                _draw_line(axes, line, field, index, place)
        axes.set_xlabel(label)
        axes.margins(0.12)
        _plain(axes)
        axes.grid(color="#eeeeee")
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
    color = HIGHLIGHTS[index % len(HIGHLIGHTS)]
    places = list(map(place, line))
    axes.plot(*zip(*places), color=color, marker="o", markersize=4, label=field)
    for point, found in zip(line, places):
        axes.annotate(
            _short(str(point[field])),
            found,
            textcoords="offset points",
            fontsize=7,
            color=color,
            **SIDES[index % 2],
        )


def _plain(axes):
    axes.spines[["top", "right"]].set_visible(False)


def _short(name):
    if len(name) > NAME_LENGTH:
        name = f"{name[: NAME_LENGTH - 1]}…"
    # Else matplotlib takes it for a formula.
    return name.replace("$", r"\$")


def _number(value, place):
    return f"{value:g}"


def _bytes(value, place):
    """`20 kB`, in the decimal units that the paper's MB are."""
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"
