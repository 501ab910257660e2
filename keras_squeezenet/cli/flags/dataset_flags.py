"""The flags that say which images are used."""

import functools
import os

from keras_squeezenet import data
from keras_squeezenet.data import catalog
from keras_squeezenet.data import image_files

DATASET = (
    "labeled images: 'mnist5k' (digits that need no download), a folder with "
    "a sub-folder for each class, a CSV file with the columns path and label "
    "(for several labels of an image labels, separated by |, or a column of 0 "
    "and 1 for each class; and perhaps split, and weight, the sample weight in "
    "training), or the name of a data set of TensorFlow Datasets, or the "
    "folder of a prepared one"
)


def define(flag_values, default="mnist5k", what=DATASET, image_size=True):
    """Define the flags that `load` reads, with or without `--image_size`."""
    flag_values.define(str, "dataset", default, what)
    if image_size:
        flag_values.define(
            int,
            "image_size",
            None,
            "side of the square images in pixels (default: that of the model, "
            "where one is given; that of the data set; or 224)"
            if "model" in flag_values
            else "side of the square images in pixels (default: that of the "
            "data set, or 224)",
            1,
        )
    flag_values.define(
        str, "data_dir", None, "where TensorFlow Datasets keeps its data sets"
    )
    flag_values.define(
        bool,
        "skip_bad_images",
        False,
        "leave out the image files that cannot be read",
    )


def require_valid(flag_values):
    """Raise a `ValueError` for a combination of flags without a meaning."""
    data_dir = flag_values["data_dir"].value
    if data_dir is not None:
        catalog.require_tfds_name(flag_values["dataset"].value, data_dir)


def has_labels(flag_values):
    """Return whether the data are more than a folder of photographs."""
    name = flag_values["dataset"].value
    return not (os.path.isdir(name) and image_files.has_images_alone(name))


def load(flag_values, seed, progress, image_size=None, labeled=True):
    """Return the `data.ImageDataset` that the flags name.

    It is read with or without labels, as `data.load` reads them.
    """
    with progress.task("load data", None):
        return loader(flag_values, seed, image_size, labeled=labeled)()


def loader(flag_values, seed, image_size=None, shorter_side=None, **options):
    """Return a function that loads it, which other processes can call too.

    More `options` are those of `data.load`.
    """
    return functools.partial(
        data.load,
        flag_values["dataset"].value,
        data_dir=flag_values["data_dir"].value,
        image_size=image_size,
        skip_bad_images=flag_values["skip_bad_images"].value,
        seed=seed,
        shorter_side=shorter_side,
        **options,
    )
