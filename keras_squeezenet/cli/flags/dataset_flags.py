"""The flags of every command that takes a data set."""

import functools

from absl import flags

from keras_squeezenet import data

# What is defined here is a flag of the command that calls `define`.
flags.disclaim_key_flags()


def define(flag_values):
    """Defines the flags that `load` reads."""
    define_source(flag_values)
    flags.DEFINE_integer(
        "image_size",
        None,
        "side of the images; by default the data set's, or 224",
        flag_values=flag_values,
    )


def define_source(flag_values):
    """Defines them but the size of the images, which a network may have."""
    flags.DEFINE_string(
        "dataset",
        "mnist5k",
        "'mnist5k' (embedded, no download), 'folder', or the name of any "
        "image classification data set of TensorFlow Datasets",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "the folder of images, with a sub-folder for each class, or a CSV file "
        "with the columns path, label and perhaps split; or the folder of "
        "TensorFlow Datasets",
        flag_values=flag_values,
    )
    flags.DEFINE_bool(
        "skip_bad_images",
        False,
        "go on without the images that cannot be read",
        flag_values=flag_values,
    )


def load(flag_values, seed, progress, image_size=None, shorter_side=None):
    """Returns the `data.ImageDataset` that the flags ask for.

    Args:
        flag_values: of the command.
        seed: int, as `data.load` takes it.
        progress: `progress.Progress`.
        image_size: int, where there is no flag for it. Defaults to `None`.
        shorter_side: int, as `data.load` takes it. Defaults to `None`.
    """
    image_size = image_size or flag_values["image_size"].value
    with progress.task("load data", None):
        return loader(flag_values, seed, image_size, shorter_side)()


def loader(flag_values, seed, image_size=None, shorter_side=None):
    """Returns a function that loads it, which other processes can call too."""
    return functools.partial(
        data.load,
        flag_values["dataset"].value,
        data_dir=flag_values["data_dir"].value,
        image_size=image_size,
        skip_bad_images=flag_values["skip_bad_images"].value,
        seed=seed,
        shorter_side=shorter_side,
    )
