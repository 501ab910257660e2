"""A CSV file of the paths of images and their labels."""

import csv
import pathlib

COLUMNS = ("path", "label")
SPLIT_COLUMN = "split"
SPLITS = ("train", "test")


def read(path):
    """Reads the images of each class from a CSV file.

    Its first line names the columns: `path`, relative to the file's folder,
    `label`, the name of the class, and perhaps `split`, `train` or `test`.

    Args:
        path: `pathlib.Path` of the file.

    Returns:
        A list of `{class name: paths}` of the training and the test images,
        or of one such dict where there is no column `split`. Every dict has
        all the classes, in the order of their names.

    Raises:
        ValueError: if the file is no such list, naming the line.
        OSError: if it cannot be read.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, restval="", strict=True)
            columns = rows.fieldnames or []
            _require_columns(columns, path)
            entries = {}
            for row in rows:
                _add(entries, row, f"{path}, line {rows.line_num}", path.parent)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8: {error}") from error
    if not entries:
        raise ValueError(f"{path} should list images. Received: none")
    names = sorted({label for label, _ in entries.values()})
    splits = SPLITS if SPLIT_COLUMN in columns else ("",)
    return [
        {
            name: sorted(
                image
                for image, entry in entries.items()
                if entry == (name, split)
            )
            for name in names
        }
        for split in splits
    ]


def _require_columns(columns, path):
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise ValueError(
            f"{path}, line 1, should name the columns {', '.join(COLUMNS)} and "
            f"perhaps {SPLIT_COLUMN}. Received: {', '.join(columns) or 'none'}"
        )


def _add(entries, row, where, folder):
    values = [row.get(column, "").strip() for column in COLUMNS]
    if not all(values):
        raise ValueError(
            f"{where}, should have a path and a label. Received: {values}"
        )
    image, label = folder / values[0], values[1]
    if not image.is_file():
        raise ValueError(f"{where}: there is no file {image}")
    split = row.get(SPLIT_COLUMN, "").strip()
    if SPLIT_COLUMN in row and split not in SPLITS:
        raise ValueError(
            f"{where}: the split should be {' or '.join(SPLITS)}. Received: "
            f"{split!r}"
        )
    if str(image) in entries:
        raise ValueError(f"{where}: {image} is in the list already")
    entries[str(image)] = label, split


def is_listing(path):
    """Whether a path is one of a list, and not of a folder."""
    return pathlib.Path(path).suffix.lower() == ".csv"
