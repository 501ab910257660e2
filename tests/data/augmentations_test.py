import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.data import augmentations

SIDE = 16
SHIFT = 2
FLIP_CROP = augmentations.AUGMENTATIONS["flip_crop"]
CROP = augmentations.AUGMENTATIONS["crop"]


@pytest.fixture
def image():
    """No two pixels are the same."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (SIDE, SIDE, 3), "uint8")


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


def find_all(augment, image, count=400):
    return [
        find(image, augment(image, (0, index)).numpy())
        for index in range(count)
    ]


def test_moves_of_an_eighth_and_flips_occur_independently(image):
    found = find_all(FLIP_CROP, image)
    shifts = range(-SHIFT, SHIFT + 1)
    assert {move[:2] for move in found} == {
        (down, right) for down in shifts for right in shifts
    }
    assert 170 < sum(is_flipped for *_, is_flipped in found) < 230
    flips = [is_flipped for down, _, is_flipped in found if down == SHIFT]
    assert 0.2 < np.mean(flips) < 0.8


def test_crop_moves_alike_and_flips_none(image):
    moves = find_all(FLIP_CROP, image, 50)
    assert len({*moves}) > 10
    assert find_all(CROP, image, 50) == [(*move[:2], False) for move in moves]


@pytest.mark.parametrize("augment", [FLIP_CROP, CROP])
def test_same_seed_gives_the_same_image_within_and_without_tf_data(
    augment, image
):
    seeds = np.array([(epoch, 7) for epoch in range(20)], "int64")
    alone = [augment(image, seed).numpy() for seed in seeds]
    mapped = (
        tf.data.Dataset.from_tensor_slices(seeds)
        .map(lambda seed: augment(image, seed), num_parallel_calls=4)
        .batch(len(seeds))
    )
    np.testing.assert_array_equal(next(iter(mapped)), alone)
    assert len({image.tobytes() for image in alone}) > 5


@pytest.mark.parametrize("shape", [(32, 32, 3), (24, 40, 1), (7, 5, 3)])
def test_shape_and_dtype_stay(shape):
    dataset = tf.data.Dataset.from_tensors(tf.zeros(shape, tf.uint8)).map(
        lambda image: FLIP_CROP(image, (1, 2))
    )
    assert dataset.element_spec == tf.TensorSpec(shape, tf.uint8)
    assert next(iter(dataset)).shape == shape


def test_images_of_fewer_than_eight_pixels_do_not_move():
    image = np.arange(7 * 7 * 3, dtype="uint8").reshape(7, 7, 3)
    for index in range(10):
        np.testing.assert_array_equal(CROP(image, (0, index)), image)


def seed_of(index):
    # The functions are traced again for each number that is not an array.
    return np.array([0, index], "int32")


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (6, SIDE, SIDE, 3), "uint8")


def test_rand_augment_follows_from_its_seed_alone(batch):
    change = augmentations.make_rand_augment(0.2)
    first, other, again = (
        change(batch, seed_of(index)).numpy() for index in (3, 4, 3)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5
    assert (first.shape, first.dtype) == (batch.shape, "float32")
    assert 0 <= first.min() < first.max() <= 255


def test_rand_augment_changes_each_image_in_its_own_way(batch):
    same = np.stack([batch[0]] * 6)
    changed = augmentations.make_rand_augment(0.5)(same, (0, 1)).numpy()
    assert len({image.tobytes() for image in changed}) == 6


@pytest.mark.parametrize("mixup,cutmix", [(0.5, 0.0), (0.0, 1.0)])
def test_labels_are_mixed_as_the_images_are(mixup, cutmix):
    """Images of one level each: their sums tell their shares."""
    levels = np.arange(1, 9, dtype="float32")
    images = np.ones((8, SIDE, SIDE, 3), "float32")
    images *= levels[:, None, None, None]
    mix = augmentations.make_mixing(mixup, cutmix)
    mixed, labels = mix(images, np.eye(8, dtype="float32"), (0, 2))
    np.testing.assert_allclose(labels.numpy().sum(1), 1, rtol=1e-5)
    assert (labels.numpy().max(1) < 0.999).any()
    expected = labels.numpy() @ levels
    # What is pasted has whole pixels, and its share has not.
    np.testing.assert_allclose(
        mixed.numpy().mean((1, 2, 3)),
        expected,
        atol=0 if mixup else 1,
        rtol=1e-5,
    )


def test_each_batch_is_mixed_in_one_of_two_ways(batch):
    images = batch.astype("float32")
    mix = augmentations.make_mixing(0.9, 1.0)
    # Pasting leaves whole numbers.
    pasted = []
    for index in range(20):
        mixed, _ = mix(images, np.eye(6, dtype="float32"), seed_of(index))
        pasted.append(bool((mixed.numpy() % 1 == 0).all()))
    assert 3 < sum(pasted) < 17


def test_nothing_is_mixed_unless_asked_for(batch):
    mixed, labels = augmentations.make_mixing()(batch, np.eye(6), (0, 1))
    np.testing.assert_array_equal(mixed, batch)
    np.testing.assert_array_equal(labels, np.eye(6))
