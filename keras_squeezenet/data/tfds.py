"""Image classification data sets of TensorFlow Datasets."""

import os
import re

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_squeezenet.data import catalog
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import indexed_examples
from keras_squeezenet.data import lazy_examples
from keras_squeezenet.data import records
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
    _require_features(builder)
    _prepare(builder)
    image, label = _require_features(builder)
    height, width, _ = image.shape
    declared = height if height == width else None
    image_size = image_size or declared or image_dataset.DEFAULT_IMAGE_SIZE
    splits = _splits(builder)
    return image_dataset.ImageDataset(
        builder.info.name if os.path.isdir(name) else name,
        _class_names(label),
        **{
            key: split.examples(image_size, shorter_side)
            for key, split in splits.items()
        },
        origins={
            key: f"the split {split.name}" for key, split in splits.items()
        },
        are_labels_checked=True,
    )


class _Split:
    """A split of a prepared data set."""

    def __init__(self, builder, name):
        self.builder = builder
        self.name = name
        self.records = records.of(builder, name)
        self._keys = builder.info.supervised_keys[:2]
        self._image, self._label = _require_features(builder)
        if self.records is not None:
            self._require_same_features()

    def examples(self, image_size, shorter_side):
        """Return the `Examples` of the split."""
        about = self.builder.info.splits[self.name]

        def decode(encoded):
            image = image_ops.to_rgb(self._image.decode_example(encoded))
            return image_ops.square(image, image_size, shorter_side)

        if self.records is not None:
            return indexed_examples.indexed(
                self._read,
                decode,
                np.arange(len(self.records)),
                image_size=image_size,
            )
        return lazy_examples.Examples(
            self._sequence(),
            decode,
            size=about.num_examples,
            image_size=image_size,
            element_bytes=1 + about.num_bytes // max(1, about.num_examples),
        )

    def has_labels(self):
        """Return whether the first label is one.

        The test sets of contests have -1.
        """
        if self.records is not None:
            found = [self._parse(self.records[0])]
        else:
            found = self._sequence().take(1)
        return all(np.all(label >= 0) for _, label in found)

    def _read(self, index):
        return self._parse(
            tf.ensure_shape(
                tf.numpy_function(self.records.__getitem__, [index], tf.string),
                (),
            )
        )

    def _parse(self, record):
        """Return the encoded image and the label of a record."""
        features = self.builder.info.features.deserialize_example(
            record, decoders={self._keys[0]: tfds.decode.SkipDecoding()}
        )
        image, label = (features[key] for key in self._keys)
        return image, _encoded(self._label, label)

    def _sequence(self):
        """Return the encoded images and the labels, as a sequential read."""
        return self.builder.as_dataset(
            split=self.name,
            as_supervised=True,
            decoders={self._keys[0]: tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(try_autocache=False),
        ).map(lambda image, label, *_: (image, _encoded(self._label, label)))

    def _require_same_features(self):
        """Raise a `ValueError` if the first record of a shard is another one.

        It may not have the features that features.json describes.
        """
        parse = tf.function(
            self._parse, input_signature=[tf.TensorSpec((), tf.string)]
        )
        for path, first in records.first_of_shards(self.builder, self.name):
            try:
                parse(self.records[first])
            except tf.errors.OpError as error:
                keys = " and ".join(map(repr, self._keys))
                reason = (
                    f"a record without the features {keys} of features.json"
                )
                raise records.damaged(path, reason) from error
            # Readers of records raise many kinds of exceptions.
            except Exception as error:
                raise records.damaged(path, error) from error


def _builder(name, data_dir):
    try:
        if data_dir is None and os.path.isdir(name):
            return tfds.builder_from_directory(name)
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
        if data_dir is not None:
            raise _not_in_folder(name, data_dir, similar) from None
        # The error of TensorFlow Datasets lists all of its names.
        raise ValueError(
            "the data must be a folder of images, a CSV file, "
            f"{catalog.EMBEDDED!r}, or the name of an image classification "
            f"data set in TensorFlow Datasets, see {CATALOG}"
            f"#image_classification. Received: {name!r}.{similar}"
        ) from None


def _not_in_folder(name, data_dir, similar):
    prepared = os.path.isfile(os.path.join(data_dir, catalog.PREPARED))
    advice = (
        ". This folder is that of a data set itself: pass it as the name "
        "(--dataset) and leave `data_dir` out"
        if prepared
        else ""
    )
    return ValueError(
        f"`data_dir` must have the folder {name}/VERSION with "
        f"{catalog.PREPARED}, features.json and the shards that TensorFlow "
        "Datasets writes, unless it knows the data set by its name. Received: "
        f"data_dir={os.fspath(data_dir)!r}, without them{advice}.{similar}"
    )


def _require_features(builder):
    features = builder.info.features
    keys = builder.info.supervised_keys or ()
    found = [features[key] for key in keys[:2] if isinstance(key, str)]
    if not (
        len(found) == 2
        and isinstance(found[0], tfds.features.Image)
        and found[0].np_dtype in (np.uint8, np.uint16)
        and found[0].shape[-1] in (1, 3, 4)
        and (
            isinstance(found[1], tfds.features.ClassLabel)
            or _has_several(found[1])
        )
    ):
        raise ValueError(
            "a data set for image classification must have an image of 8 or "
            "16 bits a channel and a class label as its supervised keys, or "
            "several: a sequence of class labels, or a row of 0 and 1. "
            f"Received: {builder.info.full_name!r} with the supervised keys "
            f"{builder.info.supervised_keys} of {features}"
        )
    return found


def _has_several(label):
    """Return whether a feature has several labels of an image."""
    if isinstance(label, tfds.features.Sequence):
        return isinstance(label.feature, tfds.features.ClassLabel)
    # Boxes and the like are tensors of kinds of their own.
    if type(label) is not tfds.features.Tensor or len(label.shape) != 1:
        return False
    is_number = np.dtype(label.np_dtype).kind in "biuf"
    return is_number and (label.shape[0] or 0) > 1


def _class_names(label):
    if isinstance(label, tfds.features.Sequence):
        label = label.feature
    if isinstance(label, tfds.features.ClassLabel):
        return tuple(label.names)
    return tuple(map(str, range(label.shape[0])))


def _encoded(feature, label):
    """Return the value of a label: a number, or a float32 row of 0 and 1."""
    if isinstance(feature, tfds.features.ClassLabel):
        return label
    if isinstance(feature, tfds.features.Sequence):
        rows = tf.one_hot(label, len(_class_names(feature)))
        return tf.minimum(tf.reduce_sum(rows, axis=0), 1)
    return tf.cast(label, tf.float32)


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
    """Return the `_Split` of each set."""
    splits = builder.info.splits
    if "train" not in splits:
        raise ValueError(
            "the data set must have a split named 'train'. Received: "
            f"{builder.info.full_name!r} with {', '.join(map(repr, splits))}"
        )
    held_out = {
        name: _Split(builder, name)
        for name in ("validation", "test")
        if name in splits
    }
    labeled = [split for split in held_out.values() if split.has_labels()]
    if not labeled:
        return {key: _Split(builder, name) for key, name in OWN_SPLITS.items()}
    *validation, test = labeled
    sets = {"train": _Split(builder, "train"), "test": test}
    return {**sets, "validation": validation[0]} if validation else sets
