"""The epochs of a training run."""

from typing import Any

import numpy as np
from matplotlib import figure
from matplotlib import ticker

from keras_squeezenet.report.plots import style


def training(report: dict[str, Any]) -> figure.Figure:
    """Plot loss and validation accuracy of every epoch of every stage."""
    drawn = figure.Figure((style.WIDTH, 3.8), layout="constrained")
    top, bottom = drawn.subplots(2, 1, sharex=True)
    start = 0
    for index, stage in enumerate(report["stages"]):
        epochs = np.arange(start, start + len(stage["history"])) + 1
        if not len(epochs):
            continue
        line = {
            "color": style.HIGHLIGHTS[index % len(style.HIGHLIGHTS)],
            "marker": "o",
            "markersize": 3,
        }
        losses = [epoch["loss"] for epoch in stage["history"]]
        accuracies = [
            100 * epoch["validation_accuracy"] for epoch in stage["history"]
        ]
        top.plot(epochs, accuracies, label=stage["name"], **line)
        bottom.plot(epochs, losses, **line)
        start = epochs[-1]
    top.set_ylabel("validation\naccuracy (%)")
    bottom.set_ylabel("training loss")
    bottom.set_yscale("log")
    low, high = bottom.get_ylim()
    multiples = (1, 2, 5) if high < 100 * low else (1,)
    bottom.yaxis.set_major_locator(ticker.LogLocator(subs=multiples))
    bottom.yaxis.set_major_formatter(ticker.FuncFormatter(style.number))
    bottom.yaxis.set_minor_locator(ticker.NullLocator())
    bottom.set_xlabel("epoch")
    bottom.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    if start:
        bottom.set_xlim(0.5, start + 0.5)
        style.legend_above(drawn, top, ncols=4)
    for axes in (top, bottom):
        style.plain(axes, grid="both")
    drawn.align_ylabels()
    return drawn
