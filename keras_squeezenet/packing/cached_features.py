"""Cached features: the outputs of a frozen front, computed once.

The layers at the front have few of the weights and do most of the work. The
others are trained on the outputs of the last of them, which are kept in memory.
"""

import contextlib
import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import models
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import splits
from keras_squeezenet.utils import cpu
from keras_squeezenet.utils.progress import Progress

# The share of the weights that are frozen, at most.
MAX_SHARE = 0.2
# The features of each set may take so much memory.
MAX_BYTES = 2 << 30
POOLINGS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)


def divide(model: keras.Model) -> tuple[keras.Model, keras.Model] | None:
    """Return copies of the front of a network and of the rest.

    The front ends at a pooling, where features are small, and the rest takes
    nothing else from it. `None` is returned if there is no such front.
    """
    for layer in reversed(model.layers):
        if not isinstance(layer, POOLINGS):
            continue
        front = keras.Model(model.input, layer.output)
        if front.count_params() > MAX_SHARE * model.count_params():
            continue
        # Keras refuses a rest that takes other outputs of the front too, or in
        # its first versions makes those layers a part of it.
        with contextlib.suppress(ValueError):
            rest = keras.Model(layer.output, model.output)
            if {*front.layers}.isdisjoint(rest.layers):
                return models.copy(front), models.copy(rest)
    return None


def passes(front: keras.Model, images: int) -> int:
    """Return how often the features of so many images fit into memory.

    The front is as `divide` returns it.
    """
    return MAX_BYTES // (2 * images * math.prod(front.output_shape[1:]))


def cache(
    front: keras.Model,
    split: splits.Split,
    count: int,
    seed: int,
    progress: Progress,
) -> splits.Split:
    """Return a training set with the features of its images in their place.

    Those of the first epochs are computed, float16, and used in turn: more than
    one are worth it if the images of each are augmented otherwise. Examples are
    shuffled again in every epoch if the set has a `batch_size`.

    Args:
        front: as `divide` returns it.
        split: the set.
        count: the number of epochs to compute, at least 1.
        seed: the seed of the order.
        progress: what shows the progress.
    """
    front = models.copy(front, cpu.precision())
    compute = tf.function(
        lambda images: as_float16(front(images, training=False)),
        reduce_retracing=True,
    )
    found = []
    with progress.task("features", count * split.steps) as advance:
        for epoch in range(count):
            batches = []
            for images, *others in split.batches(epoch):
                # Not in the memory of a GPU.
                with tf.device("CPU:0"):
                    batches.append((tf.identity(compute(images)), *others))
                advance()
            if split.batch_size is not None:
                with tf.device("CPU:0"):
                    batches = [
                        tf.concat(each, axis=0) for each in zip(*batches)
                    ]
            found.append(batches)
    if split.batch_size is None:
        batches = _in_order(found)
    else:
        batches = _shuffled(found, split.batch_size, seed)
    return dataclasses.replace(split, batches=batches)


def as_float16(features: tf.Tensor) -> tf.Tensor:
    """Return features as float16; its largest number stands for larger ones."""
    return tf.cast(
        tf.clip_by_value(features, tf.float16.min, tf.float16.max), tf.float16
    )


def _in_order(found):
    """Return a function from an epoch to batches, the same as were found."""

    def batches(epoch, start=0):
        batches = found[epoch % len(found)][start:]
        return tf.data.Dataset.from_generator(
            lambda: batches,
            output_signature=tuple(
                tf.TensorSpec((None, *part.shape[1:]), part.dtype)
                for part in found[0][0]
            ),
        ).map(_in_float32)

    return batches


def _shuffled(found, size, seed):
    """Return a function from an epoch to batches of shuffled examples."""

    def batches(epoch, start=0):
        arrays = found[epoch % len(found)]
        order = image_dataset.mix_seed(seed, epoch)
        shuffled = np.random.default_rng(order).permutation(len(arrays[0]))
        return (
            tf.data.Dataset.from_tensor_slices(shuffled)
            .batch(size, drop_remainder=True)
            .skip(start)
            .map(lambda index: tuple(tf.gather(each, index) for each in arrays))
            .map(_in_float32)
            .prefetch(tf.data.AUTOTUNE)
        )

    return batches


def _in_float32(features, *others):
    return tf.cast(features, tf.float32), *others
