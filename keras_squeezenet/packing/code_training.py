"""Code training: quantized weights trained with the rate in the loss.

Gradients pass the rounding by the straight-through estimator. The loss is that
of a training set, or without labels the divergence from the outputs of the
uncompressed network (distillation), plus lambda times the length of the codes
in bits. Weights that are zero stay zero.

References:
- [Distillation](https://arxiv.org/abs/1503.02531) (Hinton et al., 2015)
- [The straight-through estimator](https://arxiv.org/abs/1308.3432) (Bengio et
  al., 2013)
"""

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import models
from keras_squeezenet.codec import encodings
from keras_squeezenet.data import augmentations
from keras_squeezenet.packing import rate_distortion
from keras_squeezenet.utils import cpu

BATCH_SIZE = 32
AUGMENTATION = "flip_crop"
# How far gradient noise alone moves a weight, in step sizes. A weight begins at
# most `MARGIN` from what its code stands for, so that noise changes no code.
DRIFT = 0.1
MARGIN = 0.5 - DRIFT
# The learning rate in step sizes for a training set, whose labels say more than
# the outputs for some images.
LEARNING_RATE = 0.02
WARMUP_SHARE = 0.1
MAX_CODE = rate_distortion.MAX_CODES // 2


def batches(images: np.ndarray, steps: int, seed: int) -> Iterator[tf.Tensor]:
    """Yield `steps` batches of `BATCH_SIZE` randomly augmented images."""
    dataset = (
        tf.data.Dataset.from_tensor_slices(images)
        .shuffle(len(images), seed)
        .repeat()
        .enumerate()
        .map(
            lambda i, x: (x, augmentations.draw([seed, i], AUGMENTATION)),
            tf.data.AUTOTUNE,
        )
        .batch(BATCH_SIZE)
        .map(
            lambda x, draws: augmentations.augment(x, draws, AUGMENTATION),
            tf.data.AUTOTUNE,
        )
        .prefetch(tf.data.AUTOTUNE)
    )
    yield from dataset.take(steps)


def portions(steps: int, count: int) -> list[int]:
    """Divide steps into at most `count` parts, as equal as possible."""
    count = min(count, steps)
    return np.diff(np.arange(count + 1) * steps // count).tolist()


class CodeTrainer:
    """Trains the codes of quantized weights.

    Args:
        teacher: model from images to probabilities, which is not changed. The
            weights begin as close to its own as their codes allow.
        arrays: `{name: encodings.UniformArray}`, the initial weights in the
            order of the models' weights.
        steps: the total number of training steps.
        loss: a function of the targets and the outputs of a batch to the loss
            of each image. Defaults to `None`: the targets are the outputs of
            the teacher, and the loss is the divergence from them.
    """

    def __init__(
        self,
        teacher: keras.Model,
        arrays: dict[str, Any],
        steps: int,
        loss: Callable | None = None,
    ):
        precision = cpu.precision()
        self.student = models.copy(teacher, precision)
        self.loss = loss
        if loss is None:
            self.teacher = models.copy(teacher, precision)
        # Keras does not pass the model's value on where it stays the same.
        for each in (self.student, *self.student.layers):
            each.trainable = True
        self.steps = {name: array.step for name, array in arrays.items()}
        self.codes = [
            keras.Variable(_begin(array, original), name="codes")
            for array, original in zip(arrays.values(), teacher.get_weights())
        ]
        # Biases may become anything.
        self.masks = [
            (array.codes != 0) | (array.codes.ndim == 1)
            for array in arrays.values()
        ]
        # Adam moves by about the learning rate in each step: noise adds up to a
        # random walk, a consistent gradient to a line.
        peak = LEARNING_RATE if loss else DRIFT / math.sqrt(steps)
        warmup = int(WARMUP_SHARE * steps)
        self.optimizer = keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(
                peak / (warmup + 1),
                steps - warmup,
                warmup_target=peak,
                warmup_steps=warmup,
            )
        )
        self.optimizer.build(self.codes)
        self._step = tf.function(self._train_step, reduce_retracing=True)

    def train(
        self,
        batches: Iterable,
        lambda_: float,
        advance: Callable[..., None] = lambda **metrics: None,
    ) -> None:
        """Train one step per batch.

        The batches are preprocessed images; with a `loss` they are tuples of
        them, their targets, and perhaps the weights of the images.
        """
        lengths = [
            tf.constant(
                rate_distortion.code_lengths(array.codes, MAX_CODE), tf.float32
            )
            for array in self.arrays().values()
            if array.codes.ndim > 1
        ]
        lambda_ = tf.constant(lambda_, tf.float32)
        name = "loss" if self.loss else "kl"
        for batch in batches:
            advance(**{name: float(self._step(batch, lengths, lambda_))})

    def arrays(self) -> dict[str, encodings.UniformArray]:
        """Return the current weights by name."""
        return {
            name: encodings.UniformArray(
                _rounded(code).numpy().astype("int64"), step
            )
            for (name, step), code in zip(self.steps.items(), self.codes)
        }

    def _train_step(self, batch, lengths, lambda_):
        if self.loss is None:
            batch = batch, self.teacher(batch, training=False)
        images, targets, *weights = batch
        with tf.GradientTape() as tape:
            codes = [code.value for code in self.codes]
            received, _ = self.student.stateless_call(
                [
                    step * (code + tf.stop_gradient(_rounded(code) - code))
                    for step, code in zip(self.steps.values(), codes)
                ],
                self.student.non_trainable_variables,
                images,
                training=False,
            )
            of_image = (self.loss or keras.losses.kl_divergence)(
                targets, received
            )
            loss = tf.reduce_mean(math.prod(weights, start=of_image))
            # The rate of the biases is negligible.
            kernels = [code for code in codes if len(code.shape) > 1]
            bits = tf.add_n(list(map(_bits, kernels, lengths)))
            total = loss + lambda_ * bits
        gradients = tape.gradient(total, codes)
        self.optimizer.apply(
            [
                tf.where(mask, gradient, 0.0)
                for mask, gradient in zip(self.masks, gradients)
            ],
            self.codes,
        )
        return loss


def _begin(array, original):
    """Return what the codes of an array are trained from, float32.

    It rounds to these codes, and is as close as possible to the original
    weights, which say what codes are about to change.
    """
    codes = array.codes.astype("float32")
    if codes.ndim == 1:
        return codes
    near = np.clip(original / array.step, codes - MARGIN, codes + MARGIN)
    return np.where(codes, near, codes).astype("float32")


def _rounded(code):
    return tf.clip_by_value(tf.round(code), -MAX_CODE, MAX_CODE)


def _bits(code, lengths):
    """Return the sum of the code lengths, interpolated between codes."""
    code = tf.clip_by_value(code, -MAX_CODE, MAX_CODE - 1)
    below = tf.stop_gradient(tf.floor(code))
    index = tf.cast(below, tf.int32) + MAX_CODE
    low, high = tf.gather(lengths, index), tf.gather(lengths, index + 1)
    return tf.reduce_sum(low + (code - below) * (high - low))
