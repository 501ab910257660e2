"""Compare the throughput of the input pipeline with Keras's and with training.

    python benchmarks/input.py FOLDER [--image_size=224] [--batch_size=32]

FOLDER has the folders `train` and `test`, with a sub-folder of images for each
class in both. Whole epochs are timed, without and with the augmentations of a
recipe. The first epoch of each, which decodes the images, is not reported.
"""

import os
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
from keras_squeezenet.training import optimizers

_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size", 224, "side of the images in pixels"
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "images in each batch")


def main(argv):
    if len(argv) != 2:
        raise app.UsageError("FOLDER must be given")
    side, batch_size = _IMAGE_SIZE.value, _BATCH_SIZE.value
    started = time.perf_counter()
    photographs = data.load(argv[1], image_size=side)
    seconds = time.perf_counter() - started
    size = photographs.train_size + photographs.test_size
    rows = [("load and decode", f"{size / seconds:,.0f}")]
    for name, options in {
        "epoch": {},
        "epoch, flip_crop": {"augmentation": "flip_crop"},
        "epoch, flip_crop and RandAugment": {
            "augmentation": "flip_crop",
            "rand_augment": 0.1,
        },
    }.items():
        for epoch in range(2):
            rate = measure(
                photographs.epoch_batches(batch_size, 0, epoch, **options)
            )
        rows.append((name, f"{rate:,.0f}"))
    keras_batches = keras.utils.image_dataset_from_directory(
        os.path.join(argv[1], "train"),
        batch_size=batch_size,
        image_size=(side, side),
        crop_to_aspect_ratio=True,
        verbose=False,
    )
    rows.append(
        (
            "image_dataset_from_directory",
            f"{measure(keras_batches.prefetch(tf.data.AUTOTUNE)):,.0f}",
        )
    )
    rows.append(
        (
            "image_dataset_from_directory, cached",
            f"{measure_cached(keras_batches):,.0f}",
        )
    )
    rows.append(("training step", f"{measure_training(photographs):,.0f}"))
    terminal.print_table(
        rich.console.Console(markup=False, highlight=False),
        report.Table(
            f"Images of {side}x{side}, batches of {batch_size}",
            ("step", "images/s"),
            rows,
        ),
    )


def measure(batches):
    """Return the images per second of one pass."""
    started = time.perf_counter()
    count = sum(len(labels) for _, labels in batches)
    return count / (time.perf_counter() - started)


def measure_cached(batches):
    cached = batches.cache().prefetch(tf.data.AUTOTUNE)
    measure(cached)
    return measure(cached)


def measure_training(photographs):
    """Return the images per second of training on one batch, in memory."""
    model = training.build(photographs.image_size, len(photographs.class_names))
    optimizers.compile_classifier(keras, model, 100, 1e-3)
    (images, labels), *_ = photographs.epoch_batches(_BATCH_SIZE.value).take(1)
    model.train_on_batch(images, labels)
    started = time.perf_counter()
    for _ in range(5):
        model.train_on_batch(images, labels)
    return 5 * len(labels) / (time.perf_counter() - started)


if __name__ == "__main__":
    app.run(main)
