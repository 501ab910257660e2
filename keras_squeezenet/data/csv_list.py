"""CSV files that list images and their labels.

An image has one label, in the column `label`. Or it has several: their names in
the column `labels`, separated by `|`, or a column of 0 and 1 for each class.
The column `weight`, if there is one, has the sample weights, of which those of
the training images are used. These names may be in any case, and spaces around
names and cells do not count.
"""

import csv
import io
import math
import os
import pathlib
import random
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_squeezenet.data import decode
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_folder
from keras_squeezenet.utils import files
from keras_squeezenet.utils.text import shortened
from keras_squeezenet.utils.text import shown

PATH, SPLIT, WEIGHT = "path", "split", "weight"
ONE, SEVERAL = "label", "labels"
KNOWN = (PATH, SPLIT, WEIGHT, ONE, SEVERAL)
SEPARATOR = "|"
# About ten million rows.
MAX_BYTES = 2**30


class Row(NamedTuple):
    """A row of the file; `split` and `weight` are `None` without a column."""

    line: int
    path: str
    labels: tuple[str, ...]
    split: str | None
    weight: float | None


class List(NamedTuple):
    """The rows of a file, and the names of its classes.

    `several` is whether an image may have several labels.
    """

    rows: list[Row]
    class_names: tuple[str, ...]
    several: bool

    def labeled(self, rows: list[Row]) -> tuple[list[str], np.ndarray]:
        """Return the paths of rows, and their labels as numbers.

        Several labels are float32 rows of 0 and 1.
        """
        numbers = {name: index for index, name in enumerate(self.class_names)}
        paths = [row.path for row in rows]
        if not self.several:
            return paths, np.array([numbers[row.labels[0]] for row in rows])
        labels = np.zeros((len(rows), len(numbers)), "float32")
        for number, row in enumerate(rows):
            labels[number, [numbers[name] for name in row.labels]] = 1
        return paths, labels

    @property
    def weights(self) -> dict[str, float] | None:
        """The sample weights by path; `None` without such a column."""
        weights = {
            row.path: row.weight for row in self.rows if row.weight is not None
        }
        return weights or None


def load(name: str, **options: Any) -> image_dataset.ImageDataset:
    """Load a CSV list of images; the arguments are those of `data.load`."""
    path = pathlib.Path(name).expanduser()
    found = _read(path)
    _require_once(path, found.rows)
    if found.several:
        return _load_several(path, found, **options)
    splits = _by_class(found)
    sources = dict.fromkeys(splits, path)
    origins = dict.fromkeys(splits, "what the column split says")
    return image_folder.load_files(
        path.name,
        splits,
        sources,
        origins,
        {},
        weights=found.weights,
        **options,
    )


def load_all(
    path: str | os.PathLike,
    image_size: int,
    skip_bad_images: bool = False,
    shorter_side: int | None = None,
) -> image_dataset.ImageDataset:
    """Load a CSV list to evaluate a network on, in the order of the file.

    Without a column `split` all images are the test set. There need not be a
    training set. Unlike in `load`, there may be one class only, and an image
    may be listed twice. The classes are the sorted labels of the file, numbers
    in the order of numbers.
    """
    path = pathlib.Path(path).expanduser()
    found = _read(path)
    rows = found.rows
    paths = list(dict.fromkeys(row.path for row in rows))
    squares, skipped = decode.read(
        paths, image_size, shorter_side, skip_bad_images
    )
    bad = set(skipped)
    rows = [row for row in rows if row.path not in bad]
    _require_readable(path, rows, paths)
    if not found.several:
        found = found._replace(class_names=_class_names(rows))

    chosen = {split: [] for split in image_folder.SPLIT_NAMES}
    for row in rows:
        chosen[row.split or "test"].append(row)
    if not chosen["test"]:
        raise ValueError(
            f"{path} must list images of the test set. Received: "
            f"{len(rows)} images that can be read, all of the training set. "
            "Without the column split all images are the test set"
        )
    examples: dict[str, Any] = dict.fromkeys(chosen)
    for split, rows in chosen.items():
        if rows:
            paths, labels = found.labeled(rows)
            examples[split] = decode.examples(
                paths, labels, squares, image_size, shorter_side
            )
    return image_dataset.ImageDataset(
        path.name,
        found.class_names,
        skipped=skipped,
        are_labels_checked=True,
        **examples,
    )


def training_files(path: str | os.PathLike) -> list[str]:
    """Return the paths of the training images, or of all without such a set.

    They are in the order of the file, and each is there once.
    """
    rows = _read(pathlib.Path(path).expanduser()).rows
    chosen = [row.path for row in rows if row.split == "train"]
    return list(dict.fromkeys(chosen or [row.path for row in rows]))


def _load_several(
    path, found, *, image_size, skip_bad_images, seed, shorter_side, **unused
):
    """Load a list of images that may have several labels."""
    image_size = image_size or image_dataset.DEFAULT_IMAGE_SIZE
    paths = [row.path for row in found.rows]
    squares, skipped = decode.read(
        paths, image_size, shorter_side, skip_bad_images
    )
    bad = set(skipped)
    rows = [row for row in found.rows if row.path not in bad]
    _require_readable(path, rows, paths)
    origins = {}
    if found.rows[0].split is None:
        rows = _divided(rows, seed)
        origins = image_folder.OWN_ORIGINS
    splits = {
        split: [row for row in rows if row.split == split]
        for split in _present(rows)
    }
    origins = origins or dict.fromkeys(splits, "what the column split says")
    _require_labeled(path, splits, found.class_names)
    random.Random(seed).shuffle(splits["train"])
    examples = {
        split: decode.examples(
            *found.labeled(rows),
            squares,
            image_size,
            shorter_side,
            image_folder.weights_of([row.path for row in rows], found.weights)
            if split == "train"
            else None,
        )
        for split, rows in splits.items()
    }
    return image_dataset.ImageDataset(
        path.name,
        found.class_names,
        **examples,
        skipped=skipped,
        origins=origins,
        are_labels_checked=True,
    )


def _divided(rows, seed):
    """Return rows of which a share is the test set."""
    size = max(1, round(len(rows) * image_folder.TEST_SHARE))
    chosen = set(random.Random(seed).sample(range(len(rows)), size))
    return [
        row._replace(split="test" if index in chosen else "train")
        for index, row in enumerate(rows)
    ]


def _require_readable(path, rows, paths):
    if not rows:
        raise ValueError(
            f"{path} must list at least one image that can be read. "
            f"Received: {len(paths)} images, none of which can be"
        )


def _require_labeled(path, splits, class_names):
    for split, rows in splits.items():
        if not rows:
            raise image_dataset.SetError(
                f"{path} must list images of each split that can be read. "
                f"Received: none of {split!r}"
            )
    known = {label for row in splits["train"] for label in row.labels}
    missing = [name for name in class_names if name not in known]
    if missing:
        raise image_dataset.SetError(
            f"every label of {path} must be that of a training image. "
            f"Received: no training image with {shown(missing[0])}. Add "
            "images, or leave the label out"
        )


def _require_once(path, rows):
    lines = {}
    for row in rows:
        if row.path in lines:
            raise ValueError(
                f"{path} must list every image once. Received: line "
                f"{row.line}, whose image is in line {lines[row.path]} too"
            )
        lines[row.path] = row.line


def _by_class(found):
    """Return `{class name: paths}` of each split, or of `"all"` images.

    Every dict has all classes, in the order of their names.
    """
    rows = found.rows
    splits = {"all": None}
    if rows[0].split is not None:
        splits = {name: name for name in _present(rows)}
    paths = {
        split: {name: [] for name in found.class_names}
        for split in splits.values()
    }
    for row in rows:
        paths[row.split][row.labels[0]].append(row.path)
    return {
        key: {name: sorted(each) for name, each in paths[split].items()}
        for key, split in splits.items()
    }


def _present(rows):
    """Return the splits that there are, or have to be."""
    found = {row.split for row in rows} | {"train", "test"}
    return [split for split in image_folder.SPLIT_NAMES if split in found]


def _read(path):
    """Return a `List`, with paths that are relative to the file's folder."""
    lines, columns = _read_cells(path)
    classes = _class_columns(path, columns)
    if not lines:
        raise ValueError(f"{path} must list images. Received: no rows")
    found = []
    for number, line in lines:
        if None in line:
            raise ValueError(
                f"no row of {path} may have more cells than the first line. "
                f"Received: line {number}, which does. Quote a cell that has a "
                "comma"
            )
        if not line[PATH] or not line.get(ONE, "-"):
            raise ValueError(
                f"every row of {path} must have a path and a label. "
                f"Received: line {number}, which lacks one"
            )
        found.append(
            Row(
                number,
                str(path.parent / line[PATH]),
                _labels_of(path, number, line, classes),
                _split_of(path, number, line) if SPLIT in columns else None,
                _weight_of(path, number, line) if WEIGHT in columns else None,
            )
        )
    if "test" not in {row.split for row in found}:
        # As in a folder.
        found = [
            row._replace(split="test") if row.split == "validation" else row
            for row in found
        ]
    names = tuple(classes) or _class_names(found)
    return List(found, names, several=ONE not in columns)


def _class_names(rows):
    """Return the sorted labels of rows.

    Numbers are in the order of numbers, as the outputs that they stand for:
    2 is before 10.
    """
    names = sorted({name for row in rows for name in row.labels})
    if all(name.isdecimal() for name in names):
        names.sort(key=len)
    return tuple(names)


def _read_cells(path):
    """Return `{column: cell}` of each line and its number, and the columns."""
    try:
        text = io.StringIO(files.read_text(path, MAX_BYTES), newline="")
        lines = csv.DictReader(text, skipinitialspace=True, strict=True)
        columns = [_column(name) for name in lines.fieldnames or ()]
        lines.fieldnames = columns
        rows = [(lines.line_num, _stripped(line)) for line in lines]
    except csv.Error as error:
        raise ValueError(
            f"{path} must be a CSV file in UTF-8. Received: {error}"
        ) from error
    return rows, columns


def _column(name):
    name = name.strip()
    return name.lower() if name.lower() in KNOWN else name


def _stripped(line):
    """Return a line without spaces around its cells, some of which may lack."""
    return {
        name: cell.strip() if isinstance(cell, str) else cell
        for name, cell in line.items()
    }


def _class_columns(path, columns):
    """Return the columns of classes; none if labels are written by name."""
    named = {ONE, SEVERAL} & set(columns)
    if len(named) == 2:
        raise ValueError(
            f"{path} must have the column label, or labels for several labels "
            "of an image. Received: both; leave one out"
        )
    classes = [] if named else [name for name in columns if name not in KNOWN]
    used = [name for name in columns if name in (*KNOWN, *classes)]
    twice = [name for name in used if used.count(name) > 1]
    if twice:
        raise ValueError(
            f"{path} must have each column once. Received: "
            f"{shown(twice[0])}, which it has twice"
        )
    if PATH not in columns or not (named or len(classes) > 1):
        names = shortened(", ".join(columns)) or "an empty file"
        raise ValueError(
            f"{path} must name the columns path and label in its first line; "
            "for several labels of an image the columns path and labels, where "
            f"they are separated by {SEPARATOR}, or path and a column of 0 and "
            f"1 for each class. Received: {names}"
        )
    return classes


def _labels_of(path, number, line, classes):
    if ONE in line:
        return (line[ONE],)
    if SEVERAL in line:
        parts = (line[SEVERAL] or "").split(SEPARATOR)
        return tuple(part.strip() for part in parts if part.strip())
    for name in classes:
        if line[name] not in ("0", "1"):
            raise ValueError(
                f"the columns of classes of {path} must have 0 or 1 in every "
                f"row. Received: line {number}, which has "
                f"{shown(line[name] or '')} for {shown(name)}. A column of "
                "names is called label, or labels"
            )
    return tuple(name for name in classes if line[name] == "1")


def _split_of(path, number, line):
    written = line[SPLIT] or ""
    split = image_folder.split_of(written)
    if split is None:
        raise ValueError(
            f"the split of every row of {path} must be "
            f"{', '.join(image_folder.SPLIT_NAMES)}. Received: line "
            f"{number}, which has {shown(written)}"
        )
    return split


def _weight_of(path, number, line):
    written = line[WEIGHT] or ""
    try:
        weight = float(written)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise ValueError(
            f"the weight of every row of {path} must be a number, at least 0. "
            f"Received: line {number}, which has {shown(written)}"
        )
    return weight
