"""CSV files that list images and their labels."""

import csv
import io
import os
import pathlib
from typing import Any
from typing import NamedTuple

from keras_squeezenet.data import decode
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_folder
from keras_squeezenet.utils import files
from keras_squeezenet.utils.text import shortened
from keras_squeezenet.utils.text import shown

COLUMNS = ("path", "label")
# About ten million rows.
MAX_BYTES = 2**30


class Row(NamedTuple):
    """A row of the file; `split` is `None` without such a column."""

    line: int
    path: str
    label: str
    split: str | None


def load(name: str, **options: Any) -> image_dataset.ImageDataset:
    """Load a CSV list of images; the arguments are those of `data.load`."""
    path = pathlib.Path(name).expanduser()
    splits = _read_splits(path)
    sources = dict.fromkeys(splits, path)
    origins = dict.fromkeys(splits, "what the column split says")
    return image_folder.load_files(
        path.name, splits, sources, origins, {}, **options
    )


def load_all(
    path: str | os.PathLike,
    image_size: int,
    skip_bad_images: bool = False,
    shorter_side: int | None = None,
) -> image_dataset.ImageDataset:
    """Load a CSV list to evaluate a network on, in the order of the file.

    Without a column `split` all images are the test set, and there is no
    training set. Unlike in `load`, there may be one class only, and an image
    may be listed twice. The classes are the sorted labels of the file.
    """
    path = pathlib.Path(path).expanduser()
    rows = _read(path)
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

    if rows[0].split is None:
        splits = {"train": None, "test": examples(None)}
    else:
        splits = {split: examples(split) for split in _present(rows)}
    return image_dataset.ImageDataset(
        path.name, tuple(names), skipped=skipped, **splits
    )


def _read_splits(path):
    """Return `{class name: paths}` of each split, or of `"all"` images.

    Every dict has all classes, in the order of their names.
    """
    rows = _read(path)
    lines = {}
    for row in rows:
        if row.path in lines:
            raise ValueError(
                f"{path} must list every image once. Received: line "
                f"{row.line}, whose image is in line {lines[row.path]} too"
            )
        lines[row.path] = row.line
    names = sorted({row.label for row in rows})
    splits = {"all": None}
    if rows[0].split is not None:
        splits = {name: name for name in _present(rows)}
    return {
        key: {
            name: sorted(
                row.path
                for row in rows
                if row.label == name and row.split == split
            )
            for name in names
        }
        for key, split in splits.items()
    }


def _present(rows):
    """Return the splits that there are, or have to be."""
    found = {row.split for row in rows} | {"train", "test"}
    return [split for split in image_folder.SPLIT_NAMES if split in found]


def _read(path):
    """Return the rows, with paths that are relative to the file's folder."""
    try:
        text = io.StringIO(files.read_text(path, MAX_BYTES), newline="")
        lines = csv.DictReader(text, skipinitialspace=True, strict=True)
        rows = [(lines.line_num, line) for line in lines]
        columns = lines.fieldnames or ()
    except csv.Error as error:
        raise ValueError(
            f"{path} must be a CSV file in UTF-8. Received: {error}"
        ) from error
    names = shortened(", ".join(columns)) or "an empty file"
    if not set(COLUMNS) <= set(columns):
        raise ValueError(
            f"{path} must name the columns {' and '.join(COLUMNS)} in its "
            f"first line. Received: {names}"
        )
    if not rows:
        raise ValueError(f"{path} must list images. Received: no rows")
    found = []
    for number, line in rows:
        if not all(line[name] for name in COLUMNS):
            raise ValueError(
                f"every row of {path} must have a path and a label. "
                f"Received: line {number}, which lacks one"
            )
        if None in line:
            raise ValueError(
                f"no row of {path} may have more cells than the first line. "
                f"Received: line {number}, which does. Quote a cell that has a "
                "comma"
            )
        split = None
        if "split" in columns:
            written = line["split"] or ""
            split = image_folder.split_of(written)
            if split is None:
                raise ValueError(
                    f"the split of every row of {path} must be "
                    f"{', '.join(image_folder.SPLIT_NAMES)}. Received: line "
                    f"{number}, which has {shown(written)}"
                )
        image = str(path.parent / line["path"])
        found.append(Row(number, image, line["label"], split))
    if "test" not in {row.split for row in found}:
        # As in a folder.
        found = [
            row._replace(split="test") if row.split == "validation" else row
            for row in found
        ]
    return found
