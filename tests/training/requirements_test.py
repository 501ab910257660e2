"""Every function that takes labels checks them before any work."""

import functools
import re

import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import compression
from keras_squeezenet import training


@pytest.fixture
def entries(make_model, tmp_path):
    """Return the functions, which take data and a validation set."""
    out = tmp_path / "out"
    scan = functools.partial(compression.scan_sensitivity, make_model())
    return {
        "train": functools.partial(training.train, make_model(), out=out),
        "finetune": functools.partial(
            training.finetune, make_model(conv10_activation=None), out=out
        ),
        "compress": functools.partial(
            compression.compress, make_model(), out=out
        ),
        "scan_sensitivity": lambda data, validation: scan(data),
    }


@pytest.mark.parametrize(
    "name", ["train", "finetune", "compress", "scan_sensitivity"]
)
@pytest.mark.parametrize("shift, found", [(1, "1 to 4"), (-1, "-1 to 2")])
@pytest.mark.parametrize("as_batches", [False, True])
def test_labels_that_are_no_classes_are_refused_before_any_work(
    name, shift, found, as_batches, entries, dataset, tmp_path
):
    images, labels = map(np.concatenate, zip(*dataset.test_batches(16)))
    good, bad = (images, labels), (images, labels + shift)
    if as_batches:
        bad = tf.data.Dataset.from_tensor_slices(bad).batch(8)
    message = f"must be from 0 to 3, .* labels from {found}. Number the classes"
    with pytest.raises(ValueError, match=message):
        entries[name](bad, good)
    if name != "scan_sensitivity":
        with pytest.raises(ValueError, match=message):
            entries[name](good, bad)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["train", "finetune", "compress"])
@pytest.mark.parametrize("larger", ["train", "validation"])
@pytest.mark.parametrize("as_batches", [False, True])
def test_images_of_two_sizes_are_refused_before_any_work(
    name, larger, as_batches, entries, dataset, tmp_path
):
    images, labels = map(np.concatenate, zip(*dataset.test_batches(16)))
    sets = {"train": (images, labels), "validation": (images, labels)}
    sets[larger] = (images.repeat(2, axis=1), labels)
    if as_batches:
        sets = {
            key: tf.data.Dataset.from_tensor_slices(arrays).batch(8)
            for key, arrays in sets.items()
        }
    found = {"train": "(16, 16, 3)", "validation": "(16, 16, 3)"}
    found[larger] = "(32, 16, 3)"
    message = (
        f"images of shape {found['train']} in `train`, "
        f"{found['validation']} in `validation`"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        entries[name](*sets.values())
    assert list(tmp_path.iterdir()) == []


def test_logs_that_cannot_be_written_are_refused_before_any_work(
    entries, tmp_path
):
    pytest.importorskip("tensorboard")
    (tmp_path / "file").touch()
    logs = tmp_path / "file" / "logs"
    for name in ("train", "compress"):
        with pytest.raises(OSError, match=f"{logs} cannot be written"):
            entries[name](None, tensorboard=logs)
