"""List, fetch, convert and verify pretrained weights.

ACTION is one of:

list                   show the pretrained weights that there are
fetch NAME...          download ahead; `all` for all of them
convert NAME|FILE OUT  convert to a .weights.h5, .keras or .sqz file, for input
                       that preprocess_input returns
verify NAME|FILE...    check the digest, the architecture and the values
"""

import importlib
import sys

from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import suggestions

# The flags of each action, and how many arguments it takes.
SOME = range(1, sys.maxsize)
ACTIONS = {
    "list": ({"json"}, range(1), "no arguments"),
    "fetch": ({"config"}, SOME, "one argument or more"),
    "convert": (
        {"config", "normalization", "overwrite"},
        range(2, 3),
        "2 arguments",
    ),
    "verify": ({"config"}, SOME, "one argument or more"),
}
FLAGS = command_flags.CommandFlags("ACTION [NAME|FILE ...]")

with FLAGS.group("Flags"):
    network_flags.define_variant(FLAGS)
    FLAGS.define(
        network_flags.NORMALIZATIONS,
        "normalization",
        None,
        "convert: the input normalization that the weights were trained with "
        "(default: that of the weights or of their format)",
    )
    FLAGS.define(bool, "overwrite", False, "convert: replace OUT")
    output_flags.define_json(FLAGS)


def main(*arguments):
    action, *arguments = arguments or [None]
    require_valid(action, arguments)
    # Only `convert` and `verify` need Keras.
    is_listing = action in ("list", "fetch")
    name = "weights_listing" if is_listing else "weights_files"
    module = importlib.import_module(f"keras_squeezenet.cli.{name}")
    module.ACTIONS[action](terminal.make_console(), *arguments)


def require_valid(action, arguments):
    """Raise a `ValueError` for what an action does not take."""
    if action not in ACTIONS:
        raise ValueError(
            f"one of {', '.join(ACTIONS)} must be given. Received: "
            f"{action or 'no argument'}."
            f"{suggestions.did_you_mean(action, ACTIONS)}"
        )
    used, counts, expected = ACTIONS[action]
    for name in FLAGS:
        if FLAGS[name].present and name not in used:
            raise ValueError(
                f"{action} does not take --{name}. Received: "
                f"--{name}={FLAGS[name].value}"
            )
    if len(arguments) not in counts:
        raise ValueError(
            f"{action} takes {expected}; --help shows them. "
            f"Received: {' '.join(arguments) or 'no argument'}"
        )
    if action == "fetch" and arguments != ["all"]:
        for name in arguments:
            registry.find(name, FLAGS.config)
