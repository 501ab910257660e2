"""`keras-squeezenet evaluate MODEL`: how often a network is right.

MODEL is whatever `predict --weights` takes: a .keras, .sqz or .tflite file, a
SavedModel folder, pretrained weights by name or file. The images are those of a
data set that it is not trained on, or those that a CSV file lists; they are
preprocessed as `predict` does it. The classes of the two are matched by name.
"""

import dataclasses
import json
import math

import numpy as np
from absl import flags

from keras_squeezenet import imagenet
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.data import csv_list
from keras_squeezenet.data import image_dataset
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.evaluation import timing
from keras_squeezenet.utils import files

ARGUMENTS = "MODEL"
FLAGS = flags.FlagValues()
JSON_FILE = "evaluation.json"
PICTURE_FILE = "confusion_matrix.png"
TOP = 5
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
    images = load_images(network, progress)
    count = warm_up(network, images)
    if not network.classes:
        network = name_classes(network, images, count)
        console.print(
            f"{network.name} has no names of classes: its outputs are taken "
            "to be those of the images, in their order",
            soft_wrap=True,
        )
    places = match_classes(network, images)
    summary, confusion = measure(network, images, places, progress)
    if FLAGS["json"].value:
        print(json.dumps(summary, indent=2))
    else:
        print_summary(console, summary)
    if FLAGS["out"].value:
        write(network, summary, confusion)
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


def load_images(network, progress):
    """Returns `LabelledImages`, as `network.read` gives them."""
    if _CSV.value is None:
        dataset = dataset_flags.load(
            FLAGS,
            _SEED.value,
            progress,
            network.image_size,
            network.shorter_side,
        )
        return dataset.part(_SPLIT.value)
    with progress.task("load data", None):
        return csv_list.load(
            _CSV.value,
            network.image_size,
            FLAGS["skip_bad_images"].value,
            network.shorter_side,
        )


def warm_up(network, images):
    """Asks the network about one batch; returns how many outputs it has."""
    squares, _ = next(batches(images))
    return network.predict(squares).shape[1]


def name_classes(network, images, count):
    """Returns a network without names of its classes with those of images.

    A CSV file need not have all classes: there they are numbers.
    """
    names = images.class_names
    if _CSV.value:
        names = [str(number) for number in range(count)]
    if len(names) != count:
        raise ValueError(
            f"{network.name} should have an output for each of the "
            f"{len(names)} classes of {images.name!r}. It has {count} outputs."
        )
    return dataclasses.replace(
        network, classes=tuple((None, name) for name in names)
    )


def match_classes(network, images):
    """Returns an array of the output of each of the images' classes."""
    ids, names = zip(*network.classes)
    keys = [names, ids]
    if _CSV.value:
        keys.append([str(number) for number in range(len(names))])
    return np.array(imagenet.match(images.class_names, *keys))


def batches(images):
    """Returns an iterator of NumPy arrays of images and their classes."""
    found = images.examples.batch(_BATCH_SIZE.value).prefetch(1)
    return found.as_numpy_iterator()


def measure(network, images, places, progress):
    """Returns what `JSON_FILE` has, and the confusion matrix."""
    batch_size = min(_BATCH_SIZE.value, images.size)
    timed = timing.Timed(network.function, batch_size)
    predict = dataclasses.replace(network, function=timed).predict
    steps = math.ceil(images.size / batch_size)
    with progress.task("evaluate", steps) as advance:
        found = metrics.evaluate(
            predict,
            ((squares, places[each]) for squares, each in batches(images)),
            advance,
        )
    require_finite(network, found.probabilities)
    count = len(network.classes)
    confusion = metrics.confusion_matrix(found.labels, found.predicted, count)
    summary = {
        "model": network.name,
        "image_size": network.image_size,
        "dataset": images.name,
        "split": None if _CSV.value else _SPLIT.value,
        "images": images.size,
        "skipped": list(images.skipped),
        "top1": found.accuracy,
        "top5": found.top(TOP) if count > TOP else None,
        "batch_size": batch_size,
        "images_per_second": timed.images_per_second,
        "classes": class_rows(network, confusion),
        "confusion": confusion_rows(confusion),
    }
    return summary, confusion


def require_finite(network, probabilities):
    bad = int(np.sum(~np.isfinite(probabilities).all(axis=1)))
    if bad:
        raise ValueError(
            f"{network.name} should give finite outputs. It does not for "
            f"{bad:,} of {len(probabilities):,} images."
        )


def class_rows(network, confusion):
    rows = zip(
        network.classes,
        confusion.sum(axis=1).tolist(),
        confusion.sum(axis=0).tolist(),
        metrics.recalls(confusion).tolist(),
        metrics.recalls(confusion.T).tolist(),
    )
    return [
        {
            "index": index,
            "wordnet_id": class_id,
            "label": name,
            "images": count,
            "predicted": predicted,
            "recall": recall if count else None,
            "precision": precision if predicted else None,
        }
        for index, (
            (class_id, name),
            count,
            predicted,
            recall,
            precision,
        ) in enumerate(rows)
    ]


def confusion_rows(confusion):
    """Returns the cells that are not zero: of 1,000 classes few are not."""
    return [
        {
            "true": true,
            "predicted": predicted,
            "images": int(confusion[true, predicted]),
        }
        for true, predicted in np.argwhere(confusion).tolist()
    ]


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


def write(network, summary, confusion):
    from keras_squeezenet.report import plots

    with output_flags.new_folder(FLAGS) as folder:
        files.write_json(folder / JSON_FILE, summary)
        # Those that occur, where these are few enough to have their names.
        places = np.flatnonzero(confusion.sum(axis=0) + confusion.sum(axis=1))
        if len(places) > plots.MAX_NAMES:
            places = np.arange(len(confusion))
        names = [network.class_of(place)[1] for place in places]
        picture = plots.confusion(
            {
                "dataset": {"classes": names},
                "confusion": confusion[np.ix_(places, places)],
            }
        )
        output_flags.write_picture(folder / PICTURE_FILE, picture)
