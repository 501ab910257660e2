"""Images that a CSV file lists with their classes."""

import csv
import pathlib

from keras_squeezenet.data import dataset
from keras_squeezenet.data import reading

COLUMNS = ("path", "label")


def load(path, image_size, skip_bad_images=False, shorter_side=None):
    """Loads the images of a CSV file as `LabelledImages`.

    Args:
        path: path of a CSV file in UTF-8 whose first line names the columns,
            `path` and `label` among them. The paths of images are relative to
            the folder of the file; a label is any text.
        image_size: int, the side of the square images in pixels.
        skip_bad_images: as `data.load` takes it. Defaults to `False`.
        shorter_side: as `data.load` takes it. Defaults to `None`.

    Returns:
        `LabelledImages` in the order of the file. Its classes are the labels
        that there are, sorted.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is no such CSV file, or images cannot be read.
    """
    path = pathlib.Path(path).expanduser()
    rows = [
        (str(path.parent / image), label) for image, label in _read_rows(path)
    ]
    paths = list(dict.fromkeys(image for image, _ in rows))
    squares, skipped = reading.read(
        paths, image_size, shorter_side, skip_bad_images
    )
    rows = [(image, label) for image, label in rows if image in squares]
    if not rows:
        raise ValueError(
            f"{path} should list at least one image that can be read. "
            f"Received: {len(paths)} images, and none can be"
        )
    names = sorted({label for _, label in rows})
    labels = {name: index for index, name in enumerate(names)}
    labelled = [(image, labels[label]) for image, label in rows]
    return dataset.LabelledImages(
        name=path.name,
        class_names=tuple(names),
        examples=reading.examples(labelled, squares, image_size, shorter_side),
        size=len(labelled),
        skipped=skipped,
    )


def _read_rows(path):
    """Returns the `(path, label)` of each line."""
    try:
        # With or without the mark that spreadsheets begin such files with.
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, skipinitialspace=True)
            rows = [
                (lines.line_num, *(line.get(name) for name in COLUMNS))
                for line in lines
            ]
            columns = lines.fieldnames or ()
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} should be a CSV file in UTF-8. Received: {error}"
        ) from error
    if not set(COLUMNS) <= set(columns):
        raise ValueError(
            f"{path} should name the columns {' and '.join(COLUMNS)} in its "
            f"first line. Received: {', '.join(columns) or 'an empty file'}"
        )
    if not rows:
        raise ValueError(f"{path} should list images. It has none.")
    for number, image, label in rows:
        if not (image and label):
            raise ValueError(
                f"every line of {path} should have a path and a label. "
                f"Received: line {number}, which lacks one"
            )
    return [(image, label) for _, image, label in rows]
