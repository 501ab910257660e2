import json

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf
from PIL import Image

from keras_squeezenet import classifier
from keras_squeezenet import evaluation
from keras_squeezenet.evaluation import evaluator

# The class of an image is its brightest quarter. The stub predicts it for all
# images except those of the last class, for which it predicts the first.
NAMES = ("a", "b", "c", "d")


def find_quarter(x):
    half = quarters.SIDE // 2
    x = x.reshape(len(x), 2, half, 2, half, 3).mean(axis=(2, 4, 5))
    found = x.reshape(len(x), 4).argmax(axis=1)
    one_hot = np.eye(4, dtype="float32")
    return 0.6 * one_hot[found % 3] + 0.3 * one_hot[found] + 0.025


def make_network(classes=NAMES):
    return classifier.Classifier(
        "stub",
        find_quarter,
        quarters.SIDE,
        tuple((None, name) for name in classes),
    )


class Halves(keras.utils.PyDataset):
    """Images and labels in two batches."""

    def __init__(self, arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return tuple(each[index::2] for each in self.arrays)


@pytest.fixture(scope="module")
def result(dataset):
    return evaluation.evaluate(make_network(), dataset, batch_size=10, top=2)


def test_figures_are_those_of_the_test_images(result):
    assert result.accuracy == 0.75
    assert result.top_accuracy == 1
    assert result.confusion.tolist() == [
        [8, 0, 0, 0],
        [0, 8, 0, 0],
        [0, 0, 8, 0],
        [8, 0, 0, 0],
    ]
    assert result.images_per_second > 0


def test_result_is_json(result):
    found = result.to_json()
    assert json.loads(json.dumps(found)) == found
    assert (found["dataset"], found["split"]) == ("quarters", "test")
    assert (found["images"], found["top1"], found["top2"]) == (32, 0.75, 1)
    assert found["classes"][0] == {
        "index": 0,
        "wordnet_id": None,
        "label": "a",
        "images": 8,
        "predicted": 16,
        "recall": 1,
        "precision": 0.5,
    }
    assert found["classes"][3]["precision"] is None
    assert found["confusion"][-1] == {"true": 3, "predicted": 0, "images": 8}


def test_kinds_of_data_have_the_same_figures(result, dataset, trained_model):
    x, labels = map(
        np.concatenate, zip(*dataset.test_batches(10).as_numpy_iterator())
    )
    kinds = (
        (x, labels),
        (x, np.eye(4)[labels]),
        dataset.test_batches(10),
        dict(enumerate(dataset.test_batches(10))).values(),
    )
    for data in kinds:
        found = evaluation.evaluate(make_network(), data, batch_size=10)
        np.testing.assert_array_equal(
            found.outputs.probabilities, result.outputs.probabilities
        )
        assert (found.dataset, found.batch_size) == (None, 10)
    # A Keras model without class names gets those of the data.
    found = evaluation.evaluate(trained_model, dataset)
    expected = trained_model.predict(x, verbose=0).argmax(axis=1)
    assert found.accuracy == np.mean(expected == labels)
    assert found.classes == [(None, name) for name in NAMES]
    assert found.model == trained_model.name


@pytest.mark.parametrize("kind", ["arrays", "tf.data", "PyDataset"])
def test_images_without_the_normalization_are_refused(kind):
    x, labels = quarters.make_images(8, 0)
    raw = (x.astype("float32"), labels)
    data = {
        "arrays": raw,
        "tf.data": tf.data.Dataset.from_tensor_slices(raw).batch(4),
        "PyDataset": Halves(raw),
    }[kind]
    with pytest.raises(ValueError, match="`data` must have .*preprocess_i"):
        evaluation.evaluate(make_network(), data)


@pytest.mark.parametrize(
    "change, received",
    [
        (lambda data: data.take(0), "Received: none"),
        (lambda data: data.repeat(), "endless"),
        (lambda data: data.unbatch(), "must be batches of images"),
        (lambda data: data.map(lambda x, y: x), "must be batches of images"),
        (
            lambda data: data.map(lambda x, y: {"image": x, "label": y}),
            "must be batches of images",
        ),
        (lambda data: data.map(lambda x, y: (x, y, y)), "no sample weights"),
    ],
)
def test_batches_of_another_kind_are_refused(change, received, dataset):
    data = change(dataset.test_batches(10))
    with pytest.raises(ValueError, match=f"`data` .*{received}"):
        evaluation.evaluate(make_network(), data)


def test_classes_are_matched_by_name(dataset):
    found = evaluation.evaluate(make_network("dcba"), dataset)
    # The stub predicts d for a, c for b, b for c, and d for d.
    assert found.accuracy == 0.25
    with pytest.raises(ValueError, match="Received: 'd'"):
        evaluation.evaluate(make_network("abce"), dataset)


@pytest.mark.parametrize(
    "stated", [{"class_names": "dcba"}, {"normalization": "unit"}]
)
@pytest.mark.parametrize("classes", ["", "abcd"])
def test_what_a_classifier_has_is_not_stated_otherwise(
    classes, stated, dataset
):
    with pytest.raises(ValueError, match="Give it to `classifier.load`"):
        evaluation.evaluate(make_network(classes), dataset, **stated)
    own = {"class_names": NAMES, "normalization": "caffe"}
    found = evaluation.evaluate(make_network(), dataset, **own)
    assert found.accuracy == 0.75


def test_all_images_of_a_csv_file_without_splits_are_used(tmp_path):
    images, labels = quarters.make_images(8, 0)
    lines = ["path,label"]
    for number, (image, label) in enumerate(zip(images, labels)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{label}")
    path = tmp_path / "list.csv"
    path.write_text("\n".join(lines))
    found = evaluation.evaluate(make_network(), path)
    assert (found.accuracy, found.split) == (0.75, None)
    assert len(found.outputs.labels) == 8
    lines = [f"{line},train" for line in lines[1:-1]] + [f"{lines[-1]},test"]
    path.write_text("\n".join(["path,label,split", *lines]))
    found = evaluation.evaluate(make_network(), path)
    assert (len(found.outputs.labels), found.split) == (1, "test")


@pytest.mark.parametrize("shift, received", [(1, "1 to 4"), (-1, "-1 to 2")])
def test_labels_that_are_no_classes_are_refused(shift, received, dataset):
    images, labels = map(np.concatenate, zip(*dataset.test_batches(16)))
    with pytest.raises(ValueError, match=f"from 0 to 3, .* from {received}"):
        evaluation.evaluate(make_network(), (images, labels + shift))
    with pytest.raises(ValueError, match="sum to 2 .*"):
        evaluation.evaluate(make_network(), (images, 2 * np.eye(4)[labels]))
    with pytest.raises(ValueError, match="`data` must have no sample weights"):
        evaluation.evaluate(make_network(), (images, labels, labels))


def test_samples_are_a_random_part_of_the_images():
    sample = evaluator._Sample()
    for start in range(0, 100, 8):
        batch = np.arange(start, min(start + 8, 100))
        assert sample.add(batch) is batch
    places = list(sample.images)
    assert len(places) == evaluator.SAMPLES and places == sorted(places)
    assert min(places) < 50 < max(places)
    assert all(sample.images[place] == place for place in places)


def test_samples_are_rgb(trained_model, dataset):
    result = evaluation.evaluate(trained_model, dataset)
    images = [np.asarray(image) for image, _ in dataset.test.decoded]
    for place, image in result.samples.items():
        np.testing.assert_array_equal(image, images[place])
    batches = dataset.test_batches(8)
    normalized = evaluation.evaluate(trained_model, batches)
    assert list(normalized.samples) == list(result.samples)
    for place, image in normalized.samples.items():
        np.testing.assert_array_equal(image, images[place])
