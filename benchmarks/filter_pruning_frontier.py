"""Time and draw what `benchmarks/filter_pruning.py` made.

    python benchmarks/filter_pruning_frontier.py FOLDER... [--extra=NAME:PATH]

The int8 files of the first seed are timed in one run, in turns, on one thread:
one image a call, and 32. `--extra` adds files of other runtimes to it. The
first FOLDER gets `latencies.json` and `frontier.png`; the table is printed.
"""

import collections
import dataclasses
import json
import pathlib
import statistics

import rich.console
from absl import app
from absl import flags
from matplotlib import figure

from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.evaluation import latency
from keras_squeezenet.report.plots import style

FLAGS = flags.FLAGS
flags.DEFINE_list("extra", [], "other files to time, as NAME:PATH")
flags.DEFINE_string("title", "", "the title of the table and the plot")
flags.DEFINE_float(
    "lowest", 0.0, "accuracy in percent below which points are not drawn"
)

# The name of each method, its color and its marker in the plot.
METHODS = {
    "dense": ("dense", style.INK, "o"),
    "prune_filters_for_latency": (
        "filter pruning for the latency",
        style.ORANGE,
        "o",
    ),
    "prune_filters": ("filter pruning for the MACs", style.BLUE, "o"),
    "prune_filters_without_teacher": (
        "for the MACs, without a teacher",
        style.SKY,
        "o",
    ),
    "shrink_images": ("smaller images", style.GREEN, "s"),
    "shrink_images_and_prune_for_latency": (
        "smaller images, filter pruning for the latency",
        style.PURPLE,
        "D",
    ),
    "shrink_images_and_prune": (
        "smaller images, filter pruning for the MACs",
        style.INK,
        "s",
    ),
    "narrow_config": ("narrower, from random weights", style.GREY, "v"),
    "prune_weights": ("zeros in the kernels", style.GREY, "x"),
    "without_fire9": ("without fire9", style.GREY, "$9$"),
    "without_fire5": ("without fire5", style.GREY, "$5$"),
}
FIRST_SEED = 0


def main(argv):
    folders = [pathlib.Path(each) for each in argv[1:]]
    rows = [row for folder in folders for row in read(folder)]
    times = measure(folders[0] / "latencies.json", rows)
    points = summarize(rows, times)
    print_table(points, times)
    draw(points).savefig(folders[0] / "frontier.png", dpi=120)


def read(folder):
    for line in (folder / "results.jsonl").read_text().splitlines():
        row = json.loads(line)
        yield {**row, "file": str(folder / row["file"])}


def measure(path, rows):
    """Return the latencies by name and batch size; measure them once."""
    if not path.exists():
        files = {
            name_of(row): row["file"]
            for row in rows
            if row["seed"] == FIRST_SEED
        }
        files |= dict(extra.split(":", 1) for extra in FLAGS.extra)
        console = rich.console.Console()
        found = latency.measure(
            files, progress=terminal.ConsoleProgress(console)
        )
        path.write_text(json.dumps(list(map(dataclasses.asdict, found))))
    return {
        (each["name"], each["batch_size"]): each["median"]
        for each in json.loads(path.read_text())
    }


def name_of(row):
    return f"{row['method']} {row['share']}"


def summarize(rows, times):
    """Return a dict for each method and share: means over the seeds.

    The dicts are in the order of `METHODS`, the largest share first.
    """
    groups = collections.defaultdict(list)
    for row in rows:
        groups[name_of(row)].append(row)
    points = []
    for name, group in groups.items():
        accuracies = [row["int8_accuracy"] for row in group]
        points.append(
            {
                **group[0],
                "accuracy": statistics.mean(row["accuracy"] for row in group),
                "int8_accuracy": statistics.mean(accuracies),
                "low": min(accuracies),
                "high": max(accuracies),
                "seeds": len(group),
                "latency": times[name, 1],
                "batch_latency": times[name, 32] / 32,
            }
        )
    order = [*METHODS].index
    return sorted(
        points, key=lambda point: (order(point["method"]), -point["share"])
    )


def print_table(points, times):
    """Print the points, and the other files that were timed beside them."""
    dense = times["dense 1.0", 1]
    rows = [
        (
            METHODS[point["method"]][0],
            f"{point['macs']:.0%}",
            f"{point['image_size']}",
            f"{point['seeds']}",
            f"{point['accuracy']:.2%}",
            f"{point['int8_accuracy']:.2%}",
            f"{point['latency']:.2f}",
            f"{point['latency'] / dense:.2f}",
            f"{point['batch_latency']:.2f}",
            f"{point['int8_bytes']:,}",
        )
        for point in points
    ]
    timed = {name_of(point) for point in points}
    rows += [
        (name, *"-----", f"{ms:.2f}", f"{ms / dense:.2f}", *"--")
        for (name, size), ms in times.items()
        if size == 1 and name not in timed
    ]
    columns = ("network", "MACs", "side", "seeds", "float32", "int8", "ms")
    columns += ("ratio", "ms of 32", "bytes")
    terminal.print_table(
        rich.console.Console(width=120),
        report.Table(FLAGS.title or "int8, one thread", columns, rows),
    )


def draw(points):
    """Plot the accuracy of the int8 files against latency and bytes."""
    drawn = figure.Figure((9, 4.4), layout="constrained")
    panels = drawn.subplots(1, 2, sharey=True)
    labels = (
        ("latency", 1, "ms for an image, int8, one thread"),
        ("int8_bytes", 1000, "kB of the int8 file"),
    )
    for axes, (key, unit, label) in zip(panels, labels):
        for method in METHODS:
            draw_method(axes, method, key, unit, points)
        style.plain(axes, "both")
        axes.set_xlim(0)
        axes.set_xlabel(label)
    panels[0].set_ylabel("test accuracy, %")
    handles, names = panels[0].get_legend_handles_labels()
    style.legend(drawn, handles, names, 3, "outside lower center")
    if FLAGS.title:
        drawn.suptitle(FLAGS.title, fontsize=10)
    return drawn


def draw_method(axes, method, key, unit, points):
    """Draw the mean and the range over the seeds."""
    name, color, marker = METHODS[method]
    found = [
        point
        for point in points
        if point["method"] == method
        and 100 * point["int8_accuracy"] >= FLAGS.lowest
    ]
    found.sort(key=lambda point: point[key])
    if not found:
        return
    means = [100 * point["int8_accuracy"] for point in found]
    errors = [
        [100 * (point["int8_accuracy"] - point["low"]) for point in found],
        [100 * (point["high"] - point["int8_accuracy"]) for point in found],
    ]
    axes.errorbar(
        [point[key] / unit for point in found],
        means,
        yerr=errors,
        marker=marker,
        markersize=5,
        linewidth=1.2,
        elinewidth=0.7,
        color=color,
        label=name,
    )


if __name__ == "__main__":
    app.run(main)
