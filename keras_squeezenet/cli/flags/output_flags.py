"""The flags that say where results are written, and how they are printed."""

import contextlib
import json
import os

from keras_squeezenet.cli import terminal
from keras_squeezenet.utils import files
from keras_squeezenet.utils import ownership

DOTS_PER_INCH = 150


def define_run(flag_values, out):
    """Define the flags of a long run that can be resumed."""
    define_folder(flag_values, out, "output folder")
    flag_values.define(
        bool,
        "resume",
        False,
        "continue the interrupted run in --out from its last checkpoint",
    )
    flag_values.define(
        str, "tensorboard", None, "folder for the logs of TensorBoard"
    )


def define_folder(flag_values, out, what):
    flag_values.define(str, "out", out, what)
    flag_values.define(
        bool, "overwrite", False, "replace the files of an earlier run in --out"
    )


def define_file(flag_values, what):
    """Define --out as a file instead of a folder."""
    flag_values.define(str, "out", None, what)
    flag_values["out"].is_file = True
    flag_values.define(bool, "overwrite", False, "replace the file of --out")


def require_new_file(flag_values, suffixes):
    """Raise an error unless the file of --out can be written."""
    out = flag_values["out"].value
    if not out:
        return
    if not out.endswith(suffixes):
        raise ValueError(
            f"--out must end with {' or '.join(suffixes)}. Received: "
            f"--out={out}"
        )
    if os.path.exists(out) and not flag_values["overwrite"].value:
        raise FileExistsError(
            f"{out} exists, and was left as it is. Name another file, or pass "
            "--overwrite to replace it."
        )
    folder = os.path.dirname(os.path.abspath(out))
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"there is no folder {folder} for {out}: make it first."
        )


def define_json(flag_values):
    flag_values.define(bool, "json", False, "print JSON instead of tables")


def define(flag_values, written, out=None):
    """Define the flags of a command that measures, and may write files."""
    define_folder(flag_values, out, f"folder for {written}")
    define_json(flag_values)


def owned(flag_values):
    """Own --out while a command runs.

    Several workers share one folder, which the first of them owns in `train`.
    """
    values = {name: flag_values[name].value for name in flag_values}
    if not values.get("out") or values.get("distribution") == "multi_worker":
        return contextlib.nullcontext()
    if getattr(flag_values["out"], "is_file", False):
        return contextlib.nullcontext()
    return ownership.own(values["out"])


def make_console(flag_values):
    """Return a console, on standard error if `--json` takes the output."""
    return terminal.make_console(stderr=flag_values["json"].value)


def require_valid(flag_values):
    """Raise an error unless the files can be written."""
    out = flag_values["out"].value
    if out:
        files.require_writable(out, flag_values["overwrite"].value)
    elif flag_values["overwrite"].value:
        raise ValueError(
            "--overwrite needs --out, the folder whose files it replaces."
        )


def print_result(flag_values, console, value, tables):
    if flag_values["json"].value:
        print(json.dumps(value, indent=2))
        return
    for table in tables:
        terminal.print_table(console, table)


def write_plot(path, figure):
    figure.savefig(path, dpi=DOTS_PER_INCH)
