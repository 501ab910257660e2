"""`keras-squeezenet COMMAND --flags`."""

import importlib
import logging
import os
import sys
import traceback
import warnings

from absl import app
from absl import flags
from absl import logging as absl_logging

from keras_squeezenet.cli import interrupts

USAGE = "usage: keras-squeezenet COMMAND [ARGUMENT ...] [--flag=value ...]"
COMMANDS = {
    "compress": "train and compress a SqueezeNet, and report on it",
    "evaluate": "measure how often a network is right on labelled images",
    "explore": "sweep SqueezeNet's design space: sizes, and accuracies",
    "finetune": "train a pretrained SqueezeNet on your images",
    "inspect": "print the layer table of any file that this package writes",
    "pack": "write the smallest file of a trained network",
    "predict": "name what is in photographs",
    "sensitivity": "measure how much each layer bears being compressed",
    "train": "train a SqueezeNet on your images, or on a public data set",
    "weights": "list, fetch, convert and verify pretrained weights",
}
# absl names the last two where a flag is not known.
HELP = ("help", "--help", "-h", "--helpshort", "--helpfull")
NATIVE_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# What bad input raises, besides errors of this package, which are of these.
USER_ERRORS = (ValueError, OSError, ImportError, RuntimeError)
INTERRUPTED = 130
NOTHING = "Nothing was written."


def run(argv=None):
    """Runs the command that the first argument names; never returns."""
    program, *arguments = sys.argv if argv is None else argv
    name, *arguments = arguments or ["help"]
    if name in HELP:
        print(usage())
        sys.exit(0)
    if name not in COMMANDS:
        sys.exit(f"keras-squeezenet: there is no command {name!r}.\n{usage()}")
    try:
        quiet_libraries()
        command = importlib.import_module(f"keras_squeezenet.cli.{name}")
        if any(argument in HELP for argument in arguments):
            print(f"{command.__doc__}\n{command.FLAGS.module_help(command)}")
            sys.exit(0)
        _register_flags(command)
        with interrupts.remembered():
            app.run(
                lambda positional: _call(command, positional),
                argv=[f"keras-squeezenet {name}", *arguments],
            )
    except KeyboardInterrupt as stop:
        # What a command has to say, if it has.
        print(f"\nkeras-squeezenet {name}: stopped. {str(stop) or NOTHING}")
        sys.exit(INTERRUPTED)


def usage():
    lines = [USAGE, ""]
    lines += [f"  {name:12} {what}" for name, what in COMMANDS.items()]
    lines += ["", "keras-squeezenet COMMAND --help lists a command's flags."]
    return "\n".join(lines)


def quiet_libraries():
    """Keeps the libraries' notes to themselves off the terminal.

    Their native code writes to the file descriptor of stderr whatever level
    is set; Python's own messages go on to the terminal. Who sets
    `TF_CPP_MIN_LOG_LEVEL` gets all of it.
    """
    if NATIVE_LOG_LEVEL in os.environ:
        return
    os.environ[NATIVE_LOG_LEVEL] = "3"
    warnings.simplefilter("ignore")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    absl_logging.set_verbosity(absl_logging.ERROR)
    sys.stderr.flush()
    sys.stderr = os.fdopen(
        os.dup(2), "w", buffering=1, errors="backslashreplace"
    )
    with open(os.devnull, "w") as devnull:
        os.dup2(devnull.fileno(), 2)


def _register_flags(command):
    """Has absl parse the flags that a command keeps to itself.

    Flags of several commands have the same names. Each has `FLAGS` of its
    own, so that one process can import them all.
    """
    flags.FLAGS.append_flag_values(command.FLAGS)
    command.FLAGS.mark_as_parsed()


def _call(command, positional):
    program, *arguments = positional
    takes_arguments = hasattr(command, "ARGUMENTS")
    if arguments and not takes_arguments:
        sys.exit(
            f"{program}: flags only are expected, as in --flag=value. "
            f"Received: {' '.join(arguments)}"
        )
    try:
        command.main(*([arguments] if takes_arguments else []))
        sys.stdout.flush()
    except BrokenPipeError:
        # As `head` does when it has enough. Python would flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except USER_ERRORS as error:
        if absl_logging.level_debug():
            traceback.print_exc()
        sys.exit(f"{program}: {error}")
