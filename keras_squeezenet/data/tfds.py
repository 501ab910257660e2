"""Image classification data sets of TensorFlow Datasets."""

import os
import re

import numpy as np
import tensorflow_datasets as tfds

from keras_squeezenet.data import catalog
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import lazy_examples
from keras_squeezenet.utils import suggestions

CATALOG = "https://www.tensorflow.org/datasets/catalog/overview"
# Without a test set.
OWN_SPLITS = {"train": "train[:80%]", "test": "train[80%:]"}


def load(
    name: str,
    data_dir: str | os.PathLike | None,
    image_size: int | None,
    shorter_side: int | None = None,
    **unused: object,
) -> image_dataset.ImageDataset:
    """Load a data set of TensorFlow Datasets; arguments are as of `data.load`.

    It is downloaded and prepared first if necessary. The test set is the split
    `test`, or `validation` if that has no labels, or else the last 20% of
    `train`. The validation set is `validation` unless that is the test set.
    """
    builder = _builder(name, data_dir)
    _image_and_label(builder)
    _prepare(builder)
    image, label = _image_and_label(builder)
    height, width, _ = image.shape
    declared = height if height == width else None
    image_size = image_size or declared or image_dataset.DEFAULT_IMAGE_SIZE

    def split(part):
        about = builder.info.splits[part]
        return lazy_examples.Examples(
            _read(builder, part),
            lambda encoded: image_ops.square(
                image_ops.to_rgb(image.decode_example(encoded)),
                image_size,
                shorter_side,
            ),
            size=about.num_examples,
            image_size=image_size,
            element_bytes=1 + about.num_bytes // max(1, about.num_examples),
        )

    splits = _splits(builder)
    return image_dataset.ImageDataset(
        name,
        tuple(label.names),
        **{key: split(part) for key, part in splits.items()},
        origins={key: f"the split {part}" for key, part in splits.items()},
    )


def _builder(name, data_dir):
    try:
        return tfds.builder(name, data_dir=data_dir)
    except (AssertionError, ImportError, ValueError) as error:
        known = tfds.list_builders()
        if re.split("[/:]", name)[0] in known:
            raise ValueError(
                f"TensorFlow Datasets cannot load the data set {name!r}: "
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
            "a data set for image classification must have an image of 8 or "
            "16 bits a channel and a class label as its supervised keys. "
            f"Received: {builder.info.full_name!r} with the supervised keys "
            f"{builder.info.supervised_keys} of {features}"
        )
    return found


def _prepare(builder):
    if builder.is_prepared():
        return
    try:
        builder.download_and_prepare()
    # Data sets raise many kinds of exceptions.
    except Exception as error:
        raise RuntimeError(
            f"TensorFlow Datasets could not download and prepare "
            f"{builder.info.full_name!r} in {builder.data_dir}: "
            f"{type(error).__name__}: {error}\n"
            "Without an internet connection, prepare it on another machine "
            "and set --data_dir (data_dir=...) to the folder that contains "
            f"{builder.info.full_name}; or use 'mnist5k', which needs no "
            "download."
        ) from error


def _splits(builder):
    """Return the name of the split of each set."""
    splits = builder.info.splits
    if "train" not in splits:
        raise ValueError(
            "the data set must have a split named 'train'. Received: "
            f"{builder.info.full_name!r} with {', '.join(map(repr, splits))}"
        )
    labeled = [
        name
        for name in ("validation", "test")
        if name in splits and _has_labels(builder, name)
    ]
    if not labeled:
        return OWN_SPLITS
    *validation, test = labeled
    sets = {"train": "train", "test": test}
    return {**sets, "validation": validation[0]} if validation else sets


def _has_labels(builder, split):
    """Return whether the first label is one: test sets of contests have -1."""
    return all(
        label >= 0
        for _, label in _read(builder, f"{split}[:1]").as_numpy_iterator()
    )


def _read(builder, split):
    image, *_ = builder.info.supervised_keys
    return builder.as_dataset(
        split=split,
        as_supervised=True,
        decoders={image: tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(try_autocache=False),
    ).map(lambda image, label, *_: (image, label))
