"""Random changes of training images that leave their class as it is.

TensorFlow operations, since they run within `tf.data`, and stateless: the
same seed gives the same picture, whatever ran before.
"""

import functools

import keras
import tensorflow as tf

# What an image is moved by at most, as a part of its side.
SHIFT = 1 / 8


def augment(image, seed, flip=True):
    """Moves an image by up to an eighth of its sides, and mirrors every second.

    What a move uncovers at the border is filled with the image's reflection.

    Args:
        image: uint8 tensor or array of shape `(height, width, channels)`,
            which should be known.
        seed: two integers, as the stateless operations of TensorFlow take
            them, such as the number of the epoch and that of the image.
        flip: bool, whether left and right may change places: not for digits
            or letters. The moves are the same either way. Defaults to `True`.

    Returns:
        A tensor of the same shape and dtype.
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
    """Has Keras's layers draw from a seed that they are given, not a state.

    A state would make a batch depend on those before it.
    """

    def begin(self, seed):
        """Sets the seed, a tensor of two integers, that all others follow."""
        self.seed = seed
        self.drawn = 0

    def next(self, ordered=True):
        self.drawn += 1
        return tf.random.experimental.stateless_fold_in(self.seed, self.drawn)


# Keras's layers take seconds to trace, once.
@functools.cache
def make_rand_augment(strength):
    """Returns `keras.layers.RandAugment` as a function of images and a seed.

    Reference:
    - [RandAugment](https://arxiv.org/abs/1909.13719) (Cubuk et al., 2019)

    Two operations are chosen for a batch, and how much of them for each of
    its images.

    Args:
        strength: float between 0 and 1, of the operations.

    Returns:
        A function of a tensor of RGB images from 0 to 255, of shape `(batch,
        height, width, 3)`, and of two integers, to such a float32 tensor.
    """
    layer = keras.layers.RandAugment(factor=(0, strength), dtype="float32")
    layer.generator = Seeds()

    @tf.function
    def rand_augment(images, seed):
        layer.generator.begin(seed)
        return layer(tf.cast(images, tf.float32))

    return rand_augment


@functools.cache
def make_mixing(mixup=0.0, cutmix=0.0):
    """Returns `keras.layers.MixUp` and `CutMix` as a function.

    Reference:
    - [mixup](https://arxiv.org/abs/1710.09412) (Zhang et al., 2018)
    - [CutMix](https://arxiv.org/abs/1905.04899) (Yun et al., 2019)

    Args:
        mixup: float between 0 and 1, the `alpha` of `MixUp`; 0 for none.
            Defaults to `0.0`.
        cutmix: float between 0 and 1, the `factor` of `CutMix`; 0 for none.
            Where both are asked for, each batch gets one of them. Defaults to
            `0.0`.

    Returns:
        A function of images of shape `(batch, height, width, channels)`, of
        their labels as shares of shape `(batch, classes)`, and of two
        integers, to images and labels.
    """
    layers = []
    if mixup:
        layers.append(keras.layers.MixUp(mixup, dtype="float32"))
    if cutmix:
        layers.append(keras.layers.CutMix(cutmix, dtype="float32"))
    for layer in layers:
        layer.generator = Seeds()

    def apply(layer, images, labels, seed):
        layer.generator.begin(seed)
        mixed = layer({"images": images, "labels": labels})
        return mixed["images"], mixed["labels"]

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
