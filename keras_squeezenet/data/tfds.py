"""The image classification data sets of TensorFlow Datasets."""

import re

import numpy as np
import tensorflow_datasets as tfds

from keras_squeezenet.data import catalog
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import stored_examples
from keras_squeezenet.utils import suggestions

CATALOG = "https://www.tensorflow.org/datasets/catalog/overview"
TEST_SPLITS = ("test", "validation")
# Of the training images, where there is no split to test on.
OWN_SPLITS = ("train[:80%]", "train[80%:]")


def load(name, data_dir, image_size, shorter_side=None, **unused):
    """Loads a data set of TensorFlow Datasets as an `ImageDataset`.

    It is downloaded and prepared first if it is not there. The test split is
    `test`, or `validation` where there is none with labels, or else the last
    20% of `train`.

    Args:
        name: str, as in `tfds.builder`, with a configuration or version.
        data_dir: path of the prepared data, or `None` for the default of
            TensorFlow Datasets.
        image_size: int, or `None` for the images' own size if the data set
            declares one, and a square one, else 224.
        shorter_side: int, as `data.load` takes it. Defaults to `None`.
        **unused: what the other loaders need.

    Raises:
        ValueError: if there is no such data set, or it is not one for image
            classification.
        RuntimeError: if it cannot be downloaded or prepared.
    """
    builder = _builder(name, data_dir)
    _image_and_label(builder)
    _prepare(builder)
    train_split, test_split = _splits(builder)
    image, label = _image_and_label(builder)
    image_size = image_size or _declared_size(image)
    square = stored_examples.square_maker(image_size, shorter_side)

    def split(part):
        about = builder.info.splits[part]
        return stored_examples.Stored(
            elements=_read(builder, part),
            size=about.num_examples,
            element_bytes=1 + about.num_bytes // max(1, about.num_examples),
            image_size=image_size,
            decode=lambda encoded: square(image.decode_example(encoded)),
        )

    return image_dataset.of_stored(
        name, label.names, split(train_split), split(test_split)
    )


def _builder(name, data_dir):
    try:
        return tfds.builder(name, data_dir=data_dir)
    except (AssertionError, ImportError, ValueError) as error:
        known = tfds.list_builders()
        if re.split("[/:]", name)[0] in known:
            raise ValueError(
                f"TensorFlow Datasets cannot give the data set {name!r}: "
                f"{error}"
            ) from error
        similar = suggestions.did_you_mean(
            name.lower(), [catalog.EMBEDDED, *known]
        )
        # The error of TensorFlow Datasets lists all of its names.
        raise ValueError(
            "the data must be a folder of images, a CSV file, "
            f"{catalog.EMBEDDED!r}, or the name of an image classification "
            f"data set in TensorFlow Datasets, see {CATALOG}"
            f"#image_classification. Received: {name!r}.{similar}"
        ) from None


def _image_and_label(builder):
    """Returns the features of the two, once they are fit for training."""
    features = builder.info.features
    keys = builder.info.supervised_keys or ()
    found = [features[key] for key in keys[:2] if isinstance(key, str)]
    if not (
        len(found) == 2
        and isinstance(found[0], tfds.features.Image)
        and found[0].np_dtype in (np.uint8, np.uint16)
        and found[0].shape[-1] in (1, 3, 4)
        and isinstance(found[1], tfds.features.ClassLabel)
    ):
        raise ValueError(
            "A data set for image classification should have an image of 8 "
            "or 16 bits a channel and a class label as its supervised keys. "
            f"Received: {builder.info.full_name!r} with the supervised keys "
            f"{builder.info.supervised_keys} of {features}"
        )
    return found


def _prepare(builder):
    if builder.is_prepared():
        return
    try:
        builder.download_and_prepare()
    # Each data set downloads and unpacks in its own way.
    except Exception as error:
        raise RuntimeError(
            f"TensorFlow Datasets could not download and prepare "
            f"{builder.info.full_name!r} in {builder.data_dir}: "
            f"{type(error).__name__}: {error}\n"
            "Without an internet connection, prepare it on another machine "
            "and set `--data_dir` (data_dir=...) to the folder that holds "
            f"{builder.info.full_name}; or use 'mnist5k', which needs no "
            "download."
        ) from error


def _splits(builder):
    splits = builder.info.splits
    if "train" not in splits:
        raise ValueError(
            "A data set should have a split named 'train'. Received: "
            f"{builder.info.full_name!r} with {', '.join(map(repr, splits))}"
        )
    for name in TEST_SPLITS:
        if name in splits and _has_labels(builder, name):
            return "train", name
    return OWN_SPLITS


def _has_labels(builder, split):
    """Whether a split's first label is one: a contest's test split has -1."""
    return all(
        label >= 0
        for _, label in _read(builder, f"{split}[:1]").as_numpy_iterator()
    )


def _read(builder, split):
    """Reads a split as encoded images and their labels."""
    image, *_ = builder.info.supervised_keys
    return builder.as_dataset(
        split=split,
        as_supervised=True,
        decoders={image: tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(try_autocache=False),
    ).map(lambda image, label, *_: (image, label))


def _declared_size(image):
    height, width, _ = image.shape
    return (
        height
        if height == width and height
        else image_dataset.DEFAULT_IMAGE_SIZE
    )
