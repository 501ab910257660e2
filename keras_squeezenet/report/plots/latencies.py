"""The latency of the files of a network."""

from typing import Any

from matplotlib import figure

from keras_squeezenet.report.plots import style


def latencies(summary: dict[str, Any]) -> figure.Figure:
    """Plot the median time of an image, alone and in a batch.

    The whiskers are the 10th and the 90th percentile. `summary` is that of
    `keras-squeezenet benchmark --json`.
    """
    rows, sizes = summary["files"], summary["batch_sizes"]
    drawn = figure.Figure(
        (style.WIDTH * len(sizes), 0.9 + 0.28 * len(rows)),
        layout="constrained",
    )
    names = [row["name"] for row in rows]
    for axes, size in zip(
        drawn.subplots(1, len(sizes), sharey=True, squeeze=False)[0], sizes
    ):
        times = [row[str(size)] for row in rows]
        # The latency of a batch is divided by its number of images.
        low, median, high = (
            [each[key] / size for each in times]
            for key in ("low", "median", "high")
        )
        errors = [
            [middle - end for middle, end in zip(median, low)],
            [end - middle for middle, end in zip(median, high)],
        ]
        axes.barh(
            range(len(rows)),
            median,
            xerr=errors,
            color=style.BLUE,
            ecolor=style.INK,
            error_kw={"elinewidth": 0.8},
        )
        style.plain(axes, "x")
        axes.set_xlim(0)
        axes.set_xlabel("ms an image")
        axes.set_title(
            "one image" if size == 1 else f"batches of {size}", fontsize=10
        )
    first = drawn.axes[0]
    first.set_yticks(range(len(rows)), names)
    first.invert_yaxis()
    return drawn
