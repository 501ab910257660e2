"""Random mixtures of training images and their labels: MixUp and CutMix.

References:
- [mixup](https://arxiv.org/abs/1710.09412) (Zhang et al., 2018)
- [CutMix](https://arxiv.org/abs/1905.04899) (Yun et al., 2019)

These are TensorFlow operations, since they run within `tf.data`, and are
stateless: the result depends on the batch and the seed alone. The random
numbers are distributed as in `keras.layers.MixUp` and `CutMix`, which take
twice the time.
"""

import tensorflow as tf


# It is traced once, and not for the batches of each epoch.
@tf.function
def mix(
    images: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    mixup: float = 0.0,
    cutmix: float = 0.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix each image of a batch with another one.

    With both kinds, one of them is drawn for each batch.

    Args:
        images: float32, of shape `(batch, height, width, channels)`.
        labels: probabilities, float32 of shape `(batch, classes)`.
        seed: two integers, such as the numbers of the epoch and the batch.
        mixup: the `alpha` of `MixUp`, from 0 to 1. Defaults to `0.0`, none.
        cutmix: the `factor` of `CutMix`, from 0 to 1. Defaults to `0.0`, none.

    Returns:
        Tensors like `images` and `labels`.
    """
    if not mixup and not cutmix:
        return images, labels
    choice, order_seed, seed = tf.unstack(tf.random.split(seed, 3))
    size = tf.shape(images)[0]
    order = tf.argsort(tf.random.stateless_uniform((size,), order_seed))
    others = tf.gather(images, order)
    share = 0.5 if mixup and cutmix else float(mixup > 0)
    mixed, shares = tf.cond(
        tf.random.stateless_uniform((), choice) < share,
        lambda: _blend(images, others, seed, mixup),
        lambda: _paste(images, others, seed, cutmix),
    )
    other_labels = tf.gather(labels, order)
    return mixed, labels + shares[:, tf.newaxis] * (other_labels - labels)


def _blend(images, others, seed, alpha):
    """Return `MixUp`'s images, and the shares that the others have in them."""
    shares = _beta(tf.shape(images)[0], seed, alpha)
    return images + tf.reshape(shares, (-1, 1, 1, 1)) * (
        others - images
    ), shares


def _paste(images, others, seed, factor):
    """Return `CutMix`'s images, and the shares that the others have in them."""
    shape = tf.shape(images)
    size, height, width, channels = tf.unstack(shape)
    alpha_seed, share_seed, place_seed = tf.unstack(tf.random.split(seed, 3))
    alpha = factor * tf.random.stateless_uniform((), alpha_seed)
    lengths = tf.sqrt(_beta(size, share_seed, alpha))
    starts = tf.random.stateless_uniform((2, size), place_seed) * (1 - lengths)

    def inside(start, side):
        """Return 1 for the pixels of a side that are within the boxes."""
        first, last = (
            tf.round(edge[:, tf.newaxis] * tf.cast(side, tf.float32))
            for edge in (start, start + lengths)
        )
        pixels = tf.range(side, dtype=tf.float32)
        return tf.cast((pixels >= first) & (pixels < last), tf.float32)

    rows, columns = inside(starts[0], height), inside(starts[1], width)
    shares = tf.reduce_mean(rows, axis=1) * tf.reduce_mean(columns, axis=1)
    # Whole rows of values are a cheaper shape than pixels of few channels.
    box = (
        rows[:, :, tf.newaxis] * tf.repeat(columns, channels, 1)[:, tf.newaxis]
    )
    difference = tf.reshape(others - images, (size, height, width * channels))
    return images + tf.reshape(box * difference, shape), shares


def _beta(size, seed, alpha):
    """Draw from a beta distribution whose two parameters are equal."""
    draws = tf.random.stateless_gamma((2, size), seed, alpha)
    return draws[0] / (draws[0] + draws[1])
