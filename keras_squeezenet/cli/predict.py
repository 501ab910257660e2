"""`keras-squeezenet predict IMAGE...`: what is in photographs.

IMAGE is a file, a folder (with its sub-folders), or a pattern such as
'photos/*.jpg'. What cannot be read is named and skipped, and the command then
ends with status 1.
"""

import glob
import itertools
import json
import os
import pathlib
import sys

import keras
import rich.console
from absl import flags

from keras_squeezenet import imagenet
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.data import image_folder

ARGUMENTS = "IMAGE..."
FLAGS = flags.FlagValues()

_WEIGHTS = flags.DEFINE_string(
    "weights",
    "imagenet",
    "a public source (see `keras-squeezenet weights list`), or the path of a "
    "weights file, a .keras model, a .sqz or .tflite file or a SavedModel "
    "folder",
    flag_values=FLAGS,
)
network_flags.define(FLAGS)
_TOP = flags.DEFINE_integer(
    "top", 5, "how many classes to name", 1, flag_values=FLAGS
)
_JSON = flags.DEFINE_bool(
    "json", False, "print JSON, for programs", flag_values=FLAGS
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 32, "images at a time", 1, flag_values=FLAGS
)


def main(arguments):
    if _JSON.value:
        # Of downloads, so that nothing else is on the standard output.
        keras.config.disable_interactive_logging()
    console = rich.console.Console(markup=False, highlight=False)
    paths = find_images(arguments)
    network = network_flags.load(FLAGS, _WEIGHTS.value)
    # A file that is no image is no reason to lose the others' results.
    unreadable = {}
    results = predict(network, paths, unreadable)
    if _JSON.value:
        print(json.dumps(list(results), indent=2))
    else:
        for result in results:
            print_result(console, result)
    for path, reason in unreadable.items():
        print(
            f"keras-squeezenet predict: skipped, cannot be read: "
            f"{terminal.printable(path)}: {reason}",
            file=sys.stderr,
        )
    if unreadable:
        sys.exit(1)


def find_images(arguments):
    """Returns the paths of the files that the arguments name, in order.

    Raises:
        ValueError: if there are no arguments, or one of them names nothing.
    """
    if not arguments:
        raise ValueError(
            "the path of an image, a folder or a pattern is expected. "
            "Received: none"
        )
    return list(
        dict.fromkeys(itertools.chain.from_iterable(map(_files_of, arguments)))
    )


def _files_of(argument):
    if os.path.isdir(argument):
        found = image_folder.image_files(pathlib.Path(argument))
    elif glob.has_magic(argument) and not os.path.exists(argument):
        matches = glob.glob(argument, recursive=True)
        found = sorted(filter(os.path.isfile, matches))
    else:
        return [argument]
    if not found:
        raise ValueError(
            "a folder or a pattern should have images in it "
            f"({', '.join(image_folder.IMAGE_SUFFIXES)}). Received: "
            f"{terminal.printable(argument)}, which has none"
        )
    return found


def predict(network, paths, unreadable):
    """Yields a dict of each image, batch by batch.

    Args:
        network: `classifier.Classifier`.
        paths: list of paths of images.
        unreadable: dict that receives `{path: reason}`.
    """
    for start in range(0, len(paths), _BATCH_SIZE.value):
        squares = {}
        for path in paths[start : start + _BATCH_SIZE.value]:
            try:
                squares[path] = network.read(path)
            # Pillow has many exceptions for what is wrong with a file.
            except Exception as error:
                unreadable[path] = _reason(error)
        if squares:
            probabilities = network.predict(list(squares.values()))
            for path, row in zip(squares, probabilities):
                yield _result(network, path, row)


def _reason(error):
    # An `OSError` of the system would name the file once more.
    return getattr(error, "strerror", None) or str(error) or repr(error)


def _result(network, path, row):
    predictions = []
    for rank, index in enumerate(imagenet.best(row, _TOP.value), start=1):
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
    console.print(terminal.printable(result["file"]), soft_wrap=True)
    for prediction in result["predictions"]:
        console.print(
            f"  {prediction['rank']:>2}  {prediction['probability']:7.2%}  "
            f"{prediction['label'].replace('_', ' ')}",
            soft_wrap=True,
        )
