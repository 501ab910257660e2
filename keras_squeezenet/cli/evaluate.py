"""Measure the accuracy of a network on labeled images.

MODEL is a .keras, .sqz or .tflite file, a SavedModel folder, or pretrained
weights by name or by file. The images are preprocessed as predict does it, and
the classes of the network and of the images are matched by name.
"""

import json

from absl import flags

from keras_squeezenet import evaluation
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.utils import files

ARGUMENTS = "MODEL"
FLAGS = command_flags.CommandFlags()
JSON_FILE = "evaluation.json"
PLOT_FILE = "confusion_matrix.png"
PRINTED_CLASSES = 20

with FLAGS.group("Network and images"):
    network_flags.define_model(FLAGS, network_flags.ARTIFACT)
    dataset_flags.define(
        FLAGS,
        what=dataset_flags.DATASET
        + ". The labels of a CSV file are names, WordNet ids or numbers from 0",
        image_size=False,
    )
    flags.DEFINE_enum(
        "split",
        "test",
        ["test", "train", "all"],
        "part of the data set; a CSV file without the column split is "
        "evaluated whole",
        flag_values=FLAGS,
    )
    network_flags.define(FLAGS)
    flags.DEFINE_integer(
        "seed",
        0,
        "seed of the split of a folder without test images",
        0,
        flag_values=FLAGS,
    )
    flags.DEFINE_integer(
        "batch_size", 32, "images in a batch", 1, flag_values=FLAGS
    )
with FLAGS.group("Output"):
    output_flags.define(FLAGS, f"{JSON_FILE} and {PLOT_FILE}")


def main(positional):
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
        write(result, summary)
        terminal.print_path(console, "\nWritten to", FLAGS.out)


def source(network):
    """Return what `evaluation.evaluate` takes as data."""
    if FLAGS.data_dir is None:
        return FLAGS.dataset
    return dataset_flags.loader(
        FLAGS, FLAGS.seed, network.image_size, network.shorter_side
    )()


def print_summary(console, summary):
    for path in summary["skipped"]:
        terminal.print_path(console, "skipped, cannot be read:", path)
    rows = sorted(
        (row for row in summary["classes"] if row["images"]),
        key=lambda row: (row["recall"], row["precision"] or 0),
    )
    terminal.print_table(console, total_table(summary))
    terminal.print_table(console, class_table(rows[:PRINTED_CLASSES]))
    more = len(rows) - PRINTED_CLASSES
    if more > 0:
        console.print(f"\n{more:,} more classes are in the JSON.")


def total_table(summary):
    split = f", {summary['split']}" if summary["split"] else ""
    return report.Table(
        f"Totals, {summary['dataset']}{split}",
        ("images", "classes", "top-1", "top-5", "batch", "images/s"),
        [
            (
                f"{summary['images']:,}",
                f"{len(summary['classes']):,}",
                _percent(summary["top1"]),
                _percent(summary["top5"]),
                f"{summary['batch_size']:,}",
                f"{summary['images_per_second']:,.0f}",
            )
        ],
    )


def class_table(rows):
    return report.Table(
        "Classes, lowest recall first",
        ("class", "images", "recall", "precision"),
        [
            (
                row["label"].replace("_", " "),
                f"{row['images']:,}",
                _percent(row["recall"]),
                _percent(row["precision"]),
            )
            for row in rows
        ],
    )


def _percent(value):
    return report.NOTHING if value is None else f"{value:.2%}"


def write(result, summary):
    import numpy as np

    from keras_squeezenet.report import plots

    confusion = result.confusion
    # Classes that occur, where these are few enough to be named.
    places = np.flatnonzero(confusion.sum(axis=0) + confusion.sum(axis=1))
    if len(places) > plots.MAX_NAMES:
        places = np.arange(len(confusion))
    plot = plots.confusion(
        {
            "dataset": {
                "classes": [result.classes[place][1] for place in places]
            },
            "confusion": confusion[np.ix_(places, places)],
        }
    )
    with output_flags.new_folder(FLAGS) as folder:
        files.write_json(folder / JSON_FILE, summary)
        output_flags.write_plot(folder / PLOT_FILE, plot)
