import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import shard_utils

from keras_squeezenet import data
from keras_squeezenet.data import lazy_examples

SIZE = 40
SHARDS = 4


class TinySharded(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Images of one gray each, whose label is whether it is odd."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(4, 4, 3)),
                    "label": tfds.features.ClassLabel(names=["even", "odd"]),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for i in range(SIZE):
            image = np.full((4, 4, 3), i, "uint8")
            yield i, {"image": image, "label": i % 2}


@pytest.fixture(params=["tfrecord", "array_record"])
def prepared(request, tmp_path):
    """The folder of a data set in shards of each kind."""
    if request.param == "array_record":
        pytest.importorskip("array_record")
    builder = TinySharded(data_dir=tmp_path, file_format=request.param)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=SHARDS)
    )
    folder = tmp_path / "tiny_sharded" / "1.0.0"
    assert len(shards(folder)) == SHARDS
    return folder


def shards(folder):
    return sorted(path for path in folder.iterdir() if "-of-" in path.name)


def levels(dataset):
    return [(int(image[0, 0, 0]), int(label)) for image, label in dataset]


def without_cache(monkeypatch):
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 0)


def test_records_are_read_by_name_or_by_folder(prepared, monkeypatch):
    orders = []
    for limit in (2**30, 0):
        monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", limit)
        by_name = data.load("tiny_sharded", data_dir=prepared.parents[1])
        by_folder = data.load(prepared)
        assert by_name.name == by_folder.name == "tiny_sharded"
        assert (by_name.train_size, by_name.test_size) == (32, 8)
        found = levels(by_name.train) + levels(by_name.test)
        assert sorted(found) == [(i, i % 2) for i in range(SIZE)]
        assert levels(by_folder.train) == levels(by_name.train)
        orders.append(found)
    assert orders[0] == orders[1]


def test_labels_are_read_without_images(prepared, monkeypatch):
    without_cache(monkeypatch)
    train = data.load(prepared).train
    expected = [label for _, label in levels(train)]
    monkeypatch.setattr(train, "decode", None)
    assert train.labels().tolist() == expected


def test_missing_shards_are_counted_and_named(prepared):
    first, second, *_ = shards(prepared)
    first.unlink()
    second.unlink()
    with pytest.raises(ValueError) as error:
        data.load(prepared)
    assert (
        f"Received: {prepared}, which lacks 2 of them: {first.name}, ..."
    ) in str(error.value)


def test_truncated_shard_is_named(prepared):
    last = shards(prepared)[-1]
    last.write_bytes(last.read_bytes()[:-5])
    with pytest.raises(ValueError, match=last.name):
        data.load(prepared)


def test_missing_package_of_array_record_is_named(prepared, monkeypatch):
    path, *_ = shards(prepared)
    if ".array_record" not in path.name:
        pytest.skip("TFRecord files need no other package")
    # TensorFlow Datasets does not install it on macOS.
    monkeypatch.setitem(sys.modules, "array_record", None)
    monkeypatch.setitem(sys.modules, "array_record.python", None)
    with pytest.raises(ModuleNotFoundError) as error:
        data.load(prepared)
    assert str(error.value).startswith(
        "ArrayRecord shards are read by the package array_record, which is not "
        f"installed. Received: {path}. Run: pip install array_record. If"
    )


def test_shard_of_other_features_is_named(prepared):
    features = prepared / "features.json"
    features.write_text(features.read_text().replace('"label"', '"kind"'))
    info = prepared / "dataset_info.json"
    info.write_text(info.read_text().replace('"label"', '"kind"'))
    with pytest.raises(ValueError, match=shards(prepared)[0].name) as error:
        data.load(prepared)
    assert "without the features 'image' and 'kind'" in str(error.value)


def test_shard_with_too_few_records_is_an_error(prepared):
    first, second, *_ = shards(prepared)
    if ".tfrecord" not in first.name:
        pytest.skip("an ArrayRecord file tells its own number of records")
    first.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(ValueError, match=r"20 records, .* says 10"):
        data.load(prepared)


@pytest.mark.parametrize("part,expected", [("train[5:25]", 20), ("train", 40)])
def test_instructions_of_a_part_are_known(prepared, part, expected):
    builder = tfds.builder_from_directory(prepared)
    instructions = builder.info.splits[part].file_instructions
    assert all(
        isinstance(each, shard_utils.FileInstruction) for each in instructions
    )
    assert sum(each.take for each in instructions) == expected


def test_folder_without_a_data_set_is_an_error(tmp_path, prepared):
    with pytest.raises(ValueError, match="must have the folder some_name/VERS"):
        data.load("some_name", data_dir=tmp_path)
    with pytest.raises(ValueError, match="pass it as the name"):
        data.load("some_name", data_dir=prepared)
