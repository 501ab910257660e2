import numpy as np
import pytest
from PIL import Image
from PIL import ImageEnhance
from PIL import ImageOps

from keras_squeezenet.data import colors

LEVELS = np.array([-1, -0.6, -0.2, 0, 0.1, 0.5, 0.9, 1], "float32")
WITHOUT_LEVELS = (colors.auto_contrast, colors.equalize)
OPERATIONS = {
    colors.identity: lambda image, level: image,
    colors.auto_contrast: lambda image, level: ImageOps.autocontrast(image),
    colors.equalize: lambda image, level: ImageOps.equalize(image),
    colors.posterize: lambda image, level: ImageOps.posterize(
        image, 8 - round(4 * abs(level))
    ),
    colors.solarize: lambda image, level: ImageOps.solarize(
        image, 256 * (1 - abs(level))
    ),
    **{
        operation: lambda image, level, enhance=enhance: enhance(image).enhance(
            1 + 0.9 * level
        )
        for operation, enhance in {
            colors.brightness: ImageEnhance.Brightness,
            colors.color: ImageEnhance.Color,
            colors.contrast: ImageEnhance.Contrast,
            colors.sharpness: ImageEnhance.Sharpness,
        }.items()
    },
}


@pytest.fixture
def images():
    """Images whose values are neither all nor evenly in use."""
    rng = np.random.default_rng(0)
    means = rng.uniform(80, 160, (len(LEVELS), 1, 1, 3))
    noise = rng.normal(0, 30, (len(LEVELS), 20, 24, 3))
    return (means + noise).clip(10, 240).astype("uint8")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda x: x.__name__)
def test_operations_agree_with_pillow(operation, images):
    changed = np.asarray(operation(images, LEVELS))
    assert (changed.shape, changed.dtype) == (images.shape, "uint8")
    for image, level, own in zip(images, LEVELS, changed):
        expected = OPERATIONS[operation](Image.fromarray(image), float(level))
        # Pillow does not round, and leaves the border as it is.
        difference = own.astype(int) - np.asarray(expected)
        assert abs(difference[1:-1, 1:-1]).max() <= 1


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if operation not in WITHOUT_LEVELS],
    ids=lambda x: x.__name__,
)
def test_level_of_0_changes_nothing(operation):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), "uint8")
    unchanged = operation(images, np.zeros(3, "float32"))
    np.testing.assert_array_equal(unchanged, images)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda x: x.__name__)
def test_no_images_are_no_images(operation, images):
    """A batch may have none for an operation."""
    assert operation(images[:0], LEVELS[:0]).shape == (0, 20, 24, 3)


@pytest.mark.parametrize("operation", WITHOUT_LEVELS)
def test_image_of_one_color_keeps_it(operation):
    image = np.full((1, 8, 8, 3), (0, 77, 255), "uint8")
    np.testing.assert_array_equal(operation(image, LEVELS[:1]), image)


def test_border_is_blurred_with_the_neighbors_that_it_has():
    image = np.full((1, 6, 6, 3), 200, "uint8")
    blurred = colors.sharpness(image, np.array([-1], "float32"))
    np.testing.assert_array_equal(blurred, image)
