"""Folders of images with a sub-folder for each class."""

import itertools
import pathlib
import random
from typing import Any

from keras_squeezenet.data import decode
from keras_squeezenet.data import image_dataset

IMAGE_SUFFIXES = tuple(".jpg .jpeg .png .bmp .gif .webp .tif .tiff".split())
TRAIN_FOLDER = "train"
TEST_FOLDERS = ("test", "val", "validation", "valid")
TEST_SHARE = 0.2


def load(name: str, **options: Any) -> image_dataset.ImageDataset:
    """Load a folder of images; the arguments are those of `data.load`."""
    root = pathlib.Path(name).expanduser()
    if not root.is_dir():
        raise ValueError(
            f"the data must be an existing folder of images. Received: {name!r}"
        )
    folders = _split_folders(root)
    splits = [_find_files(folder) for folder in folders]
    _require_same_classes(splits, folders)
    return load_files(root.resolve().name, splits, folders, **options)


def load_files(
    name: str,
    splits: list[dict[str, list[str]]],
    sources: list[pathlib.Path],
    image_size: int | None,
    skip_bad_images: bool,
    seed: int,
    shorter_side: int | None,
    **unused: Any,
) -> image_dataset.ImageDataset:
    """Load image files by class, the files of both splits or of all images.

    Every image is decoded once here, so that a damaged file is found before
    training and not during it.

    Args:
        splits: `{class name: paths}` of the training and the test set, or one
            of all images, of which 20% become the test set.
        sources: where each of these comes from, for errors.
    """
    image_size = image_size or image_dataset.DEFAULT_IMAGE_SIZE
    paths = [
        path for files in splits for path in itertools.chain(*files.values())
    ]
    squares, skipped = decode.read(
        paths, image_size, shorter_side, skip_bad_images
    )
    splits = [_readable(files, squares) for files in splits]
    for files, source in zip(splits, sources):
        _require_images(files, source)
    if len(splits) == 1:
        splits = _split(splits[0], seed)
    labeled = [_labeled(files) for files in splits]
    # So that the first images are not all of one class.
    random.Random(seed).shuffle(labeled[0])
    train, test = (
        decode.examples(split, squares, image_size, shorter_side)
        for split in labeled
    )
    return image_dataset.ImageDataset(
        name, tuple(splits[0]), train=train, test=test, skipped=skipped
    )


def _split_folders(root):
    """Return the folders of the training and the test set, or one of both."""
    train = root / TRAIN_FOLDER
    for name in TEST_FOLDERS:
        if train.is_dir() and (root / name).is_dir():
            return [train, root / name]
    return [root]


def _find_files(folder):
    """Return `{class name: sorted paths}` of the sub-folders of a folder."""
    files = {
        child.name: image_files(child)
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
    }
    if not files:
        raise ValueError(
            "a folder of images must have a sub-folder of images for each "
            f"class. Received: {str(folder)!r}, which has no sub-folder"
        )
    if len(files) < 2:
        raise ValueError(
            "a folder of images must have sub-folders of at least two "
            f"classes. Received: {str(folder)!r}, which has only {list(files)}"
        )
    _require_images(files, folder)
    return files


def image_files(folder: pathlib.Path) -> list[str]:
    """Return the sorted paths of the images in a folder and its sub-folders.

    Files and folders whose names begin with a dot are left out.
    """

    def is_image(path):
        hidden = any(
            part.startswith(".") for part in path.relative_to(folder).parts
        )
        return path.suffix.lower() in IMAGE_SUFFIXES and not hidden

    return sorted(
        str(path)
        for path in folder.rglob("*")
        if is_image(path) and path.is_file()
    )


def _require_images(files, folder):
    empty = [name for name, paths in files.items() if not paths]
    if empty:
        raise ValueError(
            "every class must have at least one readable image "
            f"({', '.join(IMAGE_SUFFIXES)}). Received: {str(folder)!r}, which "
            f"has none for {empty}"
        )


def _require_same_classes(splits, folders):
    for files, folder in zip(splits, folders):
        missing = sorted(set().union(*splits) - set(files))
        if missing:
            raise ValueError(
                "the train and the test folder must have the same classes. "
                f"Received: {str(folder)!r}, which lacks {missing}"
            )


def _readable(files, squares):
    return {
        name: [path for path in paths if path in squares]
        for name, paths in files.items()
    }


def _split(files, seed):
    """Split each class by itself, so that it does not depend on others."""
    train, test = {}, {}
    for name, paths in files.items():
        if len(paths) < 2:
            raise ValueError(
                "without a test set every class must have at least two "
                "readable images, one to train on and one to test on. "
                f"Received: one image of the class {name!r}, {paths[0]!r}"
            )
        size = max(1, round(len(paths) * TEST_SHARE))
        chosen = set(random.Random(seed).sample(paths, size))
        train[name] = [path for path in paths if path not in chosen]
        test[name] = [path for path in paths if path in chosen]
    return train, test


def _labeled(files):
    return [
        (path, label)
        for label, paths in enumerate(files.values())
        for path in paths
    ]
