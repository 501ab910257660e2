"""Classify image files.

IMAGE is a file, a folder (with its sub-folders), a pattern such as
'photos/*.jpg', an http or https address, or - for an image on the standard
input. What cannot be read is named and skipped, and the command then ends with
status 1.

A network of several labels marks those of an image with *: their probability is
at least the threshold of their class.

--explain writes a plot for each photograph, which shows where the network
looks: the photograph beside the heat maps of its most probable classes. It
needs a network with layers: a .keras or .sqz file, or weights.

A SavedModel is a program: one that does more than compute is refused.
"""

import contextlib
import json

from keras_squeezenet import imagenet
from keras_squeezenet.cli import photographs
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.utils import files
from keras_squeezenet.utils.text import one_line

FLAGS = command_flags.CommandFlags("IMAGE...")

with FLAGS.group("Network"):
    network_flags.define_model(FLAGS, network_flags.ARTIFACT, "imagenet")
    network_flags.define(FLAGS)
    FLAGS.define(int, "batch_size", 32, "images in a batch", 1)
with FLAGS.group("Output"):
    FLAGS.define(int, "top", 5, "number of classes to print", 1)
    output_flags.define_json(FLAGS)
    FLAGS.define(
        str,
        "explain",
        None,
        "folder for a plot of each photograph with the heat maps of its most "
        "probable classes",
    )
    FLAGS.define(
        bool,
        "overwrite",
        False,
        "replace the files of an earlier run in --explain",
    )


def main(*arguments):
    paths = photographs.find(arguments)
    if FLAGS.explain:
        network_flags.require_layers(FLAGS.model, "--explain")
        files.require_writable(FLAGS.explain, FLAGS.overwrite)
    console = output_flags.make_console(FLAGS)
    network = network_flags.load(FLAGS, FLAGS.model)
    unreadable = {}
    with explained(network, paths) as explain:
        results = predict(network, paths, unreadable, explain)
        if FLAGS.json:
            results = list(results)
        else:
            for result in results:
                print_result(console, result)
    if FLAGS.json:
        print(json.dumps(results, indent=2))
    elif FLAGS.explain:
        terminal.print_line(console, f"\nWritten to {FLAGS.explain}")
    photographs.require_all_read("predict", unreadable)


def explained(network, paths):
    """Return a context of what `explanations.written` yields, or of `None`."""
    if not FLAGS.explain:
        return contextlib.nullcontext()
    from keras_squeezenet.cli import explanations

    return explanations.written(network, paths, FLAGS.explain, FLAGS.overwrite)


def predict(network, paths, unreadable, explain=None):
    """Yield the result for each image; add the reasons to `unreadable`."""
    for squares in photographs.batches(
        network, paths, FLAGS.batch_size, unreadable
    ):
        probabilities = network.predict(list(squares.values()))
        results = [
            _result(network, path, row)
            for path, row in zip(squares, probabilities)
        ]
        if explain:
            explain(squares, results)
        yield from results


def _result(network, path, row):
    predictions = []
    for rank, index in enumerate(imagenet.best(row, FLAGS.top), start=1):
        class_id, name = network.class_of(index)
        predictions.append(
            {
                "rank": rank,
                "index": int(index),
                "wordnet_id": class_id,
                "label": name,
                "probability": float(row[index]),
            }
        )
        if network.thresholds:
            predictions[-1]["is_present"] = bool(
                row[index] >= network.thresholds[index]
            )
    return {"file": path, "predictions": predictions}


def print_result(console, result):
    terminal.print_line(console, one_line(result["file"]))
    for prediction in result["predictions"]:
        mark = "* " if prediction.get("is_present") else "  "
        terminal.print_line(
            console,
            f"{mark}{prediction['rank']:>2}  {prediction['probability']:7.2%}  "
            f"{one_line(prediction['label'].replace('_', ' '))}",
        )
