"""Training, validation and test sets from every kind of data."""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from keras_squeezenet import metadata
from keras_squeezenet import normalizations
from keras_squeezenet.data import batch_sources
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_values
from keras_squeezenet.data import labels as labels_lib
from keras_squeezenet.data import pass_order

# Arrays; batches: a `tf.data.Dataset`, a `keras.utils.PyDataset` or another
# object with `len()`; or an `ImageDataset`.
Data: TypeAlias = (
    tuple[np.ndarray, ...] | tf.data.Dataset | image_dataset.ImageDataset | Any
)


@dataclasses.dataclass(frozen=True)
class Split:
    """Labeled images in batches.

    Args:
        batches: a function from the number of an epoch, and that of the batch
            to begin with (0 unless given), both from 0, to its `(images,
            labels)`: normalized float32 images of shape `(batch,
            height, width, 3)` and integer labels of shape `(batch,)`. A set to
            learn from may have one-hot or soft labels, float32 of shape
            `(batch, classes)`, and sample weights as a third part, float32 of
            shape `(batch,)`. Several labels are rows of 0 and 1 in every set.
            The batches of a validation or test set are the same in every epoch,
            but for those of a `tf.data.Dataset` that shuffles every pass: see
            `in_one_order`.
        steps: the number of batches in an epoch.
        size: the number of images in an epoch.
        labels: the labels of all images.
        values: the values of the first batch of images; `None` for an
            `ImageDataset`, which normalizes its images itself.
        is_weighted: whether the images have sample weights.
        batch_size: the number of images in each batch of an epoch; `None` where
            batches differ, which then have all the images.
    """

    batches: Callable[..., tf.data.Dataset]
    steps: int
    size: int
    labels: labels_lib.Labels = labels_lib.UNKNOWN
    values: image_values.Values | None = None
    is_weighted: bool = False
    batch_size: int | None = None

    @property
    def image_shape(self) -> tf.TensorShape:
        """The shape of an image, as far as it is known before it is read."""
        return self.batches(0).element_spec[0].shape[1:]

    def map(self, change: Callable) -> "Split":
        """Return the set with a function applied to its images and labels."""

        def apply(images, labels, *weights):
            return *change(images, labels), *weights

        return dataclasses.replace(
            self,
            batches=lambda epoch, start=0: (
                self.batches(epoch, start)
                .map(apply, num_parallel_calls=tf.data.AUTOTUNE)
                .prefetch(tf.data.AUTOTUNE)
            ),
        )

    def in_rows(self, classes: int) -> "Split":
        """Return the set with labels as rows of `classes` numbers."""
        return self.map(
            lambda images, labels: (
                images,
                tf.one_hot(tf.cast(labels, tf.int64), classes)
                if labels.dtype.is_integer
                else labels,
            )
        )


def describe(
    images: Data, name: str | None, found: metadata.Metadata, classes: int
) -> dict:
    """Return `name`, `classes`, `skipped_images` and the rest about data.

    Without a `name` it is that of an `ImageDataset`, or `"images"`. If the
    metadata of the network have no names of classes, the classes are numbered
    from 0.
    """
    own, skipped = "images", []
    if isinstance(images, image_dataset.ImageDataset):
        own, skipped = images.name, list(images.skipped)
    return {
        "name": name or own,
        "classes": list(found.class_names or map(str, range(classes))),
        "skipped_images": skipped,
        "normalization": found.normalization,
        "channels": found.channels,
    }


def of_dataset(
    train: Data,
    validation: Data | None,
    test: Data | None,
    recipe: Any,
    normalization: str = normalizations.CAFFE,
) -> tuple[Data, Data | None, Data | None]:
    """Return `(train, validation, test)`.

    Those of an `ImageDataset` are the defaults. If it has no validation set,
    `recipe.validation_share` of its training set is taken, chosen by
    `recipe.seed`. The `normalization` is applied to its images.
    """
    if isinstance(train, image_dataset.ImageDataset):
        if validation is None and train.validation is None:
            train = train.split_validation(recipe.validation_share, recipe.seed)
        if validation is None:
            validation = train.as_test("validation")
        if test is None:
            test = train.as_test("test")
    train, validation, test = (
        dataclasses.replace(images, normalization=normalization)
        if isinstance(images, image_dataset.ImageDataset)
        else images
        for images in (train, validation, test)
    )
    return train, validation, test


def of_run(
    data: Data,
    validation: Data | None,
    test: Data | None,
    recipe: Any,
    rand_augment: float = 0.0,
    shard: image_dataset.Shard = image_dataset.ALL,
    normalization: str = normalizations.CAFFE,
    several: bool | None = None,
) -> tuple[Split, Split, Split | None]:
    """Return the training, validation and test set of a run.

    They are those of `of_dataset`; `rand_augment`, `shard` and `several` are as
    `training_split` takes them. The last one is `None` without a test set. All
    have several labels if the training set has.
    """
    data, validation, test = of_dataset(
        data, validation, test, recipe, normalization
    )
    size, augmentation = recipe.batch_size, recipe.augmentation
    train = training_split(
        data, size, recipe.seed, augmentation, rand_augment, shard, several
    )
    several = train.labels.several
    return (
        train,
        evaluation_split(validation, size, "validation", several=several),
        test
        if test is None
        else evaluation_split(test, size, "test", several=several),
    )


def training_split(
    images: Data,
    batch_size: int,
    seed: int = 0,
    augmentation: str | None = None,
    rand_augment: float = 0.0,
    shard: image_dataset.Shard = image_dataset.ALL,
    several: bool | None = None,
) -> Split:
    """Return the `Split` of a training set.

    Args:
        images: `(images, labels)` or `(images, labels, weights)`, arrays as
            `Model.fit` takes them, which are shuffled in every epoch; or
            batches of them, whose order is kept: a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, or another object with `len()` whose items
            are the batches; or a `data.ImageDataset`.
        batch_size: the images in each batch, except for batches.
        seed: of the order of the images. Defaults to `0`.
        augmentation, rand_augment: of a `data.ImageDataset`, as its
            `epoch_batches` takes them.
        shard: the part of each batch to return; `steps` and `size` are those of
            all parts. Batches must be the same for all workers. Defaults to
            whole batches.
        several: whether the images must have several labels. Defaults to
            `None`: as `labels.normalized` finds.

    Raises:
        ValueError: if the data are not of such a kind, there are no images,
            or the workers cannot share a batch equally.
    """
    if isinstance(images, image_dataset.ImageDataset):
        _require_labels_of(images)
        train = images.split("train")
        size = train.size
        batch_size = min(batch_size, size)
        shard.part(batch_size)
        return Split(
            lambda epoch, start=0: images.epoch_batches(
                batch_size,
                seed,
                epoch,
                augmentation,
                rand_augment,
                shard,
                start,
            ),
            size // batch_size,
            size,
            _own_labels(images, train, "train", several),
            is_weighted=_has_weights(train, "train"),
            batch_size=batch_size,
        )
    if augmentation is not None or rand_augment:
        raise ValueError(
            "`augmentation` and `rand_augment` are for an `ImageDataset`; "
            "augment arrays and batches beforehand. Received: augmentation="
            f"{augmentation!r}, rand_augment={rand_augment}"
        )
    if _is_batches(images):
        return _batched(images, "train", True, several, shard)
    arrays, several, values = _arrays(
        images, "train", batch_size, True, several
    )
    size = len(arrays[0])
    batch_size = min(batch_size, size)
    whole = tf.data.Dataset.from_tensor_slices(arrays)
    part, steps = shard.part(batch_size), size // batch_size

    def batches(epoch, start=0):
        order = image_dataset.mix_seed(seed, epoch)
        examples = shard.take(whole.shuffle(size, seed=order))
        batches = examples.batch(part, drop_remainder=True).take(steps)
        return batches.skip(start).prefetch(tf.data.AUTOTUNE)

    found = _of_arrays(batches, steps, arrays, several, values)
    return dataclasses.replace(found, batch_size=batch_size)


def evaluation_split(
    images: Data | None,
    batch_size: int,
    name: str,
    is_learned: bool = False,
    several: bool | None = None,
) -> Split:
    """Return the `Split` of a validation or test set, in its order.

    The arguments are like those of `training_split`; the test set of a
    `data.ImageDataset` is used. Errors call the argument `name`. Soft labels
    become the most probable class, and sample weights are refused, unless
    `is_learned`, whether the set is learned from.
    """
    if isinstance(images, image_dataset.ImageDataset):
        _require_labels_of(images)
        return Split(
            lambda epoch, start=0: images.test_batches(
                batch_size, weighted=is_learned
            ).skip(start),
            -(-images.test_size // batch_size),
            images.test_size,
            _own_labels(images, images.test, name, several),
            is_weighted=is_learned and _has_weights(images.test, name),
        )
    if _is_batches(images):
        return _batched(images, name, is_learned, several)
    arrays, several, values = _arrays(
        images, name, batch_size, is_learned, several
    )
    batches = tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size)
    steps = -(-len(arrays[0]) // batch_size)
    return _of_arrays(
        lambda epoch, start=0: batches.skip(start),
        steps,
        arrays,
        several,
        values,
    )


def in_one_order(images: Data | None, name: str) -> Data | None:
    """Return a validation or test set whose passes are all the same.

    Batches that are reshuffled in every pass are kept in memory. The order
    matters where the outputs for two passes are compared.

    Args:
        images: data as `evaluation_split` takes them.
        name: the name of the set, for errors.

    Raises:
        ValueError: if they are not such batches, or too large to be kept.
    """
    if not _is_batches(images):
        return images
    batches = images
    if not isinstance(images, tf.data.Dataset):
        batches = batch_sources.BatchSource(images, name).dataset()
    _require_batches(batches, name)
    if pass_order.repeats(batches):
        return images
    return pass_order.keep(batches, name)


def _require_labels_of(images):
    if not images.is_labeled:
        raise ValueError(
            f"the images of {images.name!r} must have labels here. Received: "
            "images without labels; load them with `labeled=True`"
        )


def _is_batches(images):
    return isinstance(images, tf.data.Dataset) or (
        not isinstance(images, image_dataset.ImageDataset)
        and batch_sources.is_batches(images)
    )


def _own_labels(dataset, examples, name, several):
    if several is not None and several != dataset.several_labels:
        raise ValueError(
            f"the images of `{name}` must have several labels, rows of 0 and "
            "1, as those of the training set and a network that ends with a "
            f"sigmoid. Received: {dataset.name!r}, whose images have one label"
            if several
            else f"the images of `{name}` must have one label, as those of the "
            "training set and a network that ends with a softmax. Received: "
            f"{dataset.name!r}, whose images have several labels. Build the "
            "network with `training.build(..., several_labels=True)`"
        )

    def read():
        labels = examples.labels()
        if dataset.several_labels:
            labels_lib.normalized(labels, name, several=True)
        return labels

    return labels_lib.Labels(
        functools.cache(read),
        is_checked=dataset.are_labels_checked,
        several=dataset.several_labels,
    )


def _has_weights(examples, name):
    if examples.weights is None:
        return False
    labels_lib.require_weights(examples.weights, examples.size, name)
    return True


def _of_arrays(batches, steps, arrays, several, values):
    x, labels, *weights = arrays
    return Split(
        batches,
        steps,
        len(x),
        labels_lib.Labels(lambda: labels, several=several),
        values,
        is_weighted=bool(weights),
    )


def _batched(images, name, is_learned, several, shard=image_dataset.ALL):
    def same(epoch):
        return images

    source = same
    if not isinstance(images, tf.data.Dataset):
        source = batch_sources.BatchSource(images, name).dataset
    _require_batches(source(0), name)
    sizes, labels, weights, values = _read(source(0))
    if not sum(sizes):
        raise ValueError(f"`{name}` must have images. Received: none")
    for size in sizes:
        shard.part(size)
    is_column = labels_lib.is_column(labels)
    labels, several = _normalized(labels, name, is_learned, several)
    if weights:
        _weights(np.concatenate(weights), name, is_learned, sum(sizes))
    mine = slice(shard.index, None, shard.count)

    def prepare(images, labels, *weights):
        if is_column:
            labels = tf.reshape(labels, [-1])
        if labels.shape.rank == 2:
            labels = tf.cast(labels, tf.float32)
            if not (is_learned or several):
                labels = tf.argmax(labels, axis=1)
        else:
            labels = tf.cast(labels, tf.int64)
        weights = [tf.cast(each, tf.float32) for each in weights]
        parts = (tf.cast(images, tf.float32), labels, *weights)
        return tuple(part[mine] for part in parts) if shard.count > 1 else parts

    return Split(
        lambda epoch, start=0: source(epoch).skip(start).map(prepare),
        len(sizes),
        sum(sizes),
        labels_lib.Labels(lambda: labels, several=several),
        values,
        is_weighted=bool(weights),
    )


def _require_batches(batches, name):
    spec = batches.element_spec
    parts = spec if isinstance(spec, tuple) else ()
    ranks = [getattr(part, "shape", tf.TensorShape([])).rank for part in parts]
    if ranks not in ([4, 1], [4, 2], [4, 1, 1], [4, 2, 1]):
        raise ValueError(
            f"`{name}` must be batches of images (batch, height, width, 3) and "
            "labels, integers (batch,) or probabilities (batch, classes), and "
            f"perhaps sample weights (batch,). Received: {spec}"
        )
    if batches.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            f"`{name}` must end, since an epoch is all of it. Received: an "
            "endless `tf.data.Dataset`; leave out `repeat()`, or bound it with "
            "`take(steps)`"
        )


def _read(batches):
    """Return the sizes, labels and weights, and the first batch's values."""
    sizes, labels, weights, values = [], [], [], None
    for images, found, *others in batches.as_numpy_iterator():
        sizes.append(len(found))
        labels.append(found)
        weights += others
        if values is None and images.size:
            values = image_values.Values.of(images)
    return sizes, labels and np.concatenate(labels), weights, values


def _arrays(images, name, batch_size, is_learned, several):
    """Return the arrays, whether the labels are several, and `Values`."""
    try:
        # A generator may never end.
        x, y, *weights = map(np.asarray, itertools.islice(images, 4))
        if len(weights) > 1:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be `(images, labels)` or `(images, labels, "
            "weights)` arrays; a `tf.data.Dataset`, a `keras.utils.PyDataset` "
            "or another object with `len()` of batches of them; or a "
            "`data.ImageDataset`, as `data.load` returns it. A generator has "
            f"no length: make it a `PyDataset`. Received: {name}={images!r:.60}"
        ) from None
    if x.ndim != 4 or y.ndim not in (1, 2) or len(y) != len(x):
        raise ValueError(
            f"`{name}` must be images of shape (images, height, width, 3) "
            "and labels of shape (images,) or (images, classes). Received: "
            f"{x.shape} and {y.shape} of {y.dtype}"
        )
    if not len(x):
        raise ValueError(f"`{name}` must have images. Received: none")
    weights = [_weights(each, name, is_learned, len(x)) for each in weights]
    y, several = _normalized(y, name, is_learned, several)
    values = image_values.Values.of(x[:batch_size])
    arrays = (x.astype("float32", copy=False), y, *weights)
    return arrays, several, values


def _normalized(labels, name, is_learned, several):
    labels, several = labels_lib.normalized(labels, name, several)
    if not (is_learned or several):
        labels = labels_lib.numbers(labels)
    return labels, several


def _weights(weights, name, is_learned, size):
    if not is_learned:
        labels_lib.refuse_weights(name)
    return labels_lib.require_weights(weights, size, name)
