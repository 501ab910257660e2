"""Random changes of training images that leave their class as it is.

TensorFlow operations, since they run within `tf.data`, and stateless: the
same seed gives the same picture, whatever ran before.
"""

import functools

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


# Functions of an image and its seed, by name.
AUGMENTATIONS = {
    "flip_crop": augment,
    "crop": functools.partial(augment, flip=False),
}
