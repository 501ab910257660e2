"""Classify image files.

IMAGE is a file, a folder (with its sub-folders), or a pattern such as
'photos/*.jpg'. A file that cannot be read is named and skipped, and the command
then ends with status 1.

A SavedModel is a program: one that does more than compute is refused.
"""

import glob
import itertools
import json
import os
import sys

from keras_squeezenet import imagenet
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
    paths = find_images(arguments)
    console = output_flags.make_console(FLAGS)
    network = network_flags.load(FLAGS, FLAGS.model)
    # A file that is not an image must not lose the results of the others.
    unreadable = {}
    results = predict(network, paths, unreadable)
    if FLAGS.json:
        print(json.dumps(list(results), indent=2))
    else:
        for result in results:
            print_result(console, result)
    for path, reason in unreadable.items():
        print(
            f"keras-squeezenet predict: skipped, cannot be read: "
            f"{one_line(path)}: {one_line(reason)}",
            file=sys.stderr,
        )
    if unreadable:
        sys.exit(1)


def find_images(arguments):
    """Return the paths of the files that the arguments name, in order."""
    if not arguments:
        raise ValueError(
            "an image must be given: a file, a folder, or a pattern such as "
            "'photos/*.jpg'. Received: none"
        )
    for argument in arguments:
        if argument.endswith(network_flags.COMPLETE_SUFFIXES):
            raise ValueError(
                "an image must be given, and the model with --model. "
                f"Received: {one_line(argument)}"
            )
    found = itertools.chain.from_iterable(map(_files_of, arguments))
    return list(dict.fromkeys(found))


def _files_of(argument):
    from keras_squeezenet.data import image_files

    if os.path.isdir(argument):
        found, left_out = image_files.find(argument)
        if left_out:
            line = image_files.describe(one_line(argument), left_out)
            print(line, file=sys.stderr)
    elif glob.has_magic(argument) and not os.path.exists(argument):
        matches = glob.glob(argument, recursive=True)
        found = sorted(filter(os.path.isfile, matches))
    else:
        return [argument]
    if not found:
        raise ValueError(
            "a folder or a pattern must contain images. Received: "
            f"{one_line(argument)}, which contains none"
        )
    return found


def predict(network, paths, unreadable):
    """Yield the result for each image; add the reasons to `unreadable`."""
    for start in range(0, len(paths), FLAGS.batch_size):
        squares = {}
        for path in paths[start : start + FLAGS.batch_size]:
            try:
                squares[path] = network.read(path)
            except MemoryError:
                raise
            # Pillow has many exceptions for what is wrong with a file.
            except Exception as error:
                # An `OSError` of the system names the file once more.
                reason = getattr(error, "strerror", None) or str(error)
                unreadable[path] = reason or repr(error)
        if squares:
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
