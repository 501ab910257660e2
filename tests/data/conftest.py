"""Synthetic images, small enough for fast tests."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_squeezenet.data import lazy_examples


@pytest.fixture
def write_images():
    """Return a function that writes PNG files of one gray each.

    Each image's level is its number, in the order of the calls: it tells
    which image a pixel came from.
    """
    count = 0

    def write_images(folder, names, size=(8, 8)):
        nonlocal count
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            Image.fromarray(np.full(size[::-1], count, "uint8")).save(
                folder / name, format="PNG"
            )
            count += 1

    return write_images


@pytest.fixture
def image_folder(tmp_path, write_images):
    """A folder with 10 images of cats, levels 0-9, and 10 dogs, 10-19."""
    for name in ("cat", "dog"):
        write_images(tmp_path / name, [f"{i}.png" for i in range(10)])
    return tmp_path


@pytest.fixture
def counted_levels():
    """Return a function to lazily decoded images and the levels decoded so far.

    Each image is of 2x2 pixels, of one gray that is its element.
    """
    side, decoded = 2, []

    def decode(level):
        decoded.append(int(level))
        return np.full((side, side, 3), level, "uint8")

    def image(level):
        return tf.ensure_shape(
            tf.numpy_function(decode, [level], tf.uint8), (side, side, 3)
        )

    def counted(size, start=0):
        levels = tf.data.Dataset.range(start, start + size)
        elements = levels.map(lambda level: (level, level % 2))
        found = lazy_examples.Examples(
            elements, image, image_size=side, element_bytes=8
        )
        return found, decoded

    return counted
