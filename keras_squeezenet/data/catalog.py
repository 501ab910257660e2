"""Data sets by name."""

import importlib

# Any other name is a data set of TensorFlow Datasets.
LOADERS = {
    "mnist5k": "keras_squeezenet.data.mnist5k",
    "folder": "keras_squeezenet.data.image_folder",
}
DEFAULT_LOADER = "keras_squeezenet.data.tfds"


def load(
    name,
    data_dir=None,
    image_size=None,
    skip_bad_images=False,
    seed=0,
    shorter_side=None,
):
    """Loads a data set of images and their classes.

    Args:
        name: `"mnist5k"` (5,000 digits of MNIST, which need no download),
            `"folder"` (a folder of images, see below), or the name of an
            image classification data set in TensorFlow Datasets, such as
            `"cifar10"` or `"imagenet_resized/64x64"`.
        data_dir: with `"folder"`, the folder: it has a `train` and a `test`
            folder (or `val`, `validation`, `valid`), each with one sub-folder
            of images a class; or these sub-folders directly, and 20% of each
            class are the test images then; or it is a CSV file with the
            columns `path` (relative to the file's folder), `label` and, unless
            20% are to be the test images, `split` (`train` or `test`). With
            TensorFlow Datasets, where the prepared data is or goes to.
            Defaults to `None`: there is no folder by default, and TensorFlow
            Datasets has its own.
        image_size: int, the side of the square images in pixels: the shorter
            side is resized to it, and the centre is cut out. Defaults to
            `None`: the size of the data set's images where they are all
            square and of one size by definition, else 224.
        skip_bad_images: whether to go on without the files of a folder that
            cannot be read. Defaults to `False`.
        seed: int, of the split of a folder without test images. Defaults to
            `0`.
        shorter_side: int, what the shorter side is resized to, where it is to
            be more than what is cut out. Defaults to `None`: `image_size`.

    Returns:
        An `ImageDataset`.

    Raises:
        ValueError: if there is no such data set, it is not one for image
            classification, or images of a folder cannot be read.
        RuntimeError: if the data set cannot be downloaded.
        ImportError: if the package with the images of `"mnist5k"` is missing.

    Example:

    >>> dataset = data.load("folder", data_dir="flowers", image_size=227)
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
            "`image_size` should be a positive integer, or `None` for the "
            f"size of the data set. Received: image_size={image_size!r}"
        )
    loader = importlib.import_module(LOADERS.get(name, DEFAULT_LOADER))
    return loader.load(
        name=name,
        data_dir=data_dir,
        image_size=image_size,
        skip_bad_images=skip_bad_images,
        seed=seed,
        shorter_side=shorter_side,
    )
