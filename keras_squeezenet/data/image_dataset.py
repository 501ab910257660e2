"""A data set of images and their classes, and the batches of it."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_squeezenet.data import augmentations
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import stored_examples

DEFAULT_IMAGE_SIZE = 224
SPLITS = ("test", "train", "all")


@dataclasses.dataclass(frozen=True)
class Shard:
    """The part of every batch that one of several workers gets.

    Args:
        index: int, the number of the worker, from 0. Defaults to `0`.
        count: int, how many workers there are. Defaults to `1`.
        devices: int, how many devices a worker has its part for. Defaults to
            `1`.
    """

    index: int = 0
    count: int = 1
    devices: int = 1

    def part(self, batch_size):
        """Returns how many images of a batch the worker gets.

        Raises:
            ValueError: if there are not as many for each device.
        """
        devices = self.count * self.devices
        if batch_size % devices:
            raise ValueError(
                f"the batch size should be a multiple of {devices}: "
                f"{self.count} workers, with {self.devices} devices each. "
                f"Received: a batch of {batch_size} images"
            )
        return batch_size // self.count

    def take(self, examples):
        """Returns the worker's part of a `tf.data.Dataset` of examples."""
        return examples.shard(self.count, self.index)


ALL = Shard()


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images of one size and their classes, to measure on.

    Args:
        name: str.
        class_names: tuple of str, in the order of the labels.
        examples: `tf.data.Dataset` as `ImageDataset` has them.
        size: int, the number of images.
        skipped: tuple of str, as `ImageDataset` has it. Defaults to `()`.
    """

    name: str
    class_names: tuple[str, ...]
    examples: tf.data.Dataset
    size: int
    skipped: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images of one size and their classes, in a train and a test split.

    Args:
        name: str.
        image_size: int, the side of the square images, in pixels.
        class_names: tuple of str, in the order of the labels.
        train: `tf.data.Dataset` of single images, uint8 RGB of shape
            `(image_size, image_size, 3)`, and their int64 labels.
        test: the same of the test images.
        train_size: int, the number of images in `train`.
        test_size: int, the number of images in `test`.
        skipped: tuple of str, the paths of the files that could not be read
            and were left out. Defaults to `()`.
        validation: the same as `train`, of images that `hold_out` took from
            them. Defaults to `None`.
        validation_size: int. Defaults to `0`.
        stored_train: `stored.Stored`, the images of `train` where these do not
            stay in memory. Defaults to `None`: they do.

    Raises:
        ValueError: if there are fewer than two classes, or a split is empty.
    """

    name: str
    image_size: int
    class_names: tuple[str, ...]
    train: tf.data.Dataset
    test: tf.data.Dataset
    train_size: int
    test_size: int
    skipped: tuple[str, ...] = ()
    validation: tf.data.Dataset | None = None
    validation_size: int = 0
    stored_train: stored_examples.Stored | None = None

    def __post_init__(self):
        if len(self.class_names) < 2:
            raise ValueError(
                "a data set should have at least two classes. Received: "
                f"{self.name!r} with the classes {list(self.class_names)}"
            )
        if not (self.train_size and self.test_size):
            raise ValueError(
                "a data set should have images to train on and to test on. "
                f"Received: {self.name!r} with {self.train_size} and "
                f"{self.test_size} images"
            )

    def part(self, split):
        """Returns a split as `LabelledImages`.

        Args:
            split: `"test"`, `"train"`, or `"all"` for both, those to train on
                first.
        """
        examples, size = {
            "test": (self.test, self.test_size),
            "train": (self.train, self.train_size),
            "all": (
                self.train.concatenate(self.test),
                self.train_size + self.test_size,
            ),
        }[split]
        return LabelledImages(
            self.name, self.class_names, examples, size, self.skipped
        )

    def train_batches(self, batch_size, seed=0):
        """Returns endless batches of preprocessed training images.

        The images are shuffled anew in each epoch: every `train_size` images
        in a row hold each image once, across the bounds of batches. Only
        where the images do not fit in memory are they shuffled within a
        window, see `stored.Stored.shuffled`.

        Args:
            batch_size: int, the images in each batch; there are never more
                than `train_size`.
            seed: int, of the order. Defaults to `0`.

        Returns:
            A `tf.data.Dataset` of images as `preprocess_input` makes them,
            float32 of shape `(batch, image_size, image_size, 3)`, and of
            int64 labels of shape `(batch,)`.
        """
        source = self._source()
        batches = (
            source.shuffled(seed)
            .repeat()
            .map(source.example, num_parallel_calls=tf.data.AUTOTUNE)
            .batch(min(batch_size, self.train_size), drop_remainder=True)
        )
        return _preprocessed(batches)

    def epoch_batches(
        self,
        batch_size,
        seed=0,
        epoch=0,
        augmentation=None,
        rand_augment=0.0,
        shard=ALL,
    ):
        """Returns the batches of one epoch, in an order of its own.

        What is in them depends on the arguments alone.

        Args:
            batch_size: int, the images in each batch; what is left over is
                left out.
            seed: int, of the order and of the augmentation. Defaults to `0`.
            epoch: int. Defaults to `0`.
            augmentation: a key of `augmentation.AUGMENTATIONS`, or `None`.
                Defaults to `None`.
            rand_augment: float between 0 and 1, the strength of
                `augmentation.make_rand_augment` behind it; 0 for none.
                Defaults to `0.0`.
            shard: `Shard`, the part of each batch to return; images that do
                not stay in memory are decoded for it alone. What is in the
                batches, and their crops and flips, does not depend on it;
                `rand_augment` is drawn for each part. Defaults to all of it.

        Returns:
            A `tf.data.Dataset` like that of `train_batches`, but finite.

        Raises:
            ValueError: if the batches cannot be divided so.
        """
        source, order = self._source(), mix_seed(seed, epoch)
        elements = source.shuffled(order).enumerate()

        def example(index, element):
            image, label = source.example(*element)
            if augmentation is not None:
                augment = augmentations.AUGMENTATIONS[augmentation]
                image = augment(image, tf.stack([order, index]))
            return image, label

        examples = shard.take(elements).map(
            example, num_parallel_calls=tf.data.AUTOTUNE
        )
        # Of the images left over, a part may be as large as that of a batch.
        batches = examples.batch(
            shard.part(batch_size), drop_remainder=True
        ).take(self.train_size // batch_size)
        if rand_augment:
            change = augmentations.make_rand_augment(rand_augment)
            batches = batches.enumerate().map(
                lambda index, batch: (
                    change(batch[0], tf.stack([order, index])),
                    batch[1],
                ),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        return _preprocessed(batches)

    def hold_out(self, share, seed=0):
        """Returns the data set with some training images as `validation`.

        Args:
            share: float between 0 and 1.
            seed: int, of the choice. Defaults to `0`.

        Raises:
            ValueError: if no image would be left to train on.
        """
        held = max(1, round(share * self.train_size))
        chosen = np.random.default_rng(seed).permutation(self.train_size)[:held]
        is_held = np.isin(np.arange(self.train_size), chosen)
        source = self._source()
        return dataclasses.replace(
            self,
            **_training(source.chosen(~is_held)),
            validation=source.chosen(is_held).examples(),
            validation_size=held,
        )

    def ordered_train_batches(self, batch_size):
        """Does for the images to train on what `test_batches` does."""
        return _preprocessed(self.train.batch(batch_size))

    def validation_batches(self, batch_size):
        """Does for the images held out what `test_batches` does."""
        return _preprocessed(self.validation.batch(batch_size))

    def test_batches(self, batch_size):
        """Returns one pass of the preprocessed test images, in their order.

        Args:
            batch_size: int, the images in each batch but the last one, which
                may have fewer.

        Returns:
            A `tf.data.Dataset` like that of `train_batches`, but finite.
        """
        return _preprocessed(self.test.batch(batch_size))

    def _source(self):
        return self.stored_train or stored_examples.decoded(
            self.train, self.train_size, self.image_size
        )


def of_stored(name, class_names, train, test, skipped=()):
    """Returns the `ImageDataset` of images as they are stored.

    Args:
        name, class_names, skipped: as `ImageDataset` takes them.
        train, test: `stored.Stored`.
    """
    return ImageDataset(
        name=name,
        image_size=train.image_size,
        class_names=tuple(class_names),
        **_training(train),
        test=test.examples(),
        test_size=test.size,
        skipped=skipped,
    )


def _training(train):
    """What an `ImageDataset` has of the images to train on."""
    return {
        "train": train.examples(),
        "train_size": train.size,
        "stored_train": None if train.is_kept else train,
    }


def mix_seed(seed, epoch):
    """A seed for an epoch, which is not another seed's for another epoch."""
    return seed * 10_007 + epoch


def _preprocessed(batches):
    return batches.map(
        lambda image, label: (image_ops.preprocess(image), label),
        num_parallel_calls=tf.data.AUTOTUNE,
    ).prefetch(tf.data.AUTOTUNE)
