"""The flags for the calibration images of networks in 8-bit integers."""


def define(flag_values):
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
