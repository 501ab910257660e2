"""The epochs of a training."""

import numpy as np
from matplotlib import figure
from matplotlib import ticker

from keras_squeezenet.report.plots import style


def training(report):
    """Loss and validation accuracy of every epoch of every stage."""
    drawn = figure.Figure((9, 4.8), layout="constrained")
    top, bottom = drawn.subplots(2, 1, sharex=True)
    start = 0
    for index, stage in enumerate(report["stages"]):
        epochs = np.arange(start, start + len(stage["history"])) + 1
        if not len(epochs):
            continue
        color = style.HIGHLIGHTS[index % len(style.HIGHLIGHTS)]
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
    bottom.yaxis.set_major_formatter(ticker.FuncFormatter(style.number))
    bottom.yaxis.set_minor_locator(ticker.NullLocator())
    bottom.set_xlabel("epoch")
    bottom.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    if start:
        bottom.set_xlim(0.5, start + 0.5)
        style.legend_above(top, ncols=5, fontsize=8)
    drawn.align_ylabels()
    for axes in (top, bottom):
        style.plain(axes)
        style.grid(axes)
    return drawn
