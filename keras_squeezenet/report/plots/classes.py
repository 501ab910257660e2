"""The confusion matrix of a network."""

from typing import Any

import numpy as np
from matplotlib import colors
from matplotlib import figure

from keras_squeezenet.report.plots import style

# With more classes, the cells of the matrix have no numbers.
MAX_NUMBERS = 20
# With more classes, the rows and columns have no names.
MAX_NAMES = 60
# With more classes, cells would be too small to see.
MAX_CELLS = 200
# Zero is transparent, so that empty cells show the page.
BLUES = colors.LinearSegmentedColormap.from_list(
    "blues", [(*colors.to_rgb(style.BLUE), alpha) for alpha in (0, 1)]
)


def confusion(report: dict[str, Any]) -> figure.Figure:
    """Plot the confusion matrix, in percent of each true class."""
    matrix = np.array(report["confusion"], float)
    percents = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [style.short(name) for name in report["dataset"]["classes"]]
    count = len(names)
    side = min(9, max(3.6, 1.2 + 0.3 * count))
    drawn = figure.Figure((side, side), layout="constrained")
    axes = drawn.subplots()
    # The square root makes an error of 1% visible.
    norm = colors.PowerNorm(0.5, 0, 100)
    if count <= MAX_CELLS:
        cells = axes.imshow(
            percents, cmap=BLUES, norm=norm, interpolation="nearest"
        )
    else:
        rows, columns = np.nonzero(percents)
        cells = axes.scatter(
            columns,
            rows,
            s=4,
            c=percents[rows, columns],
            cmap=BLUES,
            norm=norm,
            linewidths=0,
        )
        axes.set_aspect("equal")
        axes.set_xlim(-0.5, count - 0.5)
        axes.set_ylim(count - 0.5, -0.5)
    if count <= MAX_NUMBERS:
        for (row, column), value in np.ndenumerate(percents):
            if value:
                axes.text(
                    column,
                    row,
                    f"{round(value, 1):g}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if value > 60 else style.INK,
                )
    else:
        drawn.colorbar(
            cells,
            shrink=0.7,
            label="% of the true class",
            ticks=(0, 1, 5, 10, 25, 50, 100),
        )
    if count <= MAX_NAMES:
        size = 8 if count <= MAX_NUMBERS else 6
        axes.set_xticks(range(count), names, rotation=90, fontsize=size)
        axes.set_yticks(range(count), names, fontsize=size)
    axes.set_title("Confusion matrix, % of the true class", fontsize=10)
    axes.set_xlabel("predicted class", fontsize=9)
    axes.set_ylabel("true class", fontsize=9)
    return drawn
