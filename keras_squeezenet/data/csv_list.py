"""CSV files that list images and their labels."""

import csv
import dataclasses
import os
import pathlib

from keras_squeezenet.data import decode
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_folder

COLUMNS = ("path", "label")
SPLIT_COLUMN = "split"
SPLITS = ("train", "test")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the file.

    Args:
        line: int, the number of its line, from 1.
        path: str, the path of the image.
        label: str, the name of its class.
        split: str, or `None` without such a column.
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
    **unused: object,
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


def load_all(
    path: str | os.PathLike,
    image_size: int,
    skip_bad_images: bool = False,
    shorter_side: int | None = None,
) -> image_dataset.ImageDataset:
    """Load a CSV list to evaluate a network on, in the order of the file.

    Without a column `split` all images are the test set. Unlike in `load`,
    there may be one class only, and an image may be listed twice.

    Args:
        path: path of a CSV file, as `read` takes it.
        image_size: int, the side of the square images in pixels.
        skip_bad_images, shorter_side: as `data.load` takes them.

    Returns:
        An `ImageDataset`; its `train` is `None` without a column `split`. Its
        classes are the sorted labels of the file.

    Raises:
        OSError: if the file does not exist.
        ValueError: if it is not such a CSV file, or images cannot be read.
    """
    path = pathlib.Path(path).expanduser()
    rows = read(path)
    _require_splits(path, rows)
    paths = list(dict.fromkeys(row.path for row in rows))
    squares, skipped = decode.read(
        paths, image_size, shorter_side, skip_bad_images
    )
    rows = [row for row in rows if row.path in squares]
    if not rows:
        raise ValueError(
            f"{path} must list at least one image that can be read. "
            f"Received: {len(paths)} images, none of which can be"
        )
    names = sorted({row.label for row in rows})
    labels = {name: label for label, name in enumerate(names)}

    def examples(split):
        labeled = [
            (row.path, labels[row.label]) for row in rows if row.split == split
        ]
        if not labeled:
            raise ValueError(
                f"{path} must list images of each split. Received: none of "
                f"{split!r}"
            )
        return decode.examples(labeled, squares, image_size, shorter_side)

    has_splits = rows[0].split is not None

    return image_dataset.ImageDataset(
        path.name,
        tuple(names),
        train=examples("train") if has_splits else None,
        test=examples("test" if has_splits else None),
        skipped=skipped,
    )


def _require_splits(path, rows):
    for row in rows:
        if row.split not in (None, *SPLITS):
            raise ValueError(
                f"the split of every row of {path} must be "
                f"{' or '.join(SPLITS)}. Received: line {row.line}, which has "
                f"{row.split!r}"
            )


def read_splits(path: pathlib.Path) -> list[dict[str, list[str]]]:
    """Read the images of the training and the test set by class.

    Args:
        path: path of a CSV file, as `read` takes it. A column `split` has
            `train` or `test` in each row.

    Returns:
        A list of `{class name: paths}` of the training and the test set, or
        of one such dict without a column `split`. Every dict has all classes,
        in the order of their names.

    Raises:
        OSError: if the file does not exist.
        ValueError: if it is not such a CSV file, naming the line.
    """
    rows = read(path)
    _require_splits(path, rows)
    lines = {}
    for row in rows:
        if row.path in lines:
            raise ValueError(
                f"{path} must list every image once. Received: line "
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


def read(path: pathlib.Path) -> list[Row]:
    """Read the rows of a CSV file.

    Args:
        path: path of a CSV file in UTF-8 whose first line names the columns,
            including `path` and `label`. The paths of images are relative to
            the folder of the file; a label is any text.

    Raises:
        OSError: if the file does not exist.
        ValueError: if it is not such a CSV file.
    """
    try:
        # Spreadsheets write a byte order mark.
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, skipinitialspace=True, strict=True)
            rows = [(lines.line_num, line) for line in lines]
            columns = lines.fieldnames or ()
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} must be a CSV file in UTF-8. Received: {error}"
        ) from error
    if not set(COLUMNS) <= set(columns):
        raise ValueError(
            f"{path} must name the columns {' and '.join(COLUMNS)} in its "
            f"first line. Received: {', '.join(columns) or 'an empty file'}"
        )
    if not rows:
        raise ValueError(f"{path} must list images. Received: no rows")
    for number, line in rows:
        if not all(line[name] for name in COLUMNS):
            raise ValueError(
                f"every row of {path} must have a path and a label. "
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
