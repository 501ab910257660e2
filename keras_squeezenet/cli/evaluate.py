"""Measure the accuracy of a network on labeled images.

MODEL is a .keras, .sqz, .tflite or .onnx file, a folder of a SavedModel or for
OpenVINO, or pretrained weights by name or by file. The images are preprocessed
as predict does it, and the classes of the network and of the images are matched
by name.

A SavedModel is a program: one that does more than compute is refused.
"""

import json

from keras_squeezenet import evaluation
from keras_squeezenet import report
from keras_squeezenet.cli import explanations
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.utils import files

FLAGS = command_flags.CommandFlags("MODEL")
JSON_FILE = "evaluation.json"
PLOT_FILE = "confusion_matrix.png"
SAMPLES_FILE = "samples.jpg"
PRINTED_CLASSES = 20

with FLAGS.group("Network and images"):
    network_flags.define_model(FLAGS, network_flags.ARTIFACT)
    dataset_flags.define(
        FLAGS,
        what=dataset_flags.DATASET
        + ". The labels of a CSV file are names, WordNet ids or numbers from 0",
        image_size=False,
    )
    FLAGS.define(
        ["test", "validation", "train", "all"],
        "split",
        "test",
        "part of the data set; a CSV file without the column split is "
        "evaluated whole",
    )
    network_flags.define(FLAGS)
    FLAGS.define(
        int, "seed", 0, "seed of the split of a folder without test images", 0
    )
    FLAGS.define(int, "batch_size", 32, "images in a batch", 1)
with FLAGS.group("Output"):
    output_flags.define(
        FLAGS,
        f"{JSON_FILE} and, where an image has one label, {PLOT_FILE} and, for "
        f"a network with layers, {SAMPLES_FILE}",
    )


def main(*positional):
    model = network_flags.take_model(FLAGS, positional)
    dataset_flags.require_valid(FLAGS)
    output_flags.require_valid(FLAGS)
    console = output_flags.make_console(FLAGS)
    network = network_flags.load(FLAGS, model)
    result = evaluation.evaluate(
        network,
        source(network),
        progress=terminal.ConsoleProgress(console),
        **FLAGS.values_of("split", "batch_size", "seed", "skip_bad_images"),
    )
    summary = result.to_json()
    if FLAGS.json:
        print(json.dumps(summary, indent=2))
    else:
        print_summary(console, summary)
    if FLAGS.out:
        write(network, result, summary)
        terminal.print_line(console, f"\nWritten to {FLAGS.out}")


def source(network):
    """Return what `evaluation.evaluate` takes as data."""
    if FLAGS.data_dir is None:
        return FLAGS.dataset
    return dataset_flags.loader(
        FLAGS, FLAGS.seed, network.image_size, network.shorter_side
    )()


def print_summary(console, summary):
    for path in summary["skipped"]:
        terminal.print_line(console, f"skipped, cannot be read: {path}")
    several = "mean_average_precision" in summary
    order = ("average_precision", "f1") if several else ("recall", "precision")
    rows = sorted(
        (row for row in summary["classes"] if row["images"]),
        key=lambda row: [row[key] or 0 for key in order],
    )
    table = report.several_labels_table if several else class_table
    terminal.print_table(console, total_table(summary))
    terminal.print_table(console, table(rows[:PRINTED_CLASSES]))
    more = len(rows) - PRINTED_CLASSES
    if more > 0:
        console.print(f"\n{more:,} more classes are in the JSON.")


def total_table(summary):
    split = f", {summary['split']}" if summary["split"] else ""
    measured = {"top-1": "top1:.2%", "top-5": "top5:.2%"}
    if "top1" not in summary:
        measured = {
            "mean average precision": "mean_average_precision:.2%",
            "mean F1": "mean_f1:.2%",
        }
    return report.Table.of(
        f"Totals, {summary['dataset']}{split}",
        [{**summary, "classes": len(summary["classes"])}],
        {
            "images": "images:,",
            "classes": "classes:,",
            **measured,
            "batch": "batch_size:,",
            "images/s": "images_per_second:,.0f",
        },
    )


def class_table(rows):
    return report.Table.of(
        "Classes, lowest recall first",
        [{**row, "label": row["label"].replace("_", " ")} for row in rows],
        {
            "class": "label",
            "images": "images:,",
            "recall": "recall:.2%",
            "precision": "precision:.2%",
        },
    )


def write(network, result, summary):
    import numpy as np

    from keras_squeezenet.report import plots

    if result.thresholds:
        with new_folder() as folder:
            files.write_json(folder / JSON_FILE, summary)
        return
    confusion = result.confusion
    # Classes that occur, where these are few enough to be named.
    places = np.flatnonzero(confusion.sum(axis=0) + confusion.sum(axis=1))
    if len(places) > plots.MAX_NAMES:
        places = np.arange(len(confusion))
    names = [result.classes[place][1] for place in places]
    matrix = confusion[np.ix_(places, places)]
    plot = plots.confusion({"dataset": {"classes": names}, "confusion": matrix})
    with new_folder() as folder:
        files.write_json(folder / JSON_FILE, summary)
        output_flags.write_plot(folder / PLOT_FILE, plot)
        if network.model is not None:
            explanations.write_samples(folder / SAMPLES_FILE, network, result)


def new_folder():
    """Return the context of --out, without the images of an earlier network."""
    return files.new_folder(
        FLAGS.out, FLAGS.overwrite, outdated=(PLOT_FILE, SAMPLES_FILE)
    )
