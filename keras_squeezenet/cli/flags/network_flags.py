"""The flags of every command that asks a network in any of its forms."""

import pathlib

from absl import flags

from keras_squeezenet import architecture
from keras_squeezenet import classifier

# What is defined here is a flag of the command that calls `define`.
flags.disclaim_key_flags()


def define(flag_values):
    """Defines the flags that `load` reads."""
    flags.DEFINE_enum(
        "config",
        None,
        list(architecture.VARIANTS),
        "the network, for weights; by default the one that they fit",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "image_size",
        None,
        "side of the images, where the network takes any",
        1,
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "labels",
        None,
        "a text file with the name of a class in each line; by default those "
        "in the report.json beside the network, or ImageNet's",
        flag_values=flag_values,
    )


def load(flag_values, path):
    """Returns the `classifier.Classifier` that the flags ask for."""
    return classifier.load(
        path,
        flag_values["config"].value,
        flag_values["image_size"].value,
        _read_labels(flag_values["labels"].value),
    )


def _read_labels(path):
    if path is None:
        return None
    try:
        # With or without the mark that Windows begins such files with.
        text = pathlib.Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"--labels should be a text file in UTF-8. Received: "
            f"--labels={path}: {error}"
        ) from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise ValueError(
            "--labels should be a file with the name of a class in each line. "
            f"Received: --labels={path}, which has none"
        )
    return names
