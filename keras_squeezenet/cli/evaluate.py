"""`keras-squeezenet evaluate MODEL`: how often a network is right.

MODEL is whatever `predict --weights` takes: a .keras, .sqz or .tflite file, a
SavedModel folder, pretrained weights by name or file. The images are those of a
data set that it is not trained on, or those that a CSV file lists; they are
preprocessed as `predict` does it. The classes of the two are matched by name.
"""

import json

import numpy as np
from absl import flags

from keras_squeezenet import evaluation
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.data import image_dataset
from keras_squeezenet.utils import files

ARGUMENTS = "MODEL"
FLAGS = flags.FlagValues()
JSON_FILE = "evaluation.json"
PICTURE_FILE = "confusion_matrix.png"
PRINTED_CLASSES = 20

dataset_flags.define_source(FLAGS)
network_flags.define(FLAGS)
_SPLIT = flags.DEFINE_enum(
    "split",
    "test",
    list(image_dataset.SPLITS),
    "which images of the data set: those that nothing was chosen by, those to "
    "train on, or both",
    flag_values=FLAGS,
)
_CSV = flags.DEFINE_string(
    "csv",
    None,
    "a file with the columns path and label, instead of a data set: images, "
    "and the names, WordNet ids or numbers (from 0) of their classes",
    flag_values=FLAGS,
)
_SEED = flags.DEFINE_integer(
    "seed",
    0,
    "of the split of a folder without test images, as `compress` had it",
    flag_values=FLAGS,
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 32, "images at a time", 1, flag_values=FLAGS
)
output_flags.define(FLAGS, f"{JSON_FILE} and {PICTURE_FILE}")


def main(arguments):
    require_valid(arguments)
    console = output_flags.begin(FLAGS)
    progress = terminal.ConsoleProgress(console)
    network = network_flags.load(FLAGS, *arguments)
    if not network.classes:
        console.print(
            f"{network.name} has no names of classes: its outputs are taken "
            "to be those of the images, in their order",
            soft_wrap=True,
        )
    result = evaluation.evaluate(
        network,
        _CSV.value or load_dataset(network, progress),
        split=_SPLIT.value,
        batch_size=_BATCH_SIZE.value,
        skip_bad_images=FLAGS["skip_bad_images"].value,
        progress=progress,
    )
    summary = result.to_json()
    if FLAGS["json"].value:
        print(json.dumps(summary, indent=2))
    else:
        print_summary(console, summary)
    if FLAGS["out"].value:
        write(result, summary)
        terminal.print_path(console, "\nWritten to", FLAGS["out"].value)


def require_valid(arguments):
    if len(arguments) != 1:
        raise ValueError(
            "one network is expected: a file, a SavedModel folder, or the "
            "name of a public source. Received: "
            f"{' '.join(arguments) or 'none'}"
        )
    for name in ("dataset", "data_dir", "split", "seed"):
        if _CSV.value and FLAGS[name].present:
            raise ValueError(
                "one of a data set and --csv is expected. Received: "
                f"--{name} and --csv={_CSV.value}"
            )


def load_dataset(network, progress):
    return dataset_flags.load(
        FLAGS, _SEED.value, progress, network.image_size, network.shorter_side
    )


def print_summary(console, summary):
    for path in summary["skipped"]:
        terminal.print_path(console, "skipped, could not be read:", path)
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
    part = summary["split"]
    return report.Table(
        f"Totals, {summary['dataset']}{f', {part}' if part else ''}",
        ("images", "classes", "top-1", "top-5", "batch", "images a second"),
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
        "Classes, the worst first",
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
    from keras_squeezenet.report import plots

    with output_flags.new_folder(FLAGS) as folder:
        files.write_json(folder / JSON_FILE, summary)
        confusion = result.confusion
        # Those that occur, where these are few enough to have their names.
        places = np.flatnonzero(confusion.sum(axis=0) + confusion.sum(axis=1))
        if len(places) > plots.MAX_NAMES:
            places = np.arange(len(confusion))
        names = [result.classes[place][1] for place in places]
        picture = plots.confusion(
            {
                "dataset": {"classes": names},
                "confusion": confusion[np.ix_(places, places)],
            }
        )
        output_flags.write_picture(folder / PICTURE_FILE, picture)
