"""Folders of images with a sub-folder for each class."""

import collections
import itertools
import logging
import os
import pathlib
import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_squeezenet.data import decode
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_files
from keras_squeezenet.data import labels as labels_lib
from keras_squeezenet.utils import text

# What the sets may be called, in any case.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
}
TEST_SHARE = 0.2
OWN_ORIGINS = {"train": "80% of the images", "test": "the other 20%"}
NO_CLASS = "in no class folder"
NO_SPLIT = "in folders beside the sets"
NO_LABEL = ""
# How many images without labels a folder needs: those of "all" are divided
# into three sets, each of which must have one.
MIN_UNLABELED = {"all": 3, "train": 1, "validation": 1, "test": 1}

logger = logging.getLogger(__name__)


def load(name: str, **options: Any) -> image_dataset.ImageDataset:
    """Load a folder of images; the arguments are those of `data.load`."""
    root = _existing(name)
    left_out = collections.Counter()
    sources = _split_folders(root, left_out)
    splits = {
        split: _find_files(folder, left_out)
        for split, folder in sources.items()
    }
    _require_same_classes(splits, sources)
    return _load(root, splits, sources, left_out, **options)


def load_unlabeled(name: str, **options: Any) -> image_dataset.ImageDataset:
    """Load a folder of images without labels, in sub-folders or not."""
    root = _existing(name)
    left_out = collections.Counter()
    sources = _split_folders(root, left_out)
    splits = {}
    for split, folder in sources.items():
        images, others = image_files.find(folder)
        left_out.update(others)
        if len(images) < MIN_UNLABELED[split]:
            raise ValueError(
                f"the folder must have at least {MIN_UNLABELED[split]} images, "
                "in sub-folders or not. Received: "
                f"{str(folder)!r}, which has {len(images)}"
            )
        splits[split] = {NO_LABEL: images}
    return _load(root, splits, sources, left_out, **options)


def _existing(name):
    root = pathlib.Path(name).expanduser()
    if not root.is_dir():
        raise ValueError(
            f"the data must be an existing folder of images. Received: {name!r}"
        )
    return root


def _load(root, splits, sources, left_out, **options):
    if left_out:
        logger.info("%s", image_files.describe(root, left_out))
    origins = {
        split: f"the folder {folder.name}"
        for split, folder in sources.items()
        if split != "all"
    }
    return load_files(
        root.resolve().name, splits, sources, origins, left_out, **options
    )


def training_folder(root: str | os.PathLike) -> pathlib.Path:
    """Return the folder of the training set, or the whole without such sets."""
    root = pathlib.Path(root)
    sets = {split_of(each.name): each for each in sub_folders(root)}
    has_others = sets.keys() & {"test", "validation"}
    return sets["train"] if "train" in sets and has_others else root


def split_of(name: str) -> str | None:
    """Return the split that a name stands for, or `None`."""
    for split, names in SPLIT_NAMES.items():
        if name.lower() in names:
            return split
    return None


def sub_folders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the sorted sub-folders that may have images of the user."""
    return [
        child
        for child in sorted(folder.iterdir())
        if child.is_dir() and not image_files.is_ignored(child.name)
    ]


def load_files(
    name: str,
    splits: dict[str, dict[str, list[str]]],
    sources: dict[str, pathlib.Path],
    origins: dict[str, str],
    left_out: dict[str, int],
    *,
    image_size: int | None,
    skip_bad_images: bool,
    seed: int,
    shorter_side: int | None,
    weights: Mapping[str, float] | None = None,
    **unused: Any,
) -> image_dataset.ImageDataset:
    """Load image files by split and class.

    Images that fit in memory are decoded once here, so that a damaged file is
    found before training and not during it. Others are decoded here only with
    `skip_bad_images`.

    Args:
        splits: `{class name: paths}` of each split: `"train"` and `"test"`, and
            perhaps `"validation"`; or of `"all"`, of which 20% become the test
            set. The one class of images without labels is `NO_LABEL`.
        sources: where each of these comes from, for errors.
        origins, left_out: those of the `ImageDataset`.
        weights: the sample weights of the training images, by path. Defaults
            to `None`: they have none.
    """
    image_size = image_size or image_dataset.DEFAULT_IMAGE_SIZE
    paths = [
        path
        for files in splits.values()
        for path in itertools.chain(*files.values())
    ]
    squares, skipped = decode.read(
        paths, image_size, shorter_side, skip_bad_images
    )
    if skipped:
        splits = {
            split: _readable(files, set(skipped))
            for split, files in splits.items()
        }
    for split, files in splits.items():
        _require_images(files, sources[split], split)
    if "all" in splits:
        splits = _split(splits["all"], seed)
    examples = {}
    for split, files in splits.items():
        # So that the first images are not all of one class.
        labeled, labels = _labeled(files, seed if split == "train" else None)
        examples[split] = decode.examples(
            labeled,
            labels,
            squares,
            image_size,
            shorter_side,
            weights_of(labeled, weights) if split == "train" else None,
        )
    return image_dataset.ImageDataset(
        name,
        tuple(
            text.well_formed(each)
            for each in splits["train"]
            if each != NO_LABEL
        ),
        train=examples["train"],
        test=examples["test"],
        validation=examples.get("validation"),
        skipped=skipped,
        left_out=dict(left_out),
        origins=OWN_ORIGINS if sources.keys() == {"all"} else origins,
        are_labels_checked=True,
    )


def weights_of(
    paths: list[str], weights: Mapping[str, float] | None
) -> np.ndarray | None:
    """Return the sample weights of training images; `None` without any."""
    if weights is None:
        return None
    found = np.array([weights[path] for path in paths])
    return labels_lib.require_weights(found, len(paths), "train")


def _split_folders(root, left_out):
    """Return `{split: folder}`; `"all"` where the sub-folders are classes."""
    folders = {}
    others = []
    for folder in sub_folders(root):
        split = split_of(folder.name)
        if split is None:
            others.append(folder)
        elif split in folders:
            raise ValueError(
                f"a folder of images must have one {split} folder. Received: "
                f"{str(root)!r}, which has {folders[split].name!r} and "
                f"{folder.name!r}"
            )
        else:
            folders[split] = folder
    if not folders:
        return {"all": root}
    if set(folders) == {"train"} and not others:
        return {"all": folders["train"]}
    if "train" not in folders or len(folders) < 2:
        names = [folder.name for folder in folders.values()]
        raise ValueError(
            "a folder of images must have sub-folders for the classes, or a "
            "train folder and a test or validation folder that have them. "
            f"Received: {str(root)!r}, whose sub-folders {names} are called "
            f"like a set, beside {[folder.name for folder in others]}. Rename "
            "or move them, or name one of them instead of the whole"
        )
    if others:
        left_out[NO_SPLIT] = sum(
            len(image_files.find(folder)[0]) for folder in others
        )
    if "test" not in folders:
        folders["test"] = folders.pop("validation")
    return {split: folders[split] for split in SPLIT_NAMES if split in folders}


def _find_files(folder, left_out):
    """Return `{class name: sorted paths}` of the sub-folders of a folder."""
    images, others = image_files.find(folder)
    left_out.update(others)
    files = {child.name: [] for child in sub_folders(folder)}
    for path in images:
        folders = image_files.folders_within(path, folder)
        if folders:
            files[folders[0]].append(path)
        else:
            left_out[NO_CLASS] += 1
    if not files:
        raise image_dataset.SetError(
            "a folder of images must have a sub-folder of images for each "
            f"class. Received: {str(folder)!r}, which has no sub-folder"
        )
    if len(files) < 2:
        raise image_dataset.SetError(
            "a folder of images must have sub-folders of at least two "
            f"classes. Received: {str(folder)!r}, which has only {list(files)}"
        )
    _require_images(files, folder)
    return files


def _require_images(files, source, split="all"):
    empty = [name for name, paths in files.items() if not paths]
    if empty:
        owner = "which" if split == "all" else f"whose {split} set"
        raise image_dataset.SetError(
            "every class must have at least one readable image. Received: "
            f"{str(source)!r}, {owner} has none for {empty}"
        )


def _require_same_classes(splits, sources):
    for split, files in splits.items():
        missing = sorted(set().union(*splits.values()) - set(files))
        if missing:
            raise image_dataset.SetError(
                "the folders of the sets must have the same classes. "
                f"Received: {str(sources[split])!r}, which lacks {missing}"
            )


def _readable(files, skipped):
    return {
        name: [path for path in paths if path not in skipped]
        for name, paths in files.items()
    }


def _split(files, seed):
    """Split each class by itself, so that it does not depend on others."""
    train, test = {}, {}
    for name, paths in files.items():
        if len(paths) < 2:
            raise image_dataset.SetError(
                "without a test set every class must have at least two "
                "readable images, one to train on and one to test on. "
                f"Received: one image of the class {name!r}, {paths[0]!r}"
            )
        size = max(1, round(len(paths) * TEST_SHARE))
        chosen = set(random.Random(seed).sample(paths, size))
        train[name] = [path for path in paths if path not in chosen]
        test[name] = [path for path in paths if path in chosen]
    return {"train": train, "test": test}


def _labeled(files, seed):
    """Return paths and labels, in an order that depends on a seed, if any."""
    paths = [*itertools.chain(*files.values())]
    labels = np.repeat(np.arange(len(files)), [*map(len, files.values())])
    if seed is None:
        return paths, labels
    order = [*range(len(paths))]
    random.Random(seed).shuffle(order)
    return [paths[index] for index in order], labels[order]
