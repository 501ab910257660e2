"""Compare the throughput of the input pipeline with Keras's and with training.

    python benchmarks/input.py FOLDER [--image_size=224] [--batch_size=32]
        [--rounds=3]

FOLDER has the folders `train` and `test`, with a sub-folder of images for each
class in both. Whole epochs are timed in turns, and the median of the rounds is
reported. A CPU second is a second of one core: where other programs run, images
per CPU second say more than images per second.
"""

import functools
import os
import statistics
import time

import keras
import rich.console
import tensorflow as tf
from absl import app
from absl import flags

from keras_squeezenet import data
from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import terminal
from keras_squeezenet.data import lazy_examples
from keras_squeezenet.data import mixing
from keras_squeezenet.training import optimizers

_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size", 224, "side of the images in pixels"
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "images in each batch")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "epochs of each kind")

MODERN = training.RECIPES["modern"]


def main(argv):
    if len(argv) != 2:
        raise app.UsageError("FOLDER must be given")
    kept = load(argv[1])
    streamed = load(argv[1], limit=2**20)
    epochs = {
        "loading, which decodes": functools.partial(loading, argv[1]),
        "an epoch": functools.partial(epoch, kept),
        "with flip_crop": functools.partial(
            epoch, kept, augmentation="flip_crop"
        ),
        "with all of modern": functools.partial(modern, kept),
        "with all of modern, RandAugment by Keras": functools.partial(
            modern_of_keras, kept
        ),
        "an epoch beyond memory": functools.partial(epoch, streamed),
        "with all of modern, beyond memory": functools.partial(
            modern, streamed
        ),
        "image_dataset_from_directory": lambda number: from_directory(argv[1]),
        "training on one batch": training_steps(kept),
    }
    found = {name: [] for name in epochs}
    for number in range(_ROUNDS.value + 1):
        for name, make in epochs.items():
            found[name].append(measure(make(number)))
    # The first round traces functions.
    medians = {
        name: tuple(map(statistics.median, zip(*rates[1:])))
        for name, rates in found.items()
    }
    side = _IMAGE_SIZE.value
    terminal.print_table(
        rich.console.Console(markup=False, highlight=False),
        report.Table(
            f"Images of {side}x{side}, batches of {_BATCH_SIZE.value}",
            ("", "images/s", "images per CPU second"),
            [
                (name, *(f"{rate:,.0f}" for rate in rates))
                for name, rates in medians.items()
            ],
        ),
    )


def load(folder, limit=lazy_examples.CACHE_LIMIT):
    """Load images, which stay in memory if they have at most `limit` bytes."""
    lazy_examples.CACHE_LIMIT = limit
    return data.load(folder, image_size=_IMAGE_SIZE.value)


def loading(folder, number):
    """Load images, as a pass of one batch that `measure` takes."""
    found = load(folder)
    yield None, range(found.train_size + found.test_size)


def epoch(photographs, number, **options):
    return photographs.epoch_batches(_BATCH_SIZE.value, 0, number, **options)


def modern(photographs, number, rand_augment=MODERN.rand_augment):
    return mixed(
        epoch(
            photographs,
            number,
            augmentation=MODERN.augmentation,
            rand_augment=rand_augment,
        ),
        len(photographs.class_names),
    )


def modern_of_keras(photographs, number):
    layer = rand_augment_of_keras()
    few = modern(photographs, number, rand_augment=0).take(4)
    return few.map(
        lambda images, labels: (layer(images), labels),
        num_parallel_calls=tf.data.AUTOTUNE,
    )


# The layer takes seconds to trace.
@functools.cache
def rand_augment_of_keras():
    return tf.function(
        keras.layers.RandAugment(factor=(0, MODERN.rand_augment))
    )


def mixed(batches, classes):
    """Mix images as `training.train` does."""

    def mix(index, batch):
        images, labels = batch
        return mixing.mix(
            images,
            tf.one_hot(labels, classes),
            tf.stack([tf.constant(0, tf.int64), index]),
            MODERN.mixup,
            MODERN.cutmix,
        )

    return (
        batches.enumerate()
        .map(mix, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def from_directory(folder):
    return keras.utils.image_dataset_from_directory(
        os.path.join(folder, "train"),
        batch_size=_BATCH_SIZE.value,
        image_size=(_IMAGE_SIZE.value, _IMAGE_SIZE.value),
        crop_to_aspect_ratio=True,
        verbose=False,
    ).prefetch(tf.data.AUTOTUNE)


def training_steps(photographs):
    """Return a function to five steps of training, as `measure` takes them."""
    model = training.build(photographs.image_size, len(photographs.class_names))
    optimizers.compile_classifier(keras, model, 100, 1e-3)
    (batch,) = epoch(photographs, 0).take(1)

    def steps(number):
        for _ in range(5):
            model.train_on_batch(*batch)
            yield batch

    return steps


def measure(batches):
    """Return the images per second, and per CPU second, of one pass."""
    started, cpu = time.perf_counter(), time.process_time()
    count = sum(len(labels) for _, labels in batches)
    return (
        count / (time.perf_counter() - started),
        count / (time.process_time() - cpu),
    )


if __name__ == "__main__":
    app.run(main)
