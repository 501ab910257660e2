"""`keras-squeezenet COMMAND [ARGUMENT ...] [--flag=value ...]`."""

import faulthandler
import importlib
import logging
import os
import sys
import traceback
import warnings
from typing import Any

import keras_squeezenet
from keras_squeezenet.cli import interrupts
from keras_squeezenet.cli import native_notes
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.utils import extras
from keras_squeezenet.utils import suggestions
from keras_squeezenet.utils.text import printable

PROGRAM = "keras-squeezenet"
USAGE = f"usage: {PROGRAM} COMMAND [ARGUMENT ...] [--flag=value ...]"
COMMANDS = {
    "train": "train a SqueezeNet on your images or on a public data set",
    "finetune": "fine-tune a pretrained SqueezeNet on your images",
    "compress": "prune, quantize and pack a network, and report on it",
    "pack": "quantize a network into a small file, without training",
    "export": "write a network for other runtimes, and try each file",
    "benchmark": "time a network in every runtime that is installed",
    "predict": "classify image files",
    "embed": "write the features of image files, or find similar ones",
    "evaluate": "measure the accuracy of a network on labeled images",
    "inspect": "show the layers of a file or of pretrained weights",
    "sensitivity": "measure how pruning and fewer bits change each layer",
    "explore": "sweep the design space: sizes and accuracies",
    "upload": "upload a network with its model card to the Hugging Face hub",
    "weights": "list, fetch, convert and verify pretrained weights",
}
HELP = ("help", "--help", "-h", "-help")
VERSION = ("--version", "version")
NATIVE_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# A traceback is shown beside the message of an error.
DEBUG = "KERAS_SQUEEZENET_DEBUG"
# What bad input raises, besides the errors of this package, which derive
# from these.
USER_ERRORS = (ValueError, OSError, ImportError, RuntimeError, MemoryError)
NOTHING = "Nothing was written."


def run(argv: list[str] | None = None) -> None:
    """Run the command of the arguments, by default the process's, and exit."""
    _, *arguments = sys.argv if argv is None else argv
    name, *arguments = arguments or ["help"]
    if name in HELP:
        _print_last(usage())
        sys.exit(0)
    if name in VERSION:
        _print_last(f"{PROGRAM} {keras_squeezenet.__version__}")
        sys.exit(0)
    if name not in COMMANDS:
        hint = suggestions.did_you_mean(name, COMMANDS)
        sys.exit(f"{PROGRAM}: there is no command {name!r}.{hint}\n{usage()}")
    try:
        with interrupts.remembered():
            _run_command(name, arguments)
    except KeyboardInterrupt as stop:
        _print_last(f"\n{PROGRAM} {name}: stopped. {str(stop) or NOTHING}")
        sys.exit(interrupts.status())
    sys.exit(0)


def _run_command(name, arguments):
    command = importlib.import_module(f"keras_squeezenet.cli.{name}")
    if any(argument in HELP[1:] for argument in arguments):
        _print_last(help_text(name, command))
        return
    try:
        positional = command.FLAGS.parse(arguments)
    except ValueError as error:
        sys.exit(f"{PROGRAM} {name}: {printable(str(error))}")
    quiet_libraries()
    interrupts.check()
    _call(f"{PROGRAM} {name}", command, positional)


def usage() -> str:
    """Return the list of the commands."""
    lines = [USAGE, ""]
    lines += [f"  {name:12} {what}" for name, what in COMMANDS.items()]
    lines += ["", f"{PROGRAM} COMMAND --help lists the flags of a command."]
    return "\n".join(lines)


def synopsis(name: str, command: Any) -> str:
    """Return the name of a command with its arguments."""
    return f"{PROGRAM} {name} {command.FLAGS.arguments}".rstrip()


def help_text(name: str, command: Any) -> str:
    """Return the help of a command: what it does, and its flags."""
    return (
        f"usage: {synopsis(name, command)} [--flag=value ...]\n\n"
        f"{command.__doc__.strip()}\n{command.FLAGS.help()}"
    )


def quiet_libraries() -> None:
    """Keep the notes of the libraries off the terminal, and show our own.

    With `TF_CPP_MIN_LOG_LEVEL` set, to any level, all of them are shown.
    """
    if NATIVE_LOG_LEVEL not in os.environ:
        os.environ[NATIVE_LOG_LEVEL] = "3"
        warnings.simplefilter("ignore")
        for library in ("absl", "tensorflow"):
            logging.getLogger(library).setLevel(logging.ERROR)
        native_notes.drop()
    # The message of a crash of native code has the lines of Python.
    faulthandler.enable()
    ours = logging.getLogger("keras_squeezenet")
    ours.setLevel(logging.INFO)
    # Libraries may add handlers to the root logger while a command runs.
    ours.propagate = False
    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter("%(message)s"))
    ours.addHandler(handler)


class _PrintableFormatter(logging.Formatter):
    def format(self, record):
        return printable(super().format(record))


def _call(program, command, positional):
    try:
        with (
            interrupts.first(),
            extras.named(),
            output_flags.owned(command.FLAGS),
        ):
            command.main(*positional)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has ended.
        _discard_output()
        sys.exit(1)
    except USER_ERRORS as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        sys.exit(f"{program}: {printable(str(error) or repr(error))}")


def _print_last(text):
    """Print what the output ends with, even if its reader has ended."""
    try:
        print(text, flush=True)
    except OSError:
        _discard_output()


def _discard_output():
    """Keep Python from flushing the output to a reader that has ended."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
