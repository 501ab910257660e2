"""Data sets by name or path."""

import importlib
import os
import pathlib
from typing import TYPE_CHECKING

from keras_squeezenet.utils import extras

if TYPE_CHECKING:
    from keras_squeezenet.data import image_dataset

# The sets of a run, and what sentences call them.
SETS = {"train": "training", "validation": "validation", "test": "test"}
EMBEDDED = "mnist5k"
# What TensorFlow Datasets writes into the folder of a prepared data set.
PREPARED = "dataset_info.json"
_LOADERS = {
    "the embedded digits": "keras_squeezenet.data.mnist5k",
    "a folder": "keras_squeezenet.data.image_folder",
    "a CSV list": "keras_squeezenet.data.csv_list",
    "TensorFlow Datasets": "keras_squeezenet.data.tfds",
}


def load(
    name: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    image_size: int | None = None,
    skip_bad_images: bool = False,
    seed: int = 0,
    shorter_side: int | None = None,
    labeled: bool = True,
) -> "image_dataset.ImageDataset":
    """Load a data set of images.

    Args:
        name: one of:
            - a folder: with a `train` and a `test` folder and perhaps a
              `validation` folder, each with a sub-folder of images for each
              class; or with the sub-folders of the classes, and then 20% of
              each class are the test set. The sets may also be called
              `training`, `testing`, `valid`, `val`, `dev` or `eval`, in any
              case; the validation set is the test set where there is no
              other. A
              `pathlib.Path` or a name that begins with `.`, `~` or `/` or ends
              with `/` is a folder; any other name is one if the folder exists
              and has sub-folders;
            - a CSV list: a `.csv` file with the columns `path` (relative to
              the folder of the file), `label` and optionally `split`
              (the name of a set; without it 20% are the test set). The classes
              are in the order of their names, or of numbers where all labels
              are numbers. For several labels of an image it has the column
              `labels`, where they are separated by `|`, or a column of 0 and 1
              for each class;
            - `"mnist5k"`: 5,000 digits of MNIST, which need no download;
            - the name of an image classification data set in TensorFlow
              Datasets, such as `"cifar10"` or `"imagenet_resized/64x64"`,
              whose splits `validation` and `test` are those sets; or the folder
              of a prepared one, with `dataset_info.json`, `features.json` and
              shards of TFRecord or ArrayRecord.
        data_dir: the folder where TensorFlow Datasets keeps prepared data; not
            allowed with anything else. Defaults to its default folder.
        image_size: the side of the square images in pixels: the shorter side
            is resized to it, and the center is cropped. Defaults to the size
            of the images where the data set declares one that is square, else
            224.
        skip_bad_images: whether to leave out image files that cannot be read.
            Without it, those of a folder or list that does not fit in memory
            (1 GiB of decoded images) are not decoded before they are needed.
        seed: of the split where there is no test set, and of the order of the
            training set.
        shorter_side: what the shorter side is resized to before the crop.
            Defaults to `image_size`.
        labeled: `False` for a folder of images without labels, in sub-folders
            or not; `training.train` and the like take them with a teacher.
            Its sets may be folders as above. Defaults to `True`.

    Raises:
        ValueError: if there is no such data set, it is not one for image
            classification, or image files cannot be read.
        RuntimeError: if the data set cannot be downloaded.
        ImportError: if an optional package is missing, naming the extra that
            has it.

    Example:

    >>> dataset = data.load("flowers/", image_size=227)
    >>> model.fit(
    ...     dataset.train_batches(batch_size=32),
    ...     steps_per_epoch=dataset.train_size // 32,
    ...     validation_data=dataset.test_batches(batch_size=32),
    ... )
    """
    if image_size is not None and not (
        isinstance(image_size, int) and image_size > 0
    ):
        raise ValueError(
            "`image_size` must be a positive integer, or `None` for the size "
            f"of the data set. Received: image_size={image_size!r}"
        )
    if data_dir is not None:
        require_tfds_name(name, data_dir)
    if not labeled:
        from keras_squeezenet.data import image_folder

        return image_folder.load_unlabeled(
            os.fspath(name),
            image_size=image_size,
            skip_bad_images=skip_bad_images,
            seed=seed,
            shorter_side=shorter_side,
        )
    with extras.named():
        loader = importlib.import_module(_LOADERS[_kind(name)])
    return loader.load(
        name=os.fspath(name),
        data_dir=data_dir,
        image_size=image_size,
        skip_bad_images=skip_bad_images,
        seed=seed,
        shorter_side=shorter_side,
    )


def require_tfds_name(
    name: str | os.PathLike, data_dir: str | os.PathLike
) -> None:
    """Raise a `ValueError` if `data_dir` has no meaning for a data set."""
    kind = _kind(name)
    if kind != "TensorFlow Datasets":
        raise ValueError(
            "`data_dir` is where TensorFlow Datasets keeps its data, and must "
            f"not be set for {kind}. Received: {os.fspath(name)!r} with "
            f"data_dir={os.fspath(data_dir)!r}"
        )


def is_csv(name: str | os.PathLike) -> bool:
    """Return whether a name is that of a CSV list."""
    return pathlib.Path(name).suffix.lower() == ".csv"


def _kind(name):
    """Return the key of the name's loader in `_LOADERS`."""
    if not isinstance(name, str | os.PathLike) or not os.fspath(name):
        raise ValueError(
            "`name` must be a folder, a CSV file, or the name of a data set. "
            f"Received: name={name!r}"
        )
    if name == EMBEDDED:
        return "the embedded digits"
    if is_csv(name):
        return "a CSV list"
    if os.path.isfile(os.path.join(name, PREPARED)):
        return "TensorFlow Datasets"
    if isinstance(name, os.PathLike) or _is_folder(name):
        return "a folder"
    return "TensorFlow Datasets"


def _is_folder(name):
    if name[0] in "./~" or name[-1] == "/" or os.path.isabs(name):
        return True
    return os.path.isdir(name) and any(
        entry.is_dir() for entry in os.scandir(name)
    )
