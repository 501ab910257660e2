"""The flags for the images that exported files are made and measured with."""

from keras_squeezenet.cli.flags import dataset_flags


def define_images(flag_values):
    flag_values.define(
        str,
        "calibration",
        None,
        "photographs to measure the ranges of 8-bit integers on, of which no "
        "label is read: a folder, with sub-folders or without, a CSV file, or "
        "the name of a data set; only the int8 formats need it",
    )
    flag_values.define(
        int,
        "images",
        300,
        "number of calibration photographs to use; from 100 to 500 are usual",
        1,
    )
    dataset_flags.define(
        flag_values,
        default=None,
        what=f"{dataset_flags.DATASET}. The accuracy of every file is measured "
        "on its test images (default: none)",
        image_size=False,
    )
    flag_values.define(
        int, "seed", 0, "seed of the split of a folder without test images", 0
    )
