"""The flags that say where results are written, and how they are printed."""

from absl import flags

from keras_squeezenet.cli import terminal
from keras_squeezenet.utils import files

DOTS_PER_INCH = 150


def define_run(flag_values, out):
    """Define the flags of a long run that can be resumed."""
    define_folder(flag_values, out, "output folder")
    flags.DEFINE_bool(
        "resume",
        False,
        "continue the interrupted run in --out from its last checkpoint",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "tensorboard",
        None,
        "folder for the logs of TensorBoard",
        flag_values=flag_values,
    )


def define_folder(flag_values, out, what):
    """Define `--out` and `--overwrite`."""
    flags.DEFINE_string("out", out, what, flag_values=flag_values)
    flags.DEFINE_bool(
        "overwrite",
        False,
        "replace the files of an earlier run in --out",
        flag_values=flag_values,
    )


def define_json(flag_values):
    """Define `--json`."""
    flags.DEFINE_bool(
        "json", False, "print JSON instead of tables", flag_values=flag_values
    )


def define(flag_values, written, out=None):
    """Define the flags of a command that measures.

    Args:
        flag_values: `CommandFlags` of the command.
        written: str, the names of the files.
        out: str, the folder for them. Defaults to `None`: they are written
            only with `--out`.
    """
    define_folder(flag_values, out, f"folder for {written}")
    define_json(flag_values)


def make_console(flag_values):
    """Return a console, on standard error if `--json` takes the output."""
    is_json = flag_values["json"].value
    if is_json:
        import keras

        # The progress bar of a download is on the standard output.
        keras.config.disable_interactive_logging()
    return terminal.make_console(stderr=is_json)


def require_valid(flag_values):
    """Raise an error unless the files can be written.

    Raises:
        ValueError: for `--overwrite` without `--out`.
        FileExistsError: if the folder is not empty.
    """
    out, overwrite = (flag_values[name].value for name in ("out", "overwrite"))
    if out:
        files.require_writable(out, overwrite)
    elif overwrite:
        raise ValueError(
            "--overwrite needs --out, the folder whose files it replaces."
        )


def new_folder(flag_values):
    """Return `files.new_folder` of the flags."""
    return files.new_folder(
        flag_values["out"].value, flag_values["overwrite"].value
    )


def write_plot(path, figure):
    """Write a matplotlib figure."""
    figure.savefig(path, dpi=DOTS_PER_INCH)
