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


@pytest.mark.parametrize(
    "arguments,name,options",
    [
        ([], "mnist5k", {}),
        (
            [
                *("--dataset=cifar10", "--data_dir=/tfds"),
                *("--image_size=96", "--skip_bad_images"),
            ],
            "cifar10",
            {"data_dir": "/tfds", "image_size": 96, "skip_bad_images": True},
        ),
    ],
)
def test_flags_reach_the_data_set(
    arguments, name, options, flag_values, monkeypatch
):
    calls, tasks = [], []

    class Tasks(progress.Progress):
        @contextlib.contextmanager
        def task(self, name, steps):
            tasks.append((name, steps))
            yield

    monkeypatch.setattr(
        data, "load", lambda name, **options: calls.append((name, options))
    )
    flag_values.parse(arguments)
    dataset_flags.load(flag_values, 5, Tasks(), shorter_side=100)
    default = {"data_dir": None, "image_size": None, "skip_bad_images": False}
    assert calls == [
        (name, {**default, "seed": 5, "shorter_side": 100, **options})
    ]
    assert tasks == [("load data", None)]


@pytest.mark.parametrize("name", ["mnist5k", "photos/", "photos.csv"])
def test_data_dir_is_for_tensorflow_datasets_alone(name, flag_values):
    flag_values.parse([f"--dataset={name}", "--data_dir=there"])
    with pytest.raises(ValueError, match=f"data_dir.*Received: .*{name}"):
        dataset_flags.require_valid(flag_values)
    flag_values.parse(["--dataset=cifar10", "--data_dir=there"])
    dataset_flags.require_valid(flag_values)
