import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from keras_squeezenet import data
from keras_squeezenet.data import lazy_examples
from keras_squeezenet.data import splits

CLASSES = tfds.features.ClassLabel(names=["dark", "light"])


class TinyBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Prepares images of one gray each from `SPLITS`: lists of labels."""

    VERSION = tfds.core.Version("1.0.0")
    IMAGE = tfds.features.Image(shape=(6, 6, 3))
    LABEL = CLASSES
    KEYS = ("image", "label")
    SPLITS = {"train": [0, 1] * 3, "test": [0, 1]}

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {"image": self.IMAGE, "label": self.LABEL}
            ),
            supervised_keys=self.KEYS,
        )

    def _split_generators(self, dl_manager):
        return {
            split: self._generate_examples(labels)
            for split, labels in self.SPLITS.items()
        }

    def _generate_examples(self, labels):
        for i, label in enumerate(labels):
            yield i, {"image": self.image(i), "label": label}

    def image(self, i):
        return np.full((6, 6, 3), i, "uint8")


class TinyColor(TinyBuilder):
    pass


class TinyGray(TinyBuilder):
    IMAGE = tfds.features.Image(shape=(None, None, 1))
    SPLITS = {"train": [0, 1] * 5}

    def image(self, i):
        return np.full((5 + i, 7, 1), i, "uint8")


class TinyAlpha(TinyBuilder):
    IMAGE = tfds.features.Image(shape=(6, 6, 4))
    SPLITS = {"train": [0, 1], "validation": [1, 0, 1]}

    def image(self, i):
        return np.array([0, 0, 0, 255 if i else 0], "uint8") * np.ones(
            (6, 6, 1), "uint8"
        )


class TinyThree(TinyBuilder):
    SPLITS = {"train": [0, 1], "test": [0, 1, 1], "validation": [1]}


class TinyContest(TinyBuilder):
    SPLITS = {"train": [0, 1], "test": [-1] * 4, "validation": [1, 0, 1]}


class TinyDeep(TinyBuilder):
    IMAGE = tfds.features.Image(shape=(4, 4, 1), dtype=np.uint16)

    def image(self, i):
        path = f"{self.data_dir}-{i}.png"
        Image.fromarray(np.full((4, 4), i * 257, "uint16")).save(path)
        return path


class TinyRegression(TinyBuilder):
    LABEL = tfds.features.Scalar(np.float32)


class TinyTags(TinyBuilder):
    LABEL = tfds.features.Sequence(CLASSES)
    SPLITS = {"train": [[], [0], [1], [1, 0]], "test": [[1], [0, 0]]}


class TinyRows(TinyBuilder):
    LABEL = tfds.features.Tensor(shape=(2,), dtype=np.int64)
    SPLITS = {"train": [[0, 0], [1, 0], [0, 1], [1, 1]], "test": [[0, 1]]}


class TinyFloat(TinyBuilder):
    IMAGE = tfds.features.Image(shape=(6, 6, 1), dtype=np.float32)


class TinyUnsupervised(TinyBuilder):
    KEYS = None


class TinyLonely(TinyBuilder):
    LABEL = tfds.features.ClassLabel(names=["all"])
    SPLITS = {"train": [0, 0], "test": [0]}


class TinyExam(TinyBuilder):
    SPLITS = {"test": [0, 1]}


class TinyOffline(TinyBuilder):
    def _split_generators(self, dl_manager):
        raise ConnectionError("no route to example.org")


def levels(split):
    return [(int(image[0, 0, 0]), int(label)) for image, label in split]


def test_prepared_splits_are_read(tmp_path):
    tiny = data.load("tiny_color", data_dir=tmp_path)
    assert tiny.name == "tiny_color"
    assert tiny.class_names == ("dark", "light")
    assert tiny.image_size == 6
    assert (tiny.train_size, tiny.test_size) == (6, 2)
    assert sorted(levels(tiny.train)) == [(i, i % 2) for i in range(6)]
    assert sorted(levels(tiny.test)) == [(0, 0), (1, 1)]
    assert tiny.train.decoded.element_spec[0].shape == (6, 6, 3)


@pytest.mark.parametrize(
    "name,names",
    [("tiny_tags", ("dark", "light")), ("tiny_rows", ("0", "1"))],
)
def test_several_labels_are_rows_of_0_and_1(name, names, tmp_path):
    tiny = data.load(name, data_dir=tmp_path)
    assert tiny.class_names == names
    assert tiny.several_labels
    assert sorted(tiny.train.labels().tolist()) == [
        *([0, 0], [0, 1]),
        *([1, 0], [1, 1]),
    ]
    assert tiny.test.labels().dtype == "float32"
    assert sorted(tiny.test.labels().tolist())[0] == [0, 1]


def test_rows_of_other_numbers_are_refused(tmp_path, monkeypatch):
    bad = {**TinyRows.SPLITS, "train": [[0, 0], [1, 0], [0, 1], [1, 2]]}
    monkeypatch.setattr(TinyRows, "SPLITS", bad)
    tiny = data.load("tiny_rows", data_dir=tmp_path)
    labels = splits.training_split(tiny, 2).labels
    with pytest.raises(ValueError, match="must be rows of 0 and 1"):
        labels.count(2)


def test_prepared_data_is_not_prepared_again(tmp_path, monkeypatch):
    first = data.load("tiny_color", data_dir=tmp_path)
    monkeypatch.setattr(TinyColor, "download_and_prepare", None)
    again = data.load("tiny_color", data_dir=tmp_path)
    assert levels(again.train) == levels(first.train)


def test_images_take_the_size_asked_for(tmp_path):
    tiny = data.load("tiny_color", data_dir=tmp_path, image_size=9)
    assert tiny.image_size == 9
    assert {image.shape for image, _ in tiny.test} == {(9, 9, 3)}


def test_images_beyond_the_limit_are_the_same(tmp_path, monkeypatch):
    kept = data.load("tiny_color", data_dir=tmp_path)
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 0)
    streamed = data.load("tiny_color", data_dir=tmp_path)
    for _ in range(2):
        assert levels(streamed.train) == levels(kept.train)


def test_last_fifth_of_gray_images_of_any_size_is_tested_on(tmp_path):
    tiny = data.load("tiny_gray", data_dir=tmp_path)
    assert tiny.image_size == 224
    assert (tiny.train_size, tiny.test_size) == (8, 2)
    found = levels(tiny.train) + levels(tiny.test)
    assert sorted(found) == [(i, i % 2) for i in range(10)]
    for image, _ in tiny.test:
        assert image.shape == (224, 224, 3)
        assert np.unique(image).size == 1


def test_validation_is_tested_on_and_alpha_is_laid_over_white(tmp_path):
    tiny = data.load("tiny_alpha", data_dir=tmp_path)
    assert (tiny.train_size, tiny.test_size) == (2, 3)
    assert sorted(levels(tiny.train)) == [(0, 1), (255, 0)]


def test_validation_beside_a_test_split_is_the_validation_set(tmp_path):
    tiny = data.load("tiny_three", data_dir=tmp_path)
    assert levels(tiny.validation) == [(0, 1)]
    assert (tiny.train_size, tiny.test_size) == (2, 3)
    assert tiny.origins == {
        "train": "the split train",
        "validation": "the split validation",
        "test": "the split test",
    }


def test_test_split_without_labels_is_not_used(tmp_path):
    tiny = data.load("tiny_contest", data_dir=tmp_path)
    assert (tiny.test_size, tiny.validation) == (3, None)
    assert sorted(levels(tiny.test)) == [(0, 1), (1, 0), (2, 1)]


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    tiny = data.load("tiny_deep", data_dir=tmp_path)
    assert sorted(levels(tiny.train)) == [(i, i % 2) for i in range(6)]


@pytest.mark.parametrize(
    "name,suggested",
    [
        ("cifar1O", " Did you mean 'cifar10'?"),
        ("mnist5", " Did you mean 'mnist5k'?"),
        ("My Data!", ""),
    ],
)
def test_unknown_name_is_an_error_with_a_similar_one(name, suggested):
    with pytest.raises(ValueError) as error:
        data.load(name)
    text = str(error.value)
    assert text.endswith(f"Received: {name!r}.{suggested}")
    assert "a folder of images, a CSV file, 'mnist5k'" in text
    assert "https://www.tensorflow.org/datasets/catalog/overview" in text


@pytest.mark.parametrize("name", ["cifar10/none", "cifar10:9.9.9"])
def test_unknown_configuration_or_version_is_an_error(name, tmp_path):
    with pytest.raises(ValueError, match=f"cannot load the data set '{name}'"):
        data.load(name, data_dir=tmp_path)


@pytest.mark.parametrize(
    "name", ["tiny_regression", "tiny_float", "tiny_unsupervised", "coco"]
)
def test_what_is_not_image_classification_is_an_error(name, tmp_path):
    with pytest.raises(ValueError) as error:
        data.load(name, data_dir=tmp_path)
    text = str(error.value)
    assert "image of 8 or 16 bits a channel and a class label" in text
    assert f"Received: '{name}" in text
    assert "'image': Image(" in text
    assert not any(tmp_path.rglob("*.tfrecord*"))


def test_one_class_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least two classes.*'all'"):
        data.load("tiny_lonely", data_dir=tmp_path)


def test_missing_train_split_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="split named 'train'.*with 'test'"):
        data.load("tiny_exam", data_dir=tmp_path)


def test_failed_download_says_what_to_do(tmp_path):
    with pytest.raises(RuntimeError) as error:
        data.load("tiny_offline", data_dir=tmp_path)
    text = str(error.value)
    assert "download and prepare 'tiny_offline/1.0.0'" in text
    assert str(tmp_path) in text
    assert "ConnectionError: no route to example.org" in text
    assert "--data_dir" in text
    assert isinstance(error.value.__cause__, ConnectionError)


def test_cifar10_is_read_without_a_download(shared_data):
    cifar10 = data.load("cifar10", data_dir=shared_data / "tfds")
    assert (cifar10.train_size, cifar10.test_size) == (50_000, 10_000)
    assert cifar10.image_size == 32
    assert cifar10.class_names[:2] == ("airplane", "automobile")
    assert len(cifar10.class_names) == 10
    labels = np.concatenate(
        [label for _, label in cifar10.test_batches(1000).as_numpy_iterator()]
    )
    assert np.bincount(labels).tolist() == [1000] * 10
