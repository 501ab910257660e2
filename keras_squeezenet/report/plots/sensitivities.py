"""What a network loses where one layer is made smaller."""

import numpy as np
from matplotlib import figure
from matplotlib import ticker

from keras_squeezenet.report.plots import style


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
                color=style.HIGHLIGHTS[place] if is_colored else style.GREY,
                linewidth=1.8 if is_colored else 0.8,
                marker="o" if is_colored else None,
                markersize=3.5,
                label=row["name"] if is_colored else None,
            )
        axes.axhline(
            100 * scan["accuracy"],
            color=style.INK,
            linewidth=0.8,
            linestyle="--",
        )
        axes.set_xticks([factor * point[key] for point in ranked[0][points]])
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(style.number))
        axes.invert_xaxis()
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(label)
        style.plain(axes)
        style.grid(axes)
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
