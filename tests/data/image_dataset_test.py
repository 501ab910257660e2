import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_squeezenet
from keras_squeezenet.data import ImageDataset
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import lazy_examples
from keras_squeezenet.imagenet import IMAGENET_MEAN

SIDE = 2


def levels_examples(levels):
    """Return images of one gray each, labeled with it modulo 2."""
    levels = np.array(levels, "uint8")
    pixels = np.broadcast_to(
        levels[:, None, None, None], (len(levels), SIDE, SIDE, 3)
    )
    return lazy_examples.Examples(
        tf.data.Dataset.from_tensor_slices(
            (pixels, (levels % 2).astype("int64"))
        )
    )


def make_dataset(train_size=10, test_size=5, **changes):
    arguments = {
        "name": "levels",
        "class_names": ("even", "odd"),
        "train": levels_examples(range(train_size)),
        "test": levels_examples(range(100, 100 + test_size)),
    }
    return ImageDataset(**{**arguments, **changes})


def levels_of(batches, count=None):
    """The gray levels of each batch, in order."""
    blue_mean = IMAGENET_MEAN[2]
    return [
        np.round(image[:, 0, 0, 0].numpy() + blue_mean).astype(int).tolist()
        for image, _ in itertools.islice(batches, count)
    ]


def flat(batches):
    return list(itertools.chain(*batches))


def test_train_batches_are_preprocessed():
    levels = make_dataset()
    image, label = next(iter(levels.train_batches(4)))
    assert image.shape == (4, SIDE, SIDE, 3) and image.dtype == tf.float32
    assert label.shape == (4,) and label.dtype == tf.int64
    numbers = np.round(image[:, 0, 0, 0].numpy() + IMAGENET_MEAN[2])
    raw = np.tile(numbers[:, None, None, None], (1, SIDE, SIDE, 3))
    expected = keras_squeezenet.preprocess_input(raw, "channels_last")
    np.testing.assert_allclose(image, expected, atol=1e-5)
    np.testing.assert_array_equal(label, numbers % 2)


def test_train_batches_hold_each_image_once_an_epoch_in_another_order():
    batches = make_dataset(train_size=10).train_batches(4)
    seen = flat(levels_of(batches, 15))
    epochs = [seen[i : i + 10] for i in range(0, 60, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert list(range(10)) not in epochs
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY


def test_train_batches_are_the_same_for_the_same_seed():
    levels = make_dataset(train_size=20)

    def order(seed):
        return levels_of(levels.train_batches(10, seed=seed), 6)

    assert order(seed=3) == order(seed=3)
    assert order(seed=3) != order(seed=4)


def test_train_batches_are_full_even_where_there_are_few_images():
    batches = make_dataset(train_size=3).train_batches(8)
    assert batches.element_spec[0].shape == (3, SIDE, SIDE, 3)
    assert [sorted(batch) for batch in levels_of(batches, 4)] == [[0, 1, 2]] * 4


def test_an_epoch_holds_each_image_once_in_an_order_of_its_own():
    levels = make_dataset(train_size=20)

    def epoch(number, seed=0):
        return levels_of(levels.epoch_batches(5, seed, number))

    assert [len(batch) for batch in epoch(0)] == [5] * 4
    for number in range(3):
        assert sorted(flat(epoch(number))) == list(range(20))
        assert epoch(number) == epoch(number)
    orders = [*map(epoch, range(3)), epoch(0, seed=1), epoch(1, seed=1)]
    for one, other in itertools.combinations(orders, 2):
        assert one != other


def test_smaller_last_batch_is_dropped():
    batches = levels_of(make_dataset(train_size=10).epoch_batches(4))
    assert [len(batch) for batch in batches] == [4, 4]


@pytest.fixture
def noise():
    """Images that can be told by the sums of their pixels."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (15, 16, 16, 3)).astype("uint8")
    examples = tf.data.Dataset.from_tensor_slices((pixels, np.arange(15)))
    return make_dataset(train=lazy_examples.Examples(examples))


def test_augmentation_of_an_epoch_depends_on_seed_and_epoch_alone(noise):
    def epoch(number, augmentation="flip_crop", seed=0):
        ((found, _),) = noise.epoch_batches(15, seed, number, augmentation)
        return found.numpy()

    np.testing.assert_array_equal(epoch(1), epoch(1))
    plain = set(epoch(1, augmentation=None).sum((1, 2, 3)).tolist())
    assert not plain & set(epoch(1).sum((1, 2, 3)).tolist())
    assert np.any(epoch(1) != epoch(2))
    assert np.any(epoch(1) != epoch(1, seed=1))


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize(
    "augmentation,rand_augment", [(None, 0), ("flip_crop", 0), ("crop", 0.5)]
)
def test_parts_of_workers_make_the_batches_of_one(
    count, augmentation, rand_augment, noise
):
    def epoch(**shard):
        return list(
            noise.epoch_batches(4, 5, 1, augmentation, rand_augment, **shard)
        )

    parts = [
        epoch(shard=image_dataset.Shard(index, count)) for index in range(count)
    ]
    # Of the 3 images left over none is in a part.
    assert [len(part) for part in parts] == [3] * count
    for (pictures, labels), *batch in zip(epoch(), *parts, strict=True):
        for index, (own_images, own_labels) in enumerate(batch):
            np.testing.assert_array_equal(own_images, pictures[index::count])
            np.testing.assert_array_equal(own_labels, labels[index::count])
    seen = [label for part in parts for _, labels in part for label in labels]
    assert len(set(map(int, seen))) == len(seen) == 12


@pytest.fixture
def lazy_levels(counted_levels, monkeypatch):
    """Return a function to images beyond the limit, and the decoded ones."""

    def make(size):
        monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 8 * size)
        train, decoded = counted_levels(size)
        test, _ = counted_levels(5, start=100)
        classes = ("even", "odd")
        return ImageDataset("levels", classes, train, test), decoded

    return make


def test_worker_decodes_only_its_part_of_images_that_do_not_fit_in_memory(
    lazy_levels,
):
    levels, decoded = lazy_levels(20)
    whole = levels_of(levels.epoch_batches(4, seed=3, epoch=1))
    assert sorted(flat(whole)) == list(range(20))
    for index in range(2):
        decoded.clear()
        shard = image_dataset.Shard(index, 2)
        part = levels_of(levels.epoch_batches(4, 3, 1, shard=shard))
        assert part == [batch[index::2] for batch in whole]
        assert sorted(decoded) == sorted(flat(part))


def test_validation_set_is_selected_undecoded(lazy_levels):
    levels, decoded = lazy_levels(20)
    split = levels.split_validation(0.25, seed=3)
    assert not decoded
    train = flat(levels_of(split.epoch_batches(5)))
    assert sorted(decoded) == sorted(train)
    validation = flat(levels_of(split.validation_batches(4)))
    assert sorted(train + validation) == list(range(20))
    kept = make_dataset(train_size=20).split_validation(0.25, seed=3)
    assert flat(levels_of(kept.validation_batches(4))) == validation


def test_images_that_do_not_fit_in_memory_are_shuffled_undecoded(lazy_levels):
    levels, _ = lazy_levels(100)
    seen = flat(levels_of(levels.train_batches(20), 5))
    assert sorted(seen) == list(range(100))
    # Some level of the second half is among the first few.
    assert max(seen[:10]) >= 50


def test_validation_set_is_the_same_again_and_apart_from_the_training_set():
    levels = make_dataset(train_size=20)
    split = levels.split_validation(0.25, seed=3)
    assert (split.train_size, split.validation_size) == (15, 5)
    train = flat(levels_of(split.epoch_batches(5)))
    validation = flat(levels_of(split.validation_batches(4)))
    assert validation == sorted(validation)
    assert sorted(train + validation) == list(range(20))
    again = levels.split_validation(0.25, seed=3).validation_batches(4)
    assert flat(levels_of(again)) == validation
    other = levels.split_validation(0.25, seed=4).validation_batches(4)
    assert flat(levels_of(other)) != validation
    assert levels_of(split.test_batches(9)) == levels_of(levels.test_batches(9))


def test_model_fit_knows_the_size_of_the_validation_set(recwarn):
    split = make_dataset(train_size=20).split_validation(0.25)
    assert split.validation_batches(2).cardinality() == 3
    model = keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )
    model.compile(loss="sparse_categorical_crossentropy")
    model.fit(
        split.train_batches(5),
        steps_per_epoch=3,
        validation_data=split.validation_batches(2),
        shuffle=False,
        verbose=0,
    )
    assert not any("ran out of data" in str(one.message) for one in recwarn)


def test_validation_and_training_set_have_at_least_one_image():
    assert (
        make_dataset(train_size=10).split_validation(0.01).validation_size == 1
    )
    with pytest.raises(ValueError, match="with 0 and 5 images"):
        make_dataset(train_size=1).split_validation(0.5)


def test_test_batches_hold_each_image_once_in_order():
    batches = make_dataset(test_size=5).test_batches(2)
    expected = [[100, 101], [102, 103], [104]]
    assert levels_of(batches) == expected
    assert levels_of(batches) == expected


def test_fewer_than_two_classes_are_an_error():
    with pytest.raises(
        ValueError, match=r"at least two classes. Received: 'levels'.*\['even'"
    ):
        make_dataset(class_names=("even",))


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0)])
def test_empty_split_is_an_error(sizes):
    with pytest.raises(
        ValueError, match="with {} and {} images".format(*sizes)
    ):
        make_dataset(train_size=sizes[0], test_size=sizes[1])


@pytest.mark.parametrize(
    "name,levels",
    [("test", [100]), ("train", [0, 1]), ("all", [0, 1, 100])],
)
def test_examples_are_those_of_a_split_or_all(name, levels):
    examples = make_dataset(train_size=2, test_size=1).split(name)
    assert [int(image[0, 0, 0]) for image, _ in examples] == levels
    assert (examples.size, examples.image_size) == (len(levels), SIDE)


def test_missing_split_is_an_error():
    with pytest.raises(ValueError, match="split='validation'"):
        make_dataset().split("validation")


def test_data_set_may_have_a_test_set_only():
    levels = make_dataset(train=None, class_names=("even",))
    assert (levels.train_size, levels.validation_size) == (0, 0)
    assert levels.split("all") is levels.split("test")
    with pytest.raises(ValueError, match="split='train'"):
        levels.split("train")


def test_images_of_an_epoch_do_not_depend_on_the_size_of_its_batches(noise):
    def epoch(size):
        batches = noise.epoch_batches(size, 3, 2, "flip_crop", 0.5)
        return np.concatenate([images for images, _ in batches])

    np.testing.assert_array_equal(epoch(3), epoch(5))


def test_rest_of_an_epoch_has_the_images_of_the_whole(noise):
    def epoch(start):
        batches = noise.epoch_batches(3, 3, 2, "flip_crop", 0.5, start=start)
        return np.stack([images for images, _ in batches])

    np.testing.assert_array_equal(epoch(2), epoch(0)[2:])


def test_rand_augment_of_an_epoch_is_the_same_again():
    def batches(epoch):
        found = make_dataset(train_size=10).epoch_batches(
            5, seed=1, epoch=epoch, rand_augment=0.5
        )
        return np.stack([images for images, _ in found])

    first, again, other = batches(0), batches(0), batches(1)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
