import os
import pathlib
import subprocess
import sys
import types

import pytest

from keras_squeezenet import data
from keras_squeezenet.data import catalog


@pytest.fixture
def kind(monkeypatch):
    """Return a function from a name to the module that loads it."""

    def kind(name, **options):
        found = []

        def import_module(module):
            found.append(module.rpartition(".")[2])
            return types.SimpleNamespace(load=lambda **arguments: None)

        monkeypatch.setattr(
            catalog,
            "importlib",
            types.SimpleNamespace(import_module=import_module),
        )
        catalog.load(name, **options)
        return found[0]

    return kind


@pytest.mark.parametrize(
    "name,expected",
    [
        ("mnist5k", "mnist5k"),
        ("photos.csv", "csv_list"),
        (pathlib.Path("photos.CSV"), "csv_list"),
        (pathlib.Path("mnist5k"), "image_folder"),
        ("missing/", "image_folder"),
        ("./cifar10", "image_folder"),
        ("~/photos", "image_folder"),
        ("/photos", "image_folder"),
        ("flowers", "image_folder"),
        ("imagenet_resized/64x64", "image_folder"),
        ("cifar10", "tfds"),
        ("cifar100", "tfds"),
        ("imagenet_resized/32x32", "tfds"),
    ],
)
def test_name_is_that_of_a_folder_a_list_or_a_data_set(
    name, expected, kind, tmp_path, monkeypatch
):
    for folder in ("flowers/rose", "imagenet_resized/64x64/cat", "cifar10"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert kind(name) == expected


@pytest.mark.parametrize(
    "name,expected",
    [
        ("mnist5k", "the embedded digits"),
        ("photos.csv", "a CSV list"),
        ("photos/", "a folder"),
    ],
)
def test_data_dir_is_for_tensorflow_datasets(name, expected, kind):
    with pytest.raises(
        ValueError,
        match=f"set for {expected}. Received: '{name}' with data_dir='there'",
    ):
        data.load(name, data_dir="there")
    assert kind("cifar10", data_dir="there") == "tfds"


@pytest.mark.parametrize("name", [None, "", 5])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match=f"Received: name={name!r}"):
        data.load(name)


@pytest.mark.parametrize("image_size", [0, -1, 32.0, "32"])
def test_image_size_must_be_a_positive_integer(image_size):
    with pytest.raises(
        ValueError,
        match=f"positive integer, or `None`.*image_size={image_size!r}",
    ):
        data.load("mnist5k", image_size=image_size)


def test_import_leaves_optional_packages_alone():
    script = (
        "import sys; from keras_squeezenet.data import load; "
        "assert not {'tensorflow_datasets', 'mlxtend'} & {*sys.modules}"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
