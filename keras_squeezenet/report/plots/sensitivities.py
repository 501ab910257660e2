"""Sensitivity of a network to the compression of single layers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import figure
from matplotlib import ticker

from keras_squeezenet.report.plots import style


def sensitivity(scan: Mapping[str, Any], highlighted: int = 5) -> figure.Figure:
    """Plot accuracy against the density and the bits of one layer at a time.

    Args:
        scan: the `sensitivity` field of a report.
        highlighted: how many of the most sensitive layers are colored, at
            most 5. Defaults to `5`.
    """
    # A layer has the same rank, and so the same color, in both panels.
    ranked = sorted(scan["layers"], key=_mean_accuracy)
    drawn = figure.Figure((style.WIDTH, 5.4), layout="constrained")
    panels = drawn.subplots(2, 1)
    for axes, points, key, title, label in (
        (
            panels[0],
            "densities",
            "density",
            "One layer pruned",
            "density of the layer (%)",
        ),
        (
            panels[1],
            "bits",
            "bits",
            "One layer clustered (weight sharing)",
            "bits per weight of the layer",
        ),
    ):
        factor = 100 if key == "density" else 1
        # The most sensitive layers are drawn last, on top.
        for rank, row in reversed(list(enumerate(ranked))):
            is_colored = rank < highlighted
            axes.plot(
                [factor * point[key] for point in row[points]],
                [100 * point["accuracy"] for point in row[points]],
                color=style.HIGHLIGHTS[rank] if is_colored else style.GREY,
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
            label="no layer changed",
        )
        axes.set_xticks([factor * point[key] for point in ranked[0][points]])
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(style.number))
        axes.invert_xaxis()
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(label)
        axes.set_ylabel("accuracy (%)")
        style.plain(axes, grid="both")
    handles, names = panels[0].get_legend_handles_labels()
    style.legend(drawn, handles[::-1], names[::-1], 3, "outside lower center")
    return drawn


def _mean_accuracy(row: Mapping[str, Any]) -> float:
    """Return a sum of means, so that densities and bits weigh the same."""
    return sum(
        np.mean([point["accuracy"] for point in row[points]])
        for points in ("densities", "bits")
    )
