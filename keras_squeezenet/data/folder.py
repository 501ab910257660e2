"""Image files of one's own: a folder with one sub-folder a class, or a list."""

import itertools
import os
import pathlib
import random
from concurrent import futures

import numpy as np
import tensorflow as tf

from keras_squeezenet.data import dataset
from keras_squeezenet.data import images
from keras_squeezenet.data import listing

IMAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
)
TRAIN_FOLDER = "train"
TEST_FOLDERS = ("test", "val", "validation", "valid")
TEST_SHARE = 0.2
NAMED_FILES = 5


def load(name, data_dir, image_size, skip_bad_images, seed):
    """Loads a folder of images as an `ImageDataset`.

    Every image is decoded once here, so that a damaged file shows before
    training and not in the middle of it.

    Args:
        name: str, the data set's name.
        data_dir: path of the folder: `train` and `test` (or `val`,
            `validation`, `valid`) with one sub-folder a class in each, or
            the sub-folders of the classes; or of a CSV file, as
            `listing.read` takes it.
        image_size: int, or `None` for 224.
        skip_bad_images: whether to leave out what cannot be read.
        seed: int, of the split where there is no test folder, and of the
            order of the training images.

    Raises:
        ValueError: if there is no such folder, it is not laid out like that,
            a class lacks images, or images cannot be read.
    """
    root = _existing_source(data_dir)
    image_size = image_size or dataset.DEFAULT_IMAGE_SIZE
    if listing.is_listing(root):
        splits = listing.read(root)
        folders = [root] * len(splits)
    else:
        folders = _split_folders(root)
        splits = [_find_files(folder) for folder in folders]
        _require_same_classes(splits, folders)
    squares, skipped = _read_all(splits, image_size)
    if skipped and not skip_bad_images:
        raise _unreadable(skipped)
    splits = [_readable(files, squares) for files in splits]
    for files, folder in zip(splits, folders):
        _require_images(files, folder)
    if len(splits) == 1:
        splits = _split(splits[0], seed)
    train, test = (_labelled(files) for files in splits)
    # Mixed here, since a large folder is only shuffled within a window later.
    random.Random(seed).shuffle(train)
    return dataset.ImageDataset(
        name=name,
        image_size=image_size,
        class_names=tuple(splits[0]),
        train=_examples(train, squares, image_size),
        test=_examples(test, squares, image_size),
        train_size=len(train),
        test_size=len(test),
        skipped=skipped,
    )


def _existing_source(data_dir):
    if data_dir is None:
        raise ValueError(
            "The data set 'folder' needs the folder of the images: set "
            "`--data_dir` (data_dir=...). Received: data_dir=None"
        )
    root = pathlib.Path(data_dir).expanduser()
    if listing.is_listing(root) and root.is_file():
        return root
    if not root.is_dir():
        raise ValueError(
            "`data_dir` should be an existing folder of images, or a CSV file "
            "of their paths and labels. Received: "
            f"data_dir={os.fspath(data_dir)!r}"
        )
    return root


def _split_folders(root):
    """Returns the folders of the train and the test split, or of both."""
    train = root / TRAIN_FOLDER
    for name in TEST_FOLDERS:
        if train.is_dir() and (root / name).is_dir():
            return [train, root / name]
    return [root]


def _find_files(folder):
    """Returns `{class name: sorted paths}` of a folder's sub-folders."""
    files = {
        child.name: image_files(child)
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
    }
    if not files:
        raise ValueError(
            "A folder of images should have one sub-folder of images for each "
            f"class. Received: {str(folder)!r}, which has no sub-folder"
        )
    if len(files) < 2:
        raise ValueError(
            "A folder of images should have sub-folders of at least two "
            f"classes. Received: {str(folder)!r}, which has only {list(files)}"
        )
    _require_images(files, folder)
    return files


def image_files(folder):
    """Returns the sorted paths of a folder's images, sub-folders' included.

    What begins with a dot is left out.

    Args:
        folder: `pathlib.Path`.
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
            "Every class should have at least one readable image "
            f"({', '.join(IMAGE_SUFFIXES)}). Received: {str(folder)!r}, which "
            f"has none for {empty}"
        )


def _require_same_classes(splits, folders):
    for files, folder in zip(splits, folders):
        missing = sorted(set().union(*splits) - set(files))
        if missing:
            raise ValueError(
                "The train and the test folder should have the same classes. "
                f"Received: {str(folder)!r}, which lacks {missing}"
            )


def _read_all(splits, image_size):
    """Decodes every file once, several at a time.

    Returns:
        `{path: square}` of what can be read, with `None` for each square if
        they do not all fit in memory, and a tuple of the other paths.
    """
    paths = [
        path for files in splits for path in itertools.chain(*files.values())
    ]
    keep = dataset.fits_in_memory(len(paths), image_size)

    def read(path):
        try:
            image = images.read_image(path)
        # Pillow has many exceptions for what is wrong with a file.
        except Exception:
            return False, None
        return True, _square(image, image_size) if keep else None

    with futures.ThreadPoolExecutor() as pool:
        found = dict(zip(paths, pool.map(read, paths)))
    squares = {path: square for path, (good, square) in found.items() if good}
    return squares, tuple(path for path in paths if path not in squares)


def _square(image, image_size):
    # As within `tf.data`, whose images never go to an accelerator.
    with tf.device("CPU:0"):
        return images.square(image, image_size)


def _unreadable(paths):
    more = len(paths) - NAMED_FILES
    return ValueError(
        f"The images should be readable. Received: {len(paths)} that "
        f"cannot be read: {', '.join(map(repr, paths[:NAMED_FILES]))}"
        f"{f' and {more} more' if more > 0 else ''}. Repair or remove them, "
        "or go on without them: `--skip_bad_images` (skip_bad_images=True)"
    )


def _readable(files, squares):
    return {
        name: [path for path in paths if path in squares]
        for name, paths in files.items()
    }


def _split(files, seed):
    """Splits each class by itself, so that it does not depend on others."""
    train, test = {}, {}
    for name, paths in files.items():
        if len(paths) < 2:
            raise ValueError(
                "A class should have at least two readable images, one to "
                "train on and one to test on, where there is no test folder "
                f"({', '.join(TEST_FOLDERS)}). Received: one image for the "
                f"class {name!r}, {paths[0]!r}"
            )
        size = max(1, round(len(paths) * TEST_SHARE))
        chosen = set(random.Random(seed).sample(paths, size))
        train[name] = [path for path in paths if path not in chosen]
        test[name] = [path for path in paths if path in chosen]
    return train, test


def _labelled(files):
    return [
        (path, label)
        for label, paths in enumerate(files.values())
        for path in paths
    ]


def _examples(split, squares, image_size):
    paths, labels = zip(*split)
    labels = np.array(labels, "int64")
    if squares[paths[0]] is None:
        examples = tf.data.Dataset.from_tensor_slices(
            ([os.fsencode(path) for path in paths], labels)
        ).map(
            lambda path, label: (_decode(path), label),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return dataset.squares(examples, len(paths), image_size)
    with tf.device("CPU:0"):
        stacked = tf.stack([squares[path] for path in paths])
        return tf.data.Dataset.from_tensor_slices((stacked, labels))


def _decode(path):
    image = tf.numpy_function(images.read_image, [path], tf.uint8)
    return tf.ensure_shape(image, (None, None, 3))
