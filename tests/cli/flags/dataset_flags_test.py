import contextlib

import pytest

from keras_squeezenet import data
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.utils import progress


@pytest.fixture
def flag_values():
    values = command_flags.CommandFlags()
    dataset_flags.define(values)
    return values


def test_flags_reach_the_data_set(flag_values, monkeypatch):
    calls, tasks = [], []

    class Tasks(progress.Progress):
        @contextlib.contextmanager
        def task(self, name, steps):
            tasks.append((name, steps))
            yield

    def load(name, **options):
        calls.append({"name": name, **options})

    monkeypatch.setattr(data, "load", load)
    default = {"data_dir": None, "skip_bad_images": False, "shorter_side": None}
    default |= {"name": "mnist5k", "seed": 5, "image_size": 96}
    default["labeled"] = True
    dataset_flags.load(flag_values, 5, Tasks(), 96)
    given = {"name": "cifar10", "data_dir": "/tfds", "skip_bad_images": True}
    flag_values.parse(
        ["--dataset=cifar10", "--data_dir=/tfds", "--skip_bad_images"]
    )
    dataset_flags.load(flag_values, 5, Tasks(), 96)
    assert calls == [default, default | given]
    assert tasks == 2 * [("load data", None)]


def test_folder_of_photographs_alone_has_no_labels(flag_values, tmp_path):
    for name in ("mnist5k", tmp_path):
        flag_values.parse([f"--dataset={name}"])
        assert dataset_flags.has_labels(flag_values)
    (tmp_path / "a.jpg").touch()
    assert not dataset_flags.has_labels(flag_values)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.jpg").touch()
    assert dataset_flags.has_labels(flag_values)


@pytest.mark.parametrize("name", ["mnist5k", "photos/", "photos.csv"])
def test_data_dir_is_for_tensorflow_datasets_alone(name, flag_values):
    flag_values.parse([f"--dataset={name}", "--data_dir=there"])
    with pytest.raises(ValueError, match=f"data_dir.*Received: .*{name}"):
        dataset_flags.require_valid(flag_values)
    flag_values.parse(["--dataset=cifar10", "--data_dir=there"])
    dataset_flags.require_valid(flag_values)
