import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.data import augmentations

SIDE = 16
SHIFT = 2


@pytest.fixture
def image():
    """No two pixels are the same."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (SIDE, SIDE, 3), "uint8")


def augment(images, seeds, name, strength=0.0):
    """Return the augmented images, each with its seed."""
    draws = [augmentations.draw(seed, name, strength) for seed in seeds]
    draws = tf.nest.map_structure(lambda *each: tf.stack(each), *draws)
    return augmentations.augment(images, draws, name, strength).numpy()


def seeds_of(count):
    return [np.array([3, index], "int64") for index in range(count)]


def find(image, augmented):
    """Return `(down, right, is_flipped)` of the move, which must be one."""
    padded = np.pad(image, ((SHIFT,) * 2, (SHIFT,) * 2, (0, 0)), "reflect")
    found = [
        (down - SHIFT, right - SHIFT, is_flipped)
        for down in range(2 * SHIFT + 1)
        for right in range(2 * SHIFT + 1)
        for is_flipped in (False, True)
        if np.array_equal(
            padded[down : down + SIDE, right : right + SIDE][
                :, :: -1 if is_flipped else 1
            ],
            augmented,
        )
    ]
    assert len(found) == 1
    return found[0]


def find_all(name, image, count=400):
    images = np.stack([image] * count)
    return [
        find(image, augmented)
        for augmented in augment(images, seeds_of(count), name)
    ]


def test_moves_of_an_eighth_and_flips_occur_independently(image):
    found = find_all("flip_crop", image)
    shifts = range(-SHIFT, SHIFT + 1)
    assert {move[:2] for move in found} == {
        (down, right) for down in shifts for right in shifts
    }
    assert 170 < sum(is_flipped for *_, is_flipped in found) < 230
    flips = [is_flipped for down, _, is_flipped in found if down == SHIFT]
    assert 0.2 < np.mean(flips) < 0.8


def test_crop_moves_alike_and_flips_none(image):
    moves = find_all("flip_crop", image, 50)
    assert len({*moves}) > 10
    assert find_all("crop", image, 50) == [(*move[:2], False) for move in moves]


def test_crops_and_flips_are_those_of_tensorflow(image):
    """The pictures of a seed stay the same."""
    seeds = seeds_of(20)
    found = augment(np.stack([image] * 20), seeds, "flip_crop")
    edges = ((SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0))
    padded = np.pad(image, edges, "reflect")
    for seed, augmented in zip(seeds, found):
        crop_seed, flip_seed = tf.unstack(tf.random.split(seed))
        expected = tf.image.stateless_random_flip_left_right(
            tf.image.stateless_random_crop(padded, image.shape, crop_seed),
            flip_seed,
        )
        np.testing.assert_array_equal(augmented, expected)


@pytest.mark.parametrize("name,strength", [("flip_crop", 0), (None, 0.5)])
@pytest.mark.parametrize("batch_size", [1, 5, 16])
def test_image_depends_on_its_seed_and_not_on_its_batch(
    name, strength, batch_size, image
):
    seeds = np.array(seeds_of(16))
    alone = augment(np.stack([image] * 16), seeds, name, strength)
    mapped = (
        tf.data.Dataset.from_tensor_slices(seeds)
        .map(lambda seed: (image, augmentations.draw(seed, name, strength)))
        .batch(batch_size)
        .map(
            lambda images, draws: augmentations.augment(
                images, draws, name, strength
            ),
            num_parallel_calls=2,
        )
        .unbatch()
    )
    np.testing.assert_array_equal(np.stack([*mapped]), alone)
    assert len({image.tobytes() for image in alone}) > 8


@pytest.mark.parametrize("shape", [(32, 32, 3), (24, 40, 1), (7, 5, 3)])
def test_shape_and_dtype_stay(shape):
    images = np.zeros((2, *shape), "uint8")
    augmented = augment(images, seeds_of(2), "flip_crop")
    assert (augmented.shape, augmented.dtype) == (images.shape, "uint8")


def test_images_of_fewer_than_eight_pixels_do_not_move():
    images = np.arange(10 * 7 * 7 * 3).reshape(10, 7, 7, 3).astype("uint8")
    augmented = augment(images, seeds_of(10), "crop")
    np.testing.assert_array_equal(augmented, images)


def test_rand_augment_comes_after_the_crop(image):
    """At a strength of almost 0 it only equalizes some images."""
    images = np.stack([image] * 30)
    cropped = augment(images, seeds_of(30), "flip_crop")
    both = augment(images, seeds_of(30), "flip_crop", 1e-6)
    same = (both == cropped).all(axis=(1, 2, 3))
    assert 15 < same.sum() < 30


def test_augmentation_is_traced_once_for_all_epochs(image):
    draws = augmentations.draw(seeds_of(1)[0], "crop", 0.25)
    draws = {name: each[tf.newaxis] for name, each in draws.items()}

    def epoch():
        images = tf.data.Dataset.from_tensors((image[np.newaxis], draws))
        images.map(lambda *each: augmentations.augment(*each, "crop", 0.25))
        return augmentations.augment.experimental_get_tracing_count()

    assert epoch() == epoch()
