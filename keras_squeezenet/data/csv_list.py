"""Images that a CSV file lists with their classes."""

import csv
import dataclasses
import pathlib

from keras_squeezenet.data import decode
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_folder

COLUMNS = ("path", "label")
SPLIT_COLUMN = "split"
SPLITS = ("train", "test")


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the file.

    Args:
        line: int, its number, from 1.
        path: str, where the image is.
        label: str, the name of its class.
        split: str, or `None` where there is no such column.
    """

    line: int
    path: str
    label: str
    split: str | None


def load(
    name: str,
    image_size: int | None,
    skip_bad_images: bool,
    seed: int,
    shorter_side: int | None = None,
    **unused,
) -> image_dataset.ImageDataset:
    """Load a CSV list of images; the arguments are those of `data.load`.

    Raises:
        OSError: if the file does not exist.
        ValueError: if it is not such a CSV file, a class has no images, or
            images cannot be read.
    """
    path = pathlib.Path(name).expanduser()
    splits = read_splits(path)
    return image_folder.load_files(
        path.name,
        splits,
        [path] * len(splits),
        image_size,
        skip_bad_images,
        seed,
        shorter_side,
    )


def load_all(path, image_size, skip_bad_images=False, shorter_side=None):
    """Loads the images of a CSV file as `LabelledImages`.

    Args:
        path: path of a CSV file, as `read` takes it.
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
    rows = read(path)
    paths = list(dict.fromkeys(row.path for row in rows))
    squares, skipped = decode.read(
        paths, image_size, shorter_side, skip_bad_images
    )
    rows = [row for row in rows if row.path in squares]
    if not rows:
        raise ValueError(
            f"{path} should list at least one image that can be read. "
            f"Received: {len(paths)} images, and none can be"
        )
    names = sorted({row.label for row in rows})
    labels = {name: index for index, name in enumerate(names)}
    labelled = [(row.path, labels[row.label]) for row in rows]
    return image_dataset.LabelledImages(
        name=path.name,
        class_names=tuple(names),
        examples=decode.as_stored(
            labelled, squares, image_size, shorter_side
        ).examples(),
        size=len(labelled),
        skipped=skipped,
    )


def read_splits(path):
    """Reads the images to train on and to test on from a CSV file.

    Args:
        path: path of a CSV file, as `read` takes it, perhaps with the column
            `split`, which has `train` or `test` in each line.

    Returns:
        A list of `{class name: paths}` of the training and the test images,
        or of one such dict where there is no column `split`. Every dict has
        all the classes, in the order of their names.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is no such CSV file, naming the line.
    """
    rows = read(path)
    lines = {}
    for row in rows:
        if row.split not in (None, *SPLITS):
            raise ValueError(
                f"the split of every line of {path} should be "
                f"{' or '.join(SPLITS)}. Received: line {row.line}, which has "
                f"{row.split!r}"
            )
        if row.path in lines:
            raise ValueError(
                f"{path} should list every image once. Received: line "
                f"{row.line}, whose image is in line {lines[row.path]} too"
            )
        lines[row.path] = row.line
    names = sorted({row.label for row in rows})
    return [
        {
            name: sorted(
                row.path
                for row in rows
                if row.label == name and row.split == split
            )
            for name in names
        }
        for split in ([None] if rows[0].split is None else SPLITS)
    ]


def read(path):
    """Returns the `Row` of each line of a CSV file.

    Args:
        path: path of a CSV file in UTF-8 whose first line names the columns,
            `path` and `label` among them. The paths of images are relative to
            the folder of the file; a label is any text.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is no such CSV file.
    """
    path = pathlib.Path(path)
    try:
        # With or without the mark that spreadsheets begin such files with.
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, skipinitialspace=True, strict=True)
            rows = [(lines.line_num, line) for line in lines]
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
    for number, line in rows:
        if not all(line[name] for name in COLUMNS):
            raise ValueError(
                f"every line of {path} should have a path and a label. "
                f"Received: line {number}, which lacks one"
            )
    return [
        Row(
            number,
            str(path.parent / line["path"]),
            line["label"],
            (line[SPLIT_COLUMN] or "") if SPLIT_COLUMN in columns else None,
        )
        for number, line in rows
    ]
