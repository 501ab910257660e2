"""Training toward the codec: codes straight-through, their entropy a loss.

The loss is the harm to what the untouched network says, which needs no labels,
plus the bits of the codes at what a bit is worth. Codes that are worth less
than their bits become smaller, and the others make up for it.

Reference:
- [Distillation](https://arxiv.org/abs/1503.02531) (Hinton et al., 2015)
- [The straight-through estimator](https://arxiv.org/abs/1308.3432) (Bengio et
  al., 2013)
"""

import math

import keras
import tensorflow as tf

from keras_squeezenet.codec import encodings
from keras_squeezenet.data import augmentations
from keras_squeezenet.packing import rate_distortion

BATCH_SIZE = 32
# How far noise alone moves a number, in codes: not so far that it gets another.
DRIFT = 0.2
WARMUP_SHARE = 0.1
LARGEST = rate_distortion.MAX_CODES // 2


def batches(images, steps, seed):
    """Yields a batch for each step, moved and mirrored at random.

    Labels would not survive everything that is done to an image, but what the
    teacher says about it does.

    Args:
        images: float32 array of shape `(images, height, width, 3)`.
        steps: int.
        seed: int.

    Yields:
        Tensors of shape `(BATCH_SIZE, height, width, 3)`.
    """
    dataset = (
        tf.data.Dataset.from_tensor_slices(images)
        .shuffle(len(images), seed)
        .repeat()
        .enumerate()
        .map(lambda i, x: augmentations.augment(x, [seed, i]), tf.data.AUTOTUNE)
        .batch(BATCH_SIZE)
        .prefetch(tf.data.AUTOTUNE)
    )
    yield from dataset.take(steps)


class Tuner:
    """Coded weights in training.

    Args:
        teacher: `keras.Model` from images to probabilities, which stays as it
            is.
        student: another `keras.Model` of the same layers, without dropout's
            or other state. Its weights are not used.
        arrays: `{name: arrays.Stepped}`, the weights to begin with, in the
            order of the models' weights.
        steps: int, how long the training will be.
    """

    def __init__(self, teacher, student, arrays, steps):
        self.teacher, self.student = teacher, student
        for layer in student.layers:
            layer.trainable = True
        self.steps = {name: array.step for name, array in arrays.items()}
        self.codes = [
            keras.Variable(array.codes.astype("float32"), name="codes")
            for array in arrays.values()
        ]
        warmup = int(WARMUP_SHARE * steps)
        self.optimizer = keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(
                0.0,
                steps - warmup,
                # Adam makes a random walk of noise, and a way of a signal.
                warmup_target=DRIFT / math.sqrt(steps),
                warmup_steps=warmup,
            )
        )
        self.optimizer.build(self.codes)
        self._train = tf.function(self._train_on, reduce_retracing=True)

    def train(self, batches, trade_off, advance=lambda **metrics: None):
        """Trains a step for each batch.

        Args:
            batches: iterable of batches of preprocessed images.
            trade_off: float, the harm that a bit is worth, in nats.
            advance: function called after each step with the `divergence`.
                Defaults to one that does nothing.
        """
        lengths = [
            tf.constant(
                rate_distortion.lengths(array.codes, LARGEST), tf.float32
            )
            for array in self.arrays().values()
            if array.codes.ndim > 1
        ]
        trade_off = tf.constant(trade_off, tf.float32)
        for images in batches:
            divergence = self._train(images, lengths, trade_off)
            advance(divergence=float(divergence))

    def arrays(self):
        """Returns the weights as they are now, `{name: arrays.Stepped}`."""
        return {
            name: encodings.Stepped(_whole(code).numpy().astype("int64"), step)
            for (name, step), code in zip(self.steps.items(), self.codes)
        }

    def _train_on(self, images, lengths, trade_off):
        expected = self.teacher(images, training=False)
        with tf.GradientTape() as tape:
            codes = [code.value for code in self.codes]
            received, _ = self.student.stateless_call(
                [
                    step * (code + tf.stop_gradient(_whole(code) - code))
                    for step, code in zip(self.steps.values(), codes)
                ],
                self.student.non_trainable_variables,
                images,
                training=False,
            )
            divergence = tf.reduce_mean(
                keras.losses.kl_divergence(expected, received)
            )
            # The biases' few are not worth a gradient.
            kernels = [code for code in codes if len(code.shape) > 1]
            bits = tf.add_n(list(map(_bits, kernels, lengths)))
            loss = divergence + trade_off * bits
        gradients = tape.gradient(loss, codes)
        self.optimizer.apply(gradients, self.codes)
        return divergence


def _whole(code):
    return tf.clip_by_value(tf.round(code), -LARGEST, LARGEST)


def _bits(code, lengths):
    """The sum of the lengths, linear between one code and the next."""
    code = tf.clip_by_value(code, -LARGEST, LARGEST - 1)
    below = tf.stop_gradient(tf.floor(code))
    place = tf.cast(below, tf.int32) + LARGEST
    low, high = tf.gather(lengths, place), tf.gather(lengths, place + 1)
    return tf.reduce_sum(low + (code - below) * (high - low))
