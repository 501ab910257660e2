"""What the commands that train have in common when they run."""

import contextlib
import pathlib

from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import dataset_flags


@contextlib.contextmanager
def resumable(out, *patterns):
    """Tell a user who presses Ctrl-C how to resume, where that is possible.

    Args:
        out: path of the output folder.
        *patterns: of the files in it that a run can be resumed from.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        folder = pathlib.Path(out)
        if not any(any(folder.glob(pattern)) for pattern in patterns):
            raise
        raise KeyboardInterrupt(
            "The last finished epoch is saved: the same command with --resume "
            "continues from there."
        ) from stop


def load_dataset(
    flag_values, seed, validation_share, progress, image_size=None
):
    """Return the data set of the flags, with a validation set."""
    dataset = dataset_flags.load(flag_values, seed, progress, image_size)
    return dataset.split_validation(validation_share, seed)


def prepare(flag_values, seed, validation_share, console, progress):
    """Return the network and the data set of the flags, and print them.

    Args:
        flag_values: `CommandFlags` of the command.
        seed: int, the seed of every random number.
        validation_share: float, the share of the training images that become
            the validation set.
        console: `rich.console.Console`.
        progress: `progress.Progress`.
    """
    import keras

    dataset = load_dataset(flag_values, seed, validation_share, progress)
    keras.utils.set_random_seed(seed)
    model = build(flag_values, dataset)
    terminal.print_header(console, model, dataset)
    return model, dataset


def build(flag_values, dataset):
    """Return the network of `--config` and `--weights` for a data set."""
    from keras_squeezenet import training

    return training.build(
        dataset.image_size,
        len(dataset.class_names),
        flag_values["config"].value,
        flag_values["weights"].value,
    )
