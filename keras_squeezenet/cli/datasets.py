"""The flags of every command that takes a data set."""

from absl import flags

from keras_squeezenet import data

# What is defined here is a flag of the command that calls `define`.
flags.disclaim_key_flags()


def define(flag_values):
    """Defines the flags that `load` reads."""
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
    flags.DEFINE_integer(
        "image_size",
        None,
        "side of the images; by default the data set's, or 224",
        flag_values=flag_values,
    )
    flags.DEFINE_bool(
        "skip_bad_images",
        False,
        "go on without the images that cannot be read",
        flag_values=flag_values,
    )


def load(flag_values, seed, progress):
    """Returns the `data.ImageDataset` that the flags ask for."""
    with progress.task("load data", None):
        return data.load(
            flag_values["dataset"].value,
            data_dir=flag_values["data_dir"].value,
            image_size=flag_values["image_size"].value,
            skip_bad_images=flag_values["skip_bad_images"].value,
            seed=seed,
        )
