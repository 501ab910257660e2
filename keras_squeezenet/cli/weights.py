"""List, fetch, convert and verify pretrained weights.

ACTION is one of:

list                   show the pretrained weights that there are
fetch NAME...          download ahead; `all` for all of them
convert NAME|FILE OUT  convert to a .weights.h5, .keras or .sqz file, for input
                       that preprocess_input returns
verify NAME|FILE...    check the digest, the architecture and the values
"""

from absl import flags

from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import suggestions

ARGUMENTS = "ACTION [NAME|FILE ...]"
ACTIONS = ("list", "fetch", "convert", "verify")
# The flags that each action reads.
USED = {
    "list": {"json"},
    "fetch": {"config"},
    "convert": {"config", "normalization", "overwrite"},
    "verify": {"config"},
}
FLAGS = command_flags.CommandFlags()

with FLAGS.group("Flags"):
    network_flags.define_variant(FLAGS)
    flags.DEFINE_enum(
        "normalization",
        None,
        ["caffe", "squeezenet", "tf", "torch"],
        "convert: the input normalization that the weights were trained with "
        "(default: that of the weights or of their format)",
        flag_values=FLAGS,
    )
    flags.DEFINE_bool(
        "overwrite", False, "convert: replace OUT", flag_values=FLAGS
    )
    output_flags.define_json(FLAGS)


def main(arguments):
    action, *arguments = arguments or [None]
    require_valid(action, arguments)
    from keras_squeezenet.cli import weights_actions

    run = {
        "list": weights_actions.list_,
        "fetch": weights_actions.fetch,
        "convert": weights_actions.convert,
        "verify": weights_actions.verify,
    }[action]
    run(terminal.make_console(), arguments)


def require_valid(action, arguments):
    """Raise a `ValueError` for an unknown action, name or unused flag."""
    if action not in ACTIONS:
        raise ValueError(
            f"one of {', '.join(ACTIONS)} must be given. Received: "
            f"{action or 'no argument'}."
            f"{suggestions.did_you_mean(action, ACTIONS)}"
        )
    for group in FLAGS.grouped():
        for flag in group[1]:
            if flag.present and flag.name not in USED[action]:
                raise ValueError(
                    f"{action} does not take --{flag.name}. Received: "
                    f"--{flag.name}={flag.value}"
                )
    if action == "fetch" and arguments != ["all"]:
        for name in arguments:
            registry.find(name, FLAGS.config)
