"""The flags of every command that trains: what to build and where to write."""

import contextlib
import dataclasses
import json
import pathlib

import keras
from absl import flags

from keras_squeezenet import architecture
from keras_squeezenet import training
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import dataset_flags

# What is defined here is a flag of the command that calls `define_*`.
flags.disclaim_key_flags()


class ConfigParser(flags.ArgumentParser):
    """Parses a network: a variant's name, or metaparameters as JSON."""

    syntactic_help = f"{', '.join(architecture.VARIANTS)}, or JSON"

    def parse(self, argument):
        if not isinstance(argument, str):
            return argument
        if argument.endswith(".json"):
            argument = _read(argument)
        if argument.lstrip().startswith("{"):
            return _metaparameters(argument)
        return architecture.get_config(argument)

    def flag_type(self):
        return "network"


class _ConfigSerializer(flags.ArgumentSerializer):
    def serialize(self, value):
        return architecture.describe(value).strip("'")


def define_config(flag_values, default="1.1"):
    """Defines `--config`."""
    flags.DEFINE(
        ConfigParser(),
        "config",
        default,
        "the network, or metaparameters of SqueezeNetConfig as JSON or its "
        'file, over those of v1.1: \'{"SR": 0.25, "base_e": 64}\'',
        flag_values=flag_values,
        serializer=_ConfigSerializer(),
    )


def define_network(flag_values, weights=None):
    """Defines `--config` and `--weights`.

    Args:
        flag_values: of the command.
        weights: str, where the training starts from unless a flag tells.
            Defaults to `None`, random weights.
    """
    define_config(flag_values)
    flags.DEFINE_string(
        "weights",
        weights,
        "pretrained weights to start the training from: a public source such "
        "as 'imagenet', 'cifar10', or a file",
        flag_values=flag_values,
    )


def define_run(flag_values, out):
    """Defines `--out`, `--overwrite`, `--resume` and `--tensorboard`."""
    flags.DEFINE_string("out", out, "output folder", flag_values=flag_values)
    flags.DEFINE_bool(
        "overwrite",
        False,
        "replace the files of an earlier run in --out",
        flag_values=flag_values,
    )
    flags.DEFINE_bool(
        "resume",
        False,
        "go on with the run in --out that was stopped, from its last epoch",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "tensorboard",
        None,
        "folder of TensorBoard's logs",
        flag_values=flag_values,
    )


@contextlib.contextmanager
def resumable(out, *patterns):
    """Has a Ctrl-C say how to go on, where there is something to go on from.

    Args:
        out: path of the output folder.
        patterns: of the files in it that a run can be resumed from.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        folder = pathlib.Path(out)
        if not any(any(folder.glob(pattern)) for pattern in patterns):
            raise
        raise KeyboardInterrupt(
            "The last epoch that was finished is kept: the same command with "
            "--resume goes on from there."
        ) from stop


def prepare(flag_values, seed, validation_share, console, progress):
    """Returns the network and the data set of the flags; says what they are.

    Args:
        flag_values: of the command.
        seed: int, of every random number.
        validation_share: float, the share of the training images to hold out.
        console: `rich.console.Console`.
        progress: `progress.Progress`.
    """
    dataset = dataset_flags.load(flag_values, seed, progress)
    dataset = dataset.hold_out(validation_share, seed)
    keras.utils.set_random_seed(seed)
    model = build(flag_values, dataset)
    terminal.print_header(console, model, dataset)
    return model, dataset


def build(flag_values, dataset):
    """Returns the network of `define_network`'s flags for a data set."""
    return training.build(
        dataset.image_size,
        len(dataset.class_names),
        flag_values["config"].value,
        flag_values["weights"].value,
    )


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _metaparameters(text):
    fields = [f.name for f in dataclasses.fields(architecture.SqueezeNetConfig)]
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{text} is no JSON: {error}") from error
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ValueError(
            f"the metaparameters are {', '.join(fields)}. Received: "
            f"{', '.join(unknown)}"
        )
    try:
        if "stem" in values:
            values["stem"] = architecture.Stem(**values["stem"])
        return dataclasses.replace(architecture.VARIANTS["1.1"], **values)
    except TypeError as error:
        raise ValueError(f"{text} is no network: {error}") from error
