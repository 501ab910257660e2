"""What a network takes images for."""

import math

import numpy as np
from matplotlib import colors
from matplotlib import figure

from keras_squeezenet.report.plots import style

# Above so many classes a matrix has no numbers, and no names.
MAX_CELLS = 20
MAX_NAMES = 60
# Above so many its cells would be smaller than what can be seen.
MAX_SQUARES = 200


def confusion(report):
    """How often an image of each class was taken for each other one."""
    matrix = np.array(report["confusion"], float)
    names = [style.short(name) for name in report["dataset"]["classes"]]
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
                    color="white" if shares[row, column] > 0.35 else style.INK,
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
        label = style.short(classes[sample["label"]])
        axes.set_title(f"is: {label}", fontsize=9, weight="bold")
        said = "\n".join(
            f"{which}: {style.short(classes[sample[which]['class']])} "
            f"{sample[which]['probability']:.0%}"
            for which in ("dense", "compressed")
        )
        differs = sample["dense"]["class"] != sample["compressed"]["class"]
        axes.set_xlabel(
            said, fontsize=8, color=style.ORANGE if differs else style.INK
        )
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color(style.ORANGE if differs else style.GREY)
            spine.set_linewidth(2.5 if differs else 0.5)
    for axes in grid[len(pictures) :]:
        axes.set_axis_off()
    return drawn
