"""What fine-tuning says of the data before its long phases."""

import numpy as np
import pytest
from PIL import Image

from keras_squeezenet import training
from keras_squeezenet.data import splits
from keras_squeezenet.training import early_answers

NAMES = ("cat", "dog", "owl")


def photographs(count, side=64, seed=0):
    """Smooth random images, as photographs are."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 8, 8, 3), "uint8")
    return np.stack([resized(image, side) for image in small])


def resized(image, side):
    return np.asarray(
        Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    )


def watched(labels, seed=0, names=()):
    """A set whose images depend on the seed."""
    labels = np.array(labels)
    images = photographs(len(labels), seed=seed).astype("float32")
    batches = [(images[:4], labels[:4]), (images[4:], labels[4:])]
    split = splits.Split(lambda epoch, start=0: batches, 2, len(labels))
    found = early_answers.Watched(split, names)
    for _ in found.batches(0):
        pass
    return found


def many(seed=0):
    return watched([0, 1, 2] * 20, seed)


def test_thumbnails_of_copies_are_alike():
    images = photographs(6)
    lighter = images // 2 + 90
    smaller = np.stack([resized(image, 40) for image in images])
    noisy = images + np.random.default_rng(0).normal(0, 6, images.shape)
    shown = early_answers.thumbnails(images)
    assert shown.shape == (6, 256)
    for copies in (lighter, smaller, noisy):
        correlations = early_answers.thumbnails(copies) @ shown.T
        assert (correlations.diagonal() > early_answers.SAME).all()
        assert correlations[~np.eye(6, dtype=bool)].max() < 0.8


def test_plain_images_are_like_none():
    plain = np.full((2, 20, 20, 3), 7.0)
    thumbnails = early_answers.thumbnails(plain)
    assert not thumbnails.any()
    assert early_answers.find_copies(thumbnails, thumbnails) == []


def test_copies_are_found_across_blocks(monkeypatch):
    monkeypatch.setattr(early_answers, "COMPARED_AT_A_TIME", 2)
    one, other = (
        early_answers.thumbnails(photographs(5, seed=seed)) for seed in (0, 1)
    )
    other[[1, 4]] = one[[3, 0]]
    assert early_answers.find_copies(one, other) == [(3, 1), (0, 4)]


def test_a_sample_of_many_images_is_compared(monkeypatch):
    monkeypatch.setattr(early_answers, "MAX_COMPARED", 3)
    one = early_answers.thumbnails(photographs(9))
    assert early_answers.find_copies(one, one) == [(0, 0), (3, 3), (6, 6)]


@pytest.mark.parametrize(
    "accuracy, images, expected",
    [(0.9, 100, 0.03101), (1, 20, 0.04658), (0.5, 10_000, 0.005)],
)
def test_standard_error_is_that_of_a_share(accuracy, images, expected):
    error = early_answers.share_error(accuracy, images)
    assert error == pytest.approx(expected, rel=1e-3)


def warnings(accuracy=0.9, **sets):
    watch = early_answers.Watch()
    watch.sets.update(sets)
    return watch.answer(NAMES, accuracy, [])["warnings"]


@pytest.fixture
def any_size(monkeypatch):
    """Makes a validation set of any size large enough."""
    monkeypatch.setattr(early_answers, "MAX_STANDARD_ERROR", 1)


def test_enough_different_images_give_no_warning(any_size):
    sets = {"train": many(0), "validation": many(1), "test": many(2)}
    assert warnings(**sets) == []
    assert early_answers.find_duplicates(sets) == []


def test_small_validation_set_is_told_with_its_standard_error():
    assert warnings(train=many(0), validation=many(1)) == [
        "The validation set has 60 images, too few to choose between "
        "epochs: accuracies are known to ± 4.1 points (standard error). About "
        "1,100 images give ± 1 point."
    ]


def test_classes_of_few_images_are_named(any_size, monkeypatch):
    monkeypatch.setattr(early_answers, "MAX_NAMES", 1)
    train, validation = watched([0, 0, 0, 1] * 5, 0), watched([0] * 30, 1)
    assert warnings(train=train, validation=validation) == [
        "dog (5), 1 more have fewer than 10 training images: add some, or "
        "leave these classes out.",
        "dog, 1 more have no image in the validation set: its accuracy says "
        "nothing about them.",
    ]


def test_near_duplicates_across_sets_are_told(any_size, monkeypatch):
    monkeypatch.setattr(early_answers, "MAX_PAIRS", 2)
    names = [f"{index}.png" for index in range(60)]
    sets = {
        "train": many(0),
        "validation": watched([0, 1, 2] * 20, 1, names),
        "test": watched([0, 1, 2] * 20, 1, [f"test/{name}" for name in names]),
    }
    assert early_answers.find_duplicates(sets) == [
        {
            "set": "test",
            "of": "validation",
            "images": 60,
            "pairs": [["0.png", "test/0.png"], ["1.png", "test/1.png"]],
        }
    ]
    assert warnings(**sets) == [
        "60 of 60 images of the test set are near-duplicates of the validation "
        "set, such as test/0.png of 0.png. The test accuracy is too good: keep "
        "them in one set."
    ]


def test_images_without_names_have_numbers():
    sets = {"train": many(0), "validation": many(0)}
    (found,) = early_answers.find_duplicates(sets)
    assert found["pairs"][3] == ["number 3", "number 3"]


def test_time_is_that_of_the_steps_and_of_validation(monkeypatch):
    watch = early_answers.Watch()
    for name, size in (("train", 100), ("validation", 20)):
        watch.over(name, splits.Split(lambda epoch, start=0: [], 1, size), None)
    monkeypatch.setattr(early_answers.Watched, "labels", np.zeros(20, int))
    monkeypatch.setattr(early_answers.Watched, "seconds_per_image", 0.5)
    monkeypatch.setattr(early_answers, "TOP_COST", 2)
    monkeypatch.setattr(early_answers, "ALL_COST", 3)
    monkeypatch.setattr(early_answers, "find_duplicates", lambda sets: [])
    monkeypatch.setattr(early_answers, "_few_images", lambda *arguments: [])
    recipe = training.Recipe(epochs=4, batch_size=32)
    top = training.Phase("top", ("fire9",), recipe)
    everything = training.Phase("all", None, recipe)
    # 4 epochs of 96 images, and 4 times 20 images of validation.
    answers = [
        watch.answer(NAMES, 0.9, phases)["seconds"]
        for phases in ([], [top], [top, everything])
    ]
    assert answers == [0, 5 + 0.5 * (2 * 384 + 80), 10 + 0.5 * (5 * 384 + 160)]


def test_shares_of_the_learning_curve_grow():
    seen = []

    def accuracy_of(indices):
        seen.append(indices.tolist())
        return len(indices) / 16

    curve = early_answers.learning_curve(accuracy_of, 16, 0.9, seed=0)
    assert curve == [
        {"images": 2, "validation_accuracy": 0.125},
        {"images": 4, "validation_accuracy": 0.25},
        {"images": 8, "validation_accuracy": 0.5},
        {"images": 16, "validation_accuracy": 0.9},
    ]
    assert seen[1] == seen[2][:4]
    assert len(set(seen[2])) == 8


@pytest.mark.parametrize(
    "seconds, said",
    [
        (0.2, "1 seconds"),
        (89, "89 seconds"),
        (100, "2 minutes"),
        (7200, "2.0 hours"),
    ],
)
def test_times_are_round(seconds, said, caplog):
    caplog.set_level("INFO", early_answers.logger.name)
    early = {"validation_accuracy": 0.875, "standard_error": 0.0312}
    early_answers.say({**early, "seconds": seconds, "warnings": ["Hm."]})
    assert caplog.messages == [
        "Hm.",
        "The head alone is right on 87.5% of the validation images (± 3.1 "
        f"points, standard error). The other phases take about {said}.",
    ]
