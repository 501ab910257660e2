"""The flags of every command that measures, and writes what it found."""

import keras
import rich.console
from absl import flags

from keras_squeezenet.utils import files

DOTS_PER_INCH = 150

# What is defined here is a flag of the command that calls `define`.
flags.disclaim_key_flags()


def define(flag_values, files, out=None):
    """Defines the flags that the others here read.

    Args:
        flag_values: of the command.
        files: str, what it writes.
        out: str, the folder for them. Defaults to `None`: nothing is written
            unless it is asked for.
    """
    flags.DEFINE_string(
        "out", out, f"folder for {files}", flag_values=flag_values
    )
    flags.DEFINE_bool(
        "overwrite", False, "replace these files", flag_values=flag_values
    )
    flags.DEFINE_bool(
        "json", False, "print JSON, for programs", flag_values=flag_values
    )


def begin(flag_values):
    """Returns a console, once it is known that the files can be written.

    Where JSON is printed, everything else goes to the standard error.
    """
    out, overwrite, is_json = (
        flag_values[name].value for name in ("out", "overwrite", "json")
    )
    if out:
        files.require_writable(out, overwrite)
    if is_json:
        keras.config.disable_interactive_logging()
    return rich.console.Console(markup=False, highlight=False, stderr=is_json)


def new_folder(flag_values):
    """Returns `outputs.new_folder` of the flags."""
    return files.new_folder(
        flag_values["out"].value, flag_values["overwrite"].value
    )


def write_picture(path, figure):
    """Writes a matplotlib figure."""
    figure.savefig(path, dpi=DOTS_PER_INCH)
