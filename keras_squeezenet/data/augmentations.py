"""Random augmentation of training images.

The random numbers are drawn for each image, and applied to whole batches: what
becomes of an image depends on the image and its seed alone, and not on its
batch. These are TensorFlow operations, since they run within `tf.data`.
"""

import tensorflow as tf

from keras_squeezenet.data import rand_augment
from keras_squeezenet.data import warps

# The largest shift, as a share of the side of the image.
SHIFT = 1 / 8
# Whether images are flipped, by the name of the augmentation. All are shifted.
AUGMENTATIONS = {"flip_crop": True, "crop": False}


def draw(
    seed: tf.Tensor, augmentation: str | None, strength: float = 0.0
) -> dict[str, tf.Tensor]:
    """Draw the random numbers that `augment` takes for an image.

    Args:
        seed: two integers, as the stateless operations of TensorFlow take
            them, such as the numbers of the epoch and the image.
        augmentation, strength: those that `augment` is given.
    """
    seeds = tf.unstack(tf.random.split(seed, 3))
    draws = {}
    if augmentation is not None:
        draws["shift"] = tf.random.stateless_uniform(
            (2,), seeds[0], 0, tf.int32.max, tf.int32
        )
        draws["flip"] = tf.random.stateless_uniform((), seeds[1])
    if strength:
        draws["operations"] = rand_augment.draw(seeds[2])
    return draws


# It is traced once, and not for the batches of each epoch.
@tf.function
def augment(
    images: tf.Tensor,
    draws: dict[str, tf.Tensor],
    augmentation: str | None,
    strength: float = 0.0,
) -> tf.Tensor:
    """Augment a batch of images.

    Args:
        images: uint8 images of shape `(batch, height, width, channels)`, whose
            height and width are static; RGB with a `strength`.
        draws: what `draw` returned for each image, as a batch.
        augmentation: `"flip_crop"` shifts images by up to an eighth of their
            sides and flips half of them horizontally; `"crop"`, for digits and
            letters, shifts them alone. The border is filled with the reflected
            image. `None` does neither.
        strength: that of RandAugment, which comes after it, from 0 to 1.
            Defaults to `0.0`, none.

    Returns:
        A tensor like `images`.
    """
    if augmentation is None and not strength:
        return images
    sides = images.shape[1:3]
    matrices = warps.affine()
    if augmentation is not None:
        matrices = _moves(draws, sides, AUGMENTATIONS[augmentation])
    if not strength:
        return warps.warp(images, matrices)
    chosen = rand_augment.choose(draws["operations"], strength)
    matrices = matrices @ rand_augment.matrices(*chosen, sides)
    return rand_augment.change_colors(warps.warp(images, matrices), *chosen)


def _moves(draws, sides, flip):
    down, right = (
        draws["shift"][:, axis] % (2 * limit + 1) - limit
        for axis, limit in enumerate(int(side * SHIFT) for side in sides)
    )
    is_flipped = draws["flip"] < 0.5 if flip else False
    return warps.affine(xx=tf.where(is_flipped, -1.0, 1.0), x=right, y=down)
