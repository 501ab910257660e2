"""Random augmentation of training images.

These are TensorFlow operations, since they run within `tf.data`, and are
stateless: the result depends on the image and the seed alone.
"""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

# The largest shift, as a share of the side of the image.
SHIFT = 1 / 8


def augment(image: tf.Tensor, seed: tf.Tensor, flip: bool = True) -> tf.Tensor:
    """Shift an image by up to an eighth of its sides and flip half of them.

    The border is filled with the reflected image.

    Args:
        image: uint8 image of a static shape `(height, width, channels)`.
        seed: two integers, as the stateless operations of TensorFlow take
            them, such as the numbers of the epoch and the image.
        flip: whether to flip images horizontally, which does not suit digits or
            letters. Shifts do not depend on it. Defaults to `True`.
    """
    image = tf.convert_to_tensor(image)
    crop_seed, flip_seed = tf.unstack(tf.random.split(seed))
    height, width, _ = image.shape
    shifts = [int(side * SHIFT) for side in (height, width)]
    padded = tf.pad(
        image, [*((shift, shift) for shift in shifts), (0, 0)], "REFLECT"
    )
    image = tf.image.stateless_random_crop(padded, image.shape, crop_seed)
    if flip:
        image = tf.image.stateless_random_flip_left_right(image, flip_seed)
    return image


class Seeds(keras.random.SeedGenerator):
    """Seeds that follow from a given one, for the layers of Keras.

    With the state of a usual generator a batch would depend on those before
    it.
    """

    def begin(self, seed: tf.Tensor) -> "Seeds":
        """Set the seed, a tensor of two integers, that all others follow."""
        self.seed = seed
        self.drawn = 0
        return self

    def next(self, ordered=True):
        self.drawn += 1
        return tf.random.experimental.stateless_fold_in(self.seed, self.drawn)


class SeededRandAugment(keras.layers.RandAugment):
    """`RandAugment` that draws from `Seeds`."""

    def __init__(self, strength: float):
        super().__init__(factor=(0, strength), dtype="float32")
        self.generator = Seeds()


# The layers take seconds to trace, once.
@functools.cache
def make_rand_augment(strength: float) -> Callable:
    """Return `keras.layers.RandAugment` as a function of images and a seed.

    Reference:
    - [RandAugment](https://arxiv.org/abs/1909.13719) (Cubuk et al., 2019)

    Two operations are drawn for each batch, and their strength for each image.

    Args:
        strength: the largest strength of an operation, from 0 to 1.

    Returns:
        A function of a tensor of RGB images from 0 to 255, of shape `(batch,
        height, width, 3)`, and of two integers, to such a float32 tensor.
    """
    layer = SeededRandAugment(strength)

    @tf.function
    def rand_augment(images, seed):
        layer.generator.begin(seed)
        return layer(tf.cast(images, tf.float32))

    return rand_augment


@functools.cache
def make_mixing(mixup: float = 0.0, cutmix: float = 0.0) -> Callable:
    """Return `keras.layers.MixUp` and `CutMix` as a function.

    Reference:
    - [mixup](https://arxiv.org/abs/1710.09412) (Zhang et al., 2018)
    - [CutMix](https://arxiv.org/abs/1905.04899) (Yun et al., 2019)

    With both, one of them is drawn for each batch.

    Args:
        mixup: the `alpha` of `MixUp`, from 0 to 1. Defaults to `0.0`, none.
        cutmix: the `factor` of `CutMix`, from 0 to 1. Defaults to `0.0`, none.

    Returns:
        A function of images of shape `(batch, height, width, channels)`, of
        their labels as probabilities of shape `(batch, classes)`, and of two
        integers, to images and labels.
    """
    layers = []
    if mixup:
        layers.append(keras.layers.MixUp(mixup, dtype="float32"))
    if cutmix:
        layers.append(keras.layers.CutMix(cutmix, dtype="float32"))
    seeds = Seeds()

    def apply(layer, images, labels, seed):
        drawn = layer.get_random_transformation(images, seed=seeds.begin(seed))
        return (
            layer.transform_images(images, drawn),
            layer.transform_labels(labels, drawn),
        )

    @tf.function
    def mix(images, labels, seed):
        if not layers:
            return images, labels
        choice_seed, seed = tf.unstack(tf.random.split(seed))
        return tf.cond(
            tf.random.stateless_uniform((), choice_seed) < 0.5,
            lambda: apply(layers[0], images, labels, seed),
            lambda: apply(layers[-1], images, labels, seed),
        )

    return mix


# Functions of an image and its seed, by name.
AUGMENTATIONS = {
    "flip_crop": augment,
    "crop": functools.partial(augment, flip=False),
}
