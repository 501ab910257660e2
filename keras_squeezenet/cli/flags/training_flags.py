"""The flags of the commands that train: the network and its weights."""

import dataclasses
import json
import os

from absl import flags

from keras_squeezenet import architecture
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.pretrained import hub
from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import files
from keras_squeezenet.utils import strict_json
from keras_squeezenet.utils import suggestions
from keras_squeezenet.utils.text import shortened


class ConfigParser(flags.ArgumentParser):
    """Parse the name of a variant, or metaparameters as JSON."""

    syntactic_help = f"{', '.join(architecture.VARIANTS)}, or JSON"

    def parse(self, argument):
        if not isinstance(argument, str):
            return argument
        if argument.endswith(".json"):
            try:
                argument = files.read_text(argument)
            except OSError as error:
                raise ValueError(
                    f"{argument} cannot be read: {error}"
                ) from error
        if argument.lstrip().startswith("{"):
            return _metaparameters(argument)
        return architecture.get_config(argument)

    def flag_type(self):
        return "network"


class _ConfigSerializer(flags.ArgumentSerializer):
    def serialize(self, value):
        return architecture.describe(value).strip("'")


def define_config(flag_values, default="1.1"):
    flags.DEFINE(
        ConfigParser(),
        "config",
        default,
        f"the architecture: {', '.join(architecture.VARIANTS)}; or the "
        "metaparameters of SqueezeNetConfig that differ from v1.1, as JSON or "
        'a JSON file: \'{"SR": 0.25, "base_e": 64}\'',
        flag_values=flag_values,
        serializer=_ConfigSerializer(),
    )


def define_network(flag_values, weights=None):
    define_config(flag_values)
    flag_values.define(
        str,
        "weights",
        weights,
        "the pretrained weights that training starts from, by name such as "
        "'imagenet' (see `keras-squeezenet weights list`), by file, or by an "
        "address on the Hugging Face hub, hf://owner/name[/file][@revision]"
        + ("" if weights else " (default: random weights)"),
    )


def require_valid(flag_values):
    """Raise a `ValueError` for impossible images or initial weights."""
    dataset_flags.require_valid(flag_values)
    require_weights("weights", flag_values["weights"].value, "a file")


def require_weights(name, value, kinds):
    """Raise a `ValueError` unless a flag has the name or a file of weights.

    `kinds` is what the file may be, for the error.
    """
    path = hub.local(value)
    if path in (None, *registry.NAMES) or os.path.isfile(path):
        return
    raise ValueError(
        f"--{name} must be {kinds}, an address such as hf://owner/name, or one "
        f"of {', '.join(registry.NAMES)}. Received: --{name}={path}."
        f"{suggestions.did_you_mean(path, registry.NAMES)}"
    )


def _metaparameters(text):
    fields = [f.name for f in dataclasses.fields(architecture.SqueezeNetConfig)]
    try:
        values = json.loads(text, object_pairs_hook=strict_json.unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"it must be valid JSON: {error}. Received: {shortened(text)}"
        ) from error
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ValueError(
            f"its fields are {', '.join(fields)}. Received: "
            f"{shortened(', '.join(unknown))}."
            f"{suggestions.did_you_mean(unknown[0], fields)}"
        )
    try:
        if "stem" in values:
            values["stem"] = architecture.Stem(**values["stem"])
        return dataclasses.replace(architecture.VARIANTS["1.1"], **values)
    except TypeError as error:
        raise ValueError(
            f"it must describe a network: {error}. Received: {shortened(text)}"
        ) from error
