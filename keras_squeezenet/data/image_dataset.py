"""A data set of labeled images, and its batches."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_squeezenet import normalizations
from keras_squeezenet.data import augmentations
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import lazy_examples

DEFAULT_IMAGE_SIZE = 224


class SetError(ValueError):
    """Labeled images cannot be divided into sets with images of all classes."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """The part of every batch that one of several workers takes.

    `index` is the number of the worker, from 0, of `count` workers with so many
    `devices` each.
    """

    index: int = 0
    count: int = 1
    devices: int = 1

    def part(self, batch_size: int) -> int:
        """Return how many images of a batch the worker takes.

        A `ValueError` is raised if the devices cannot share it equally.
        """
        devices = self.count * self.devices
        if batch_size % devices:
            raise ValueError(
                f"the batch size must be a multiple of {devices}: "
                f"{self.count} workers, with {self.devices} devices each. "
                f"Received: a batch of {batch_size} images"
            )
        return batch_size // self.count

    def take(self, examples: tf.data.Dataset) -> tf.data.Dataset:
        """Return the worker's part of the examples."""
        return examples.shard(self.count, self.index)


ALL = Shard()


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labeled images of one size, split into a training and a test set.

    Args:
        name: the name in reports.
        class_names: the names of the classes, in the order of the labels; `()`
            for images without labels, whose labels mean nothing.
        train: the training set; `None` if there is a test set alone.
        test: the test set.
        validation: the validation set. Defaults to `None`: there is none.
        skipped: the paths of the files that could not be read and were left
            out. Defaults to `()`.
        left_out: the number of other files that were left out, for each
            reason. Defaults to none.
        origins: where each set comes from, such as `{"validation": "the folder
            val"}`, for what is shown. Defaults to none.
        normalization: the normalization of the images in batches, a key of
            `normalizations.NORMALIZATIONS`. Defaults to `"caffe"`, that of
            `preprocess_input`.
        are_labels_checked: whether the labels are known to be numbers of the
            classes, as `load` makes them. Defaults to `False`: training checks
            them, in a pass over the labels.

    Raises:
        SetError: if there is one class only, or a split is empty.

    Example:

    >>> digits = data.ImageDataset("digits", ("0", "1"), train=train, test=test)
    """

    name: str
    class_names: tuple[str, ...]
    train: lazy_examples.Examples | None
    test: lazy_examples.Examples
    validation: lazy_examples.Examples | None = None
    skipped: tuple[str, ...] = ()
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)
    origins: dict[str, str] = dataclasses.field(default_factory=dict)
    normalization: str = normalizations.CAFFE
    are_labels_checked: bool = False

    def __post_init__(self):
        if self.train is None:
            return
        if len(self.class_names) == 1:
            raise SetError(
                "a data set must have at least two classes. Received: "
                f"{self.name!r} with the classes {list(self.class_names)}"
            )
        if not (self.train_size and self.test_size):
            raise SetError(
                "the training set and the test set must have images. "
                f"Received: {self.name!r} with {self.train_size} and "
                f"{self.test_size} images"
            )

    @property
    def several_labels(self) -> bool:
        """Whether an image may have several labels: a row of 0 and 1."""
        return self.test.several_labels

    @property
    def image_size(self) -> int:
        """The side of the square images in pixels."""
        return self.test.image_size

    @property
    def is_labeled(self) -> bool:
        """Whether the images have labels."""
        return bool(self.class_names)

    @property
    def train_size(self) -> int:
        """The number of images in the training set."""
        return self.train.size if self.train else 0

    @property
    def validation_size(self) -> int:
        """The number of images in the validation set."""
        return self.validation.size if self.validation else 0

    @property
    def test_size(self) -> int:
        """The number of images in the test set."""
        return self.test.size

    def split(self, name: str) -> lazy_examples.Examples:
        """Return the examples of a split; a `ValueError` if there is none.

        Its name is `"test"`, `"train"`, `"validation"`, or `"all"` for the
        training set, the validation set and then the test set.
        """
        if name == "all":
            sets = (self.train, self.validation, self.test)
            first, *others = (each for each in sets if each is not None)
            if not others:
                return first
            decoded, size = first.decoded, first.size
            for each in others:
                decoded = decoded.concatenate(each.decoded)
                size += each.size
            return lazy_examples.Examples(
                decoded, size=size, image_size=self.image_size
            )
        examples = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
        }.get(name)
        if examples is None:
            raise ValueError(
                f"`split` must be one that {self.name!r} has. Received: "
                f"split={name!r}"
            )
        return examples

    def train_batches(self, batch_size: int, seed: int = 0) -> tf.data.Dataset:
        """Return endless batches of the training set.

        The images are shuffled in each epoch: every `train_size` images in a
        row contain each image once, across the bounds of batches. Images that
        do not fit in memory are shuffled as `Examples.shuffled` says.

        Args:
            batch_size: the images in each batch, at most `train_size`.
            seed: of the order. Defaults to `0`.

        Returns:
            A `tf.data.Dataset` of images as `preprocess_input` returns them,
            float32 of shape `(batch, image_size, image_size, 3)`, and of
            int64 labels of shape `(batch,)`; with several labels, of float32
            rows of 0 and 1, of shape `(batch, classes)`.
        """
        train = self.split("train")
        batches = (
            train.passes(seed)
            .map(train.decode_element, num_parallel_calls=tf.data.AUTOTUNE)
            .batch(min(batch_size, self.train_size), drop_remainder=True)
        )
        return self._normalized(batches)

    def epoch_batches(
        self,
        batch_size: int,
        seed: int = 0,
        epoch: int = 0,
        augmentation: str | None = None,
        rand_augment: float = 0.0,
        shard: Shard = ALL,
        start: int = 0,
    ) -> tf.data.Dataset:
        """Return the shuffled batches of one epoch of the training set.

        They depend on the arguments alone; the order of images in memory, on
        TensorFlow's global seed too, which `keras.utils.set_random_seed` sets.

        Args:
            batch_size: the images in each batch; a smaller last batch is
                dropped.
            seed: of the order and of the augmentation. Defaults to `0`.
            epoch: the number of the epoch. Defaults to `0`.
            augmentation: a key of `augmentations.AUGMENTATIONS`, or `None`.
            rand_augment: the strength of RandAugment, from 0 to 1, which is
                applied after `augmentation`.
            shard: the part of each batch to return. The images of the batches
                and their augmentation do not depend on it.
            start: the number of the batch to begin with. Defaults to `0`.

        Returns:
            A `tf.data.Dataset` like that of `train_batches`, but finite; with
            sample weights as a third part, if the images have some.

        Raises:
            ValueError: if the workers cannot share a batch equally.
        """
        train, order = self.split("train"), mix_seed(seed, epoch)
        if train.weights is not None:
            train = train.weighted()
        first = start * batch_size
        elements = train.shuffled(order, first).enumerate(first)

        def example(index, element):
            draws = augmentations.draw(
                tf.stack([order, index]), augmentation, rand_augment
            )
            return *train.decode_element(*element), draws

        def augment(images, *others):
            *others, draws = others
            changed = augmentations.augment(
                images, draws, augmentation, rand_augment
            )
            return changed, *others

        examples = shard.take(elements).map(
            example, num_parallel_calls=tf.data.AUTOTUNE
        )
        # A part of the last, smaller batch may be as large as other parts.
        batches = examples.batch(
            shard.part(batch_size), drop_remainder=True
        ).take(self.train_size // batch_size - start)
        return self._normalized(
            batches.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
        )

    def split_validation(self, share: float, seed: int = 0) -> "ImageDataset":
        """Return the data set with some of its training set as `validation`.

        It is a `share` of the training set, from 0 to 1, chosen by `seed`. A
        `ValueError` is raised if the training set would be empty.
        """
        size = max(1, round(share * self.train_size))
        chosen = np.random.default_rng(seed).permutation(self.train_size)[:size]
        mask = np.isin(np.arange(self.train_size), chosen)
        train = self.split("train")
        origin = f"{100 * share:g}% of the training images"
        return dataclasses.replace(
            self,
            train=train.select(~mask),
            validation=train.select(mask),
            origins={**self.origins, "validation": origin},
        )

    def relabel(
        self,
        class_names: Sequence[str],
        classify: Callable[[tf.Tensor], np.ndarray],
        batch_size: int = 32,
    ) -> "ImageDataset":
        """Return the data set with other classes.

        `classify` returns the integer labels of a batch of images, which have
        the `normalization`.
        """

        def relabeled(split):
            batches = self.as_test(split).test_batches(batch_size)
            labels = [np.asarray(classify(images)) for images, _ in batches]
            return self.split(split).relabel(np.concatenate(labels))

        return dataclasses.replace(
            self,
            class_names=tuple(class_names),
            **{
                split: relabeled(split)
                for split in ("train", "validation", "test")
                if getattr(self, split) is not None
            },
        )

    def in_classes(
        self, class_names: Sequence[str], indices: Sequence[int]
    ) -> "ImageDataset":
        """Return the data set with labels that are numbers of `class_names`.

        The number of each of its own classes among them is in `indices`.
        """

        def changed(examples):
            return examples and examples.in_classes(indices, len(class_names))

        return dataclasses.replace(
            self,
            class_names=tuple(class_names),
            train=changed(self.train),
            validation=changed(self.validation),
            test=changed(self.test),
        )

    def as_test(self, split: str) -> "ImageDataset":
        """Return a data set that has only one split, as its test set."""
        return dataclasses.replace(
            self, train=None, validation=None, test=self.split(split)
        )

    def validation_batches(self, batch_size: int) -> tf.data.Dataset:
        """Return what `test_batches` returns, of the validation set."""
        return self._normalized(
            self.split("validation").decoded.batch(batch_size)
        )

    def test_batches(
        self, batch_size: int, weighted: bool = False
    ) -> tf.data.Dataset:
        """Return the batches of one pass over the test set, in its order.

        The batches are like those of `train_batches`; the last one may have
        fewer images. With `weighted`, a set that has sample weights has them as
        a third part.
        """
        test = self.test
        if weighted and test.weights is not None:
            test = test.weighted()
        return self._normalized(test.decoded.batch(batch_size))

    def _normalized(self, batches):
        return batches.map(
            lambda image, *others: (
                image_ops.normalize(image, self.normalization),
                *others,
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
        ).prefetch(tf.data.AUTOTUNE)


def mix_seed(seed: int, epoch: int) -> int:
    """Return the seed of an epoch, unlike those of other seeds and epochs."""
    return seed * 10_007 + epoch
