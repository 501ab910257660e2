import dataclasses
import types

import numpy as np
import pytest
import quarters
import tensorflow as tf
from PIL import Image

from keras_squeezenet import classifier
from keras_squeezenet import normalizations
from keras_squeezenet import preprocess_input
from keras_squeezenet.packing import image_sets

NETWORK = classifier.Classifier(
    "stub",
    None,
    quarters.SIDE,
    # In another order than the data set.
    tuple((None, name) for name in "dcba"),
    model=types.SimpleNamespace(output_shape=(None, 4)),
)
UNNAMED = dataclasses.replace(NETWORK, classes=())
OTHER = dataclasses.replace(
    NETWORK, classes=tuple((None, name) for name in "wxyz")
)


def load(
    data, network=NETWORK, validation=None, test=None, count=500, **options
):
    return image_sets.load(
        data, validation, test, network, count, 0, False, **options
    )


def arrays(batches):
    images, labels = zip(*batches())
    if labels[0] is None:
        return np.concatenate(images), None
    return np.concatenate(images), np.concatenate(labels)


@pytest.fixture(scope="module")
def examples():
    images, labels = quarters.make_images(40, 0)
    return preprocess_input(images.astype("float32")), labels


def test_data_set_measures_on_images_kept_from_training(dataset):
    sets = load(dataset)
    assert sets.is_held_out
    kept = dataset.split_validation(0.1, 0)
    assert len(sets.calibration) == kept.train_size == 58
    images, labels = arrays(sets.validation)
    expected, numbers = map(
        np.concatenate, zip(*kept.validation_batches(8).as_numpy_iterator())
    )
    np.testing.assert_allclose(images, expected)
    # By name: output 3 is the data's class 0.
    np.testing.assert_array_equal(labels, 3 - numbers)
    images, labels = arrays(sets.test)
    assert len(images) == dataset.test_size
    np.testing.assert_array_equal(labels, 3 - np.arange(32) % 4)


def test_validation_set_of_a_data_set_is_used(dataset):
    sets = load(dataset.split_validation(0.5))
    assert len(arrays(sets.validation)[0]) == 32


def test_classes_without_names_are_in_the_order_of_the_data(dataset):
    _, labels = arrays(load(dataset, UNNAMED).test)
    np.testing.assert_array_equal(labels, np.arange(32) % 4)


def test_listed_numbers_are_the_outputs_of_a_network_without_names(tmp_path):
    lines = ["path,label,split"]
    for label in range(12):
        for split in ("train", "validation", "test"):
            name = f"{label}{split}.png"
            level = np.full((8, 8, 3), 20 * label, "uint8")
            Image.fromarray(level).save(tmp_path / name)
            lines.append(f"{name},{label},{split}")
    path = tmp_path / "list.csv"
    path.write_text("\n".join(lines))
    model = types.SimpleNamespace(output_shape=(None, 12))
    sets = load(path, dataclasses.replace(UNNAMED, model=model))
    for batches in (sets.validation, sets.test):
        images, labels = arrays(batches)
        levels = normalizations.get("caffe").to_rgb(images)[:, 0, 0, 0]
        np.testing.assert_array_equal(levels, 20 * labels)
        assert sorted(labels) == list(range(12))


def test_data_set_of_other_classes_has_images_alone(dataset):
    sets = load(dataset, OTHER)
    assert not sets.is_held_out and sets.test is None
    images, labels = arrays(sets.validation)
    assert (len(sets.calibration), len(images), labels) == (52, 12, None)


def test_fifth_of_other_images_measures(examples):
    images, labels = examples
    sets = load(examples)
    assert not sets.is_held_out
    np.testing.assert_array_equal(
        sets.calibration, np.delete(images, slice(4, None, 5), axis=0)
    )
    found, numbers = arrays(sets.validation)
    np.testing.assert_array_equal(found, images[4::5])
    np.testing.assert_array_equal(numbers, labels[4::5])


@pytest.mark.parametrize("change", [lambda y: y + 1, lambda y: np.eye(4)[y]])
def test_what_is_not_a_number_of_a_class_is_not_a_label(change, examples):
    images, labels = examples
    _, numbers = arrays(load((images, change(labels))).validation)
    assert numbers is None


def test_given_validation_and_test_images_measure(examples, dataset):
    images, labels = examples
    batches = tf.data.Dataset.from_tensor_slices(examples).batch(16)
    sets = load(images, validation=batches, test=(images[:8], labels[:8]))
    assert sets.is_held_out and len(sets.calibration) == 40
    found, numbers = arrays(sets.validation)
    np.testing.assert_array_equal(found, images)
    np.testing.assert_array_equal(numbers, labels)
    np.testing.assert_array_equal(arrays(sets.test)[1], labels[:8])
    sets = load(images, validation=dataset)
    np.testing.assert_array_equal(
        arrays(sets.validation)[1], 3 - np.arange(32) % 4
    )


@pytest.mark.parametrize("name", ["validation", "test"])
def test_labels_of_given_images_are_taken_or_refused(name, examples):
    images, labels = examples

    def given(labels):
        return load(images, **{name: (images, labels)})

    for same in (np.eye(4)[labels], labels[:, np.newaxis]):
        found = getattr(given(same), name)
        np.testing.assert_array_equal(arrays(found)[1], labels)
    with pytest.raises(ValueError, match=f"`{name}` of shape .40, 1."):
        given(labels[:, np.newaxis] + 0.5)
    with pytest.raises(ValueError, match=f"`{name}` must be from 0 to 3"):
        given(labels + 1)
    with pytest.raises(ValueError, match=f"`{name}` must have one label"):
        given(np.ones((40, 4)))


@pytest.mark.parametrize("count", [12, 39, 41, 80])
def test_labels_of_other_images_are_refused(count, examples):
    images, labels = examples
    pair = images, np.resize(labels, count)
    for name, sets in (
        ("data", (pair, None, None)),
        ("validation", (images, pair, None)),
        ("test", (images, None, pair)),
    ):
        with pytest.raises(
            ValueError, match=f"`{name}` .*40 images and {count} labels"
        ):
            image_sets.load(*sets, NETWORK, 12, 0, is_stated=False)


def test_few_images_of_a_given_data_set_measure(examples, dataset, monkeypatch):
    monkeypatch.setattr(image_sets, "MAX_VALIDATION", 8)
    for network in (NETWORK, OTHER):
        sets = load(examples[0], network, validation=dataset, test=dataset)
        found, _ = arrays(sets.validation)
        expected, labels = arrays(sets.test)
        np.testing.assert_array_equal(found, expected[::4])
        assert len(found) == 8
        assert (labels is None) == (network is OTHER)


def test_sets_without_images_are_refused(examples):
    none = tf.data.Dataset.from_tensor_slices(examples).take(0).batch(8)
    with pytest.raises(ValueError, match="at least 10 images. Received: 0"):
        load(none)
    with pytest.raises(ValueError, match="`validation` must have images"):
        load(examples, validation=none)


def test_folder_of_the_classes_is_a_data_set(tmp_path):
    squares, _ = quarters.make_images(64, 0)
    for number, square in enumerate(squares):
        path = tmp_path / "abcd"[number % 4] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(square).save(path)
    # As notebooks leave them.
    (tmp_path / ".ipynb_checkpoints").mkdir()
    sets = load(tmp_path)
    assert sets.is_held_out
    # A fifth is the test set, and a tenth of the rest the validation set.
    assert len(arrays(sets.test)[0]) == 12
    assert len(arrays(sets.validation)[0]) == 5
    assert len(sets.calibration) == 47
    sets = load(tmp_path, OTHER)
    assert not sets.is_held_out and len(sets.calibration) == 52


@pytest.fixture
def write_classes(tmp_path):
    """Return a function that writes so many photographs of each class."""

    def write_classes(*counts):
        for name, count in zip("abcd", counts):
            folder = tmp_path / name
            folder.mkdir()
            for number, square in enumerate(quarters.make_images(count, 0)[0]):
                Image.fromarray(square).save(folder / f"{number}.png")
        return tmp_path

    return write_classes


@pytest.mark.parametrize(
    "counts, reason",
    [
        ((1, 4, 4, 4), "at least two readable images"),
        ((13, 0, 0, 0), "at least one readable image"),
        ((4, 4, 4, 1), "at least two readable images"),
        ((4, 3, 3, 3), "at least 10 images. Received: 8 of its 13 images"),
    ],
)
def test_classes_that_cannot_be_divided_are_photographs(
    counts, reason, write_classes, caplog
):
    folder = write_classes(*counts)
    sets = load(folder)
    assert len(sets.calibration) == 11 and not sets.is_held_out
    assert sets.test is None
    found, labels = arrays(sets.validation)
    assert (len(found), labels) == (2, None)
    assert "used without labels" in caplog.text and reason in caplog.text
    with pytest.raises(ValueError, match=reason):
        load(folder, needs_labels=True)


def test_lists_that_cannot_be_divided_are_photographs(write_classes, caplog):
    paths = sorted(write_classes(13).rglob("*.png"))
    for label in ("a", "b"):
        lines = [f"{path},a" for path in paths[:-1]] + [f"{paths[-1]},{label}"]
        path = paths[0].parent / "list.csv"
        path.write_text("\n".join(["path,label", *lines]))
        sets = load(path)
        assert len(sets.calibration) == 11 and sets.test is None
        assert "list.csv are used without labels" in caplog.text
        caplog.clear()


def test_all_images_of_a_list_of_other_classes_are_photographs(write_classes):
    paths = sorted(write_classes(5, 8).rglob("*.png"))
    lines = [f"{path},{path.parent.name}" for path in paths]
    path = paths[0].parent / "list.csv"
    path.write_text("\n".join(["path,label", *lines]))
    sets = load(path, OTHER)
    assert (len(sets.calibration), len(arrays(sets.validation)[0])) == (11, 2)


def test_photographs_of_a_small_folder_are_all_counted(write_classes):
    with pytest.raises(ValueError, match="10 images. Received: 8 images; add"):
        load(write_classes(2, 2, 2, 2))


def test_training_images_are_counted_beside_the_others(dataset):
    mask = np.arange(64) < 9
    small = dataclasses.replace(dataset, train=dataset.train.select(mask))
    with pytest.raises(ValueError, match="Received: 8 of its 41 images"):
        load(small)


def test_too_few_images_are_refused(examples):
    with pytest.raises(ValueError, match="at least 10 images.*Received: 9"):
        load(examples[0][:9])
