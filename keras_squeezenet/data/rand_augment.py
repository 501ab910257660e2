"""RandAugment: a few random operations for each image of a batch.

Reference:
- [RandAugment](https://arxiv.org/abs/1909.13719) (Cubuk et al., 2019)

The operations are the fourteen of the paper, each as probable as the others.
Their levels are from -1 to 1; both ends are the paper's magnitude of 10. The
geometric operations of an image come first, as one transformation.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

from keras_squeezenet.data import colors
from keras_squeezenet.data import warps

# The operations that an image undergoes, the paper's N.
COUNT = 2

# Functions of levels and the height and width of images to matrices. A level of
# 1 is a rotation by 30 degrees, a shear of 0.3, or a shift by 45% of the side.
GEOMETRIC = {
    "rotate": lambda levels, sides: warps.rotation(math.pi / 6 * levels),
    "shear_x": lambda levels, sides: warps.affine(xy=0.3 * levels),
    "shear_y": lambda levels, sides: warps.affine(yx=0.3 * levels),
    "translate_x": lambda levels, sides: warps.affine(
        x=0.45 * sides[1] * levels
    ),
    "translate_y": lambda levels, sides: warps.affine(
        y=0.45 * sides[0] * levels
    ),
}
# Functions of images and levels to images.
COLORS = {
    "identity": colors.identity,
    "auto_contrast": colors.auto_contrast,
    "brightness": colors.brightness,
    "color": colors.color,
    "contrast": colors.contrast,
    "equalize": colors.equalize,
    "posterize": colors.posterize,
    "sharpness": colors.sharpness,
    "solarize": colors.solarize,
}


def draw(seed: tf.Tensor) -> tf.Tensor:
    """Draw the random numbers of an image.

    Args:
        seed: two integers, as the stateless operations of TensorFlow take them.

    Returns:
        float32 from 0 to 1, of shape `(COUNT, 2)`: each operation and level.
    """
    return tf.random.stateless_uniform((COUNT, 2), seed)


def choose(draws: tf.Tensor, strength: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the operations of images and their levels.

    Args:
        draws: what `draw` returned for each image, of shape `(batch, COUNT,
            2)`.
        strength: the largest level, from 0 to 1.

    Returns:
        Two tensors of shape `(batch, COUNT)`: int32, the numbers of operations
        in `(*GEOMETRIC, *COLORS)`; and float32 from `-strength` to `strength`.
    """
    operations, levels = tf.unstack(draws, axis=-1)
    count = len(GEOMETRIC) + len(COLORS)
    return (
        tf.cast(count * operations, tf.int32),
        strength * (2 * levels - 1),
    )


def matrices(
    operations: tf.Tensor, levels: tf.Tensor, sides: Sequence[int]
) -> tf.Tensor:
    """Return the matrices, as `warps` takes them, of all geometric operations.

    The arguments are what `choose` returned, and the height and width of the
    images.
    """
    result = warps.affine()
    for index in range(COUNT):
        own = levels[:, index]
        others = warps.affine(xx=tf.ones_like(own))
        found = tf.stack(
            [*(make(own, sides) for make in GEOMETRIC.values()), others], axis=1
        )
        number = tf.minimum(operations[:, index], len(GEOMETRIC))
        result @= tf.gather(found, number, batch_dims=1)
    return result


def change_colors(
    images: tf.Tensor, operations: tf.Tensor, levels: tf.Tensor
) -> tf.Tensor:
    """Apply the operations of `COLORS` to uint8 RGB images, in their order."""
    for index in range(COUNT):
        number = tf.maximum(operations[:, index] - len(GEOMETRIC), 0)
        images = _apply([*COLORS.values()], number, images, levels[:, index])
    return images


def _apply(functions, numbers, images, levels):
    """Apply to each image the function of its number.

    Each function is given all its images at once.
    """
    parts = [
        tf.dynamic_partition(each, numbers, len(functions))
        for each in (tf.range(tf.size(numbers)), images, levels)
    ]
    places, images_of, levels_of = parts
    changed = [
        function(*part)
        for function, *part in zip(functions, images_of, levels_of)
    ]
    return tf.ensure_shape(tf.dynamic_stitch(places, changed), images.shape)
