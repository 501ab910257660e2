"""Classify image files.

IMAGE is a file, a folder (with its sub-folders), a pattern such as
'photos/*.jpg', an http or https address, or - for an image on the standard
input. What cannot be read is named and skipped, and the command then ends with
status 1.

A SavedModel is a program: one that does more than compute is refused.
"""

import json

from keras_squeezenet import imagenet
from keras_squeezenet.cli import photographs
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.utils.text import one_line

FLAGS = command_flags.CommandFlags("IMAGE...")

with FLAGS.group("Network"):
    network_flags.define_model(FLAGS, network_flags.ARTIFACT, "imagenet")
    network_flags.define(FLAGS)
    FLAGS.define(int, "batch_size", 32, "images in a batch", 1)
with FLAGS.group("Output"):
    FLAGS.define(int, "top", 5, "number of classes to print", 1)
    output_flags.define_json(FLAGS)


def main(*arguments):
    paths = photographs.find(arguments)
    console = output_flags.make_console(FLAGS)
    network = network_flags.load(FLAGS, FLAGS.model)
    unreadable = {}
    results = predict(network, paths, unreadable)
    if FLAGS.json:
        print(json.dumps(list(results), indent=2))
    else:
        for result in results:
            print_result(console, result)
    photographs.require_all_read("predict", unreadable)


def predict(network, paths, unreadable):
    """Yield the result for each image; add the reasons to `unreadable`."""
    for squares in photographs.batches(
        network, paths, FLAGS.batch_size, unreadable
    ):
        probabilities = network.predict(list(squares.values()))
        for path, row in zip(squares, probabilities):
            yield _result(network, path, row)


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
    return {"file": path, "predictions": predictions}


def print_result(console, result):
    terminal.print_line(console, one_line(result["file"]))
    for prediction in result["predictions"]:
        terminal.print_line(
            console,
            f"  {prediction['rank']:>2}  {prediction['probability']:7.2%}  "
            f"{one_line(prediction['label'].replace('_', ' '))}",
        )
