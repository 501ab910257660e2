import contextlib
import logging

import keras
import numpy as np
import pytest
import quarters

from keras_squeezenet import packing
from keras_squeezenet.codec import sqz
from keras_squeezenet.data import decode
from keras_squeezenet.packing import pack_network
from keras_squeezenet.utils import progress


class Metrics(progress.Progress):
    """Progress that records the last metrics of each task."""

    def __init__(self):
        self.last = {}

    @contextlib.contextmanager
    def task(self, name, steps):
        yield lambda **metrics: self.last.update({name: metrics})


def test_provenance_names_the_files_of_the_model_and_the_images():
    assert pack_network._provenance("models/model.keras", "photographs/") == {
        "packed_from": "model.keras",
        "calibration": "photographs",
    }


def test_transfer_model_is_packed_from_a_file(
    small_model, images, divergence, tmp_path, caplog, randomize
):
    base = keras.models.clone_model(small_model)
    head = keras.layers.Dense(3, activation="softmax", name="head")
    model = randomize(
        keras.Model(base.input, head(base.get_layer("pool10").output))
    )
    head.kernel.assign(head.kernel * 0.01)
    model.save(tmp_path / "model.keras")
    listener = Metrics()
    caplog.set_level(logging.DEBUG)
    packed = packing.pack(
        tmp_path / "model.keras", images, max_kl=0.05, progress=listener
    )
    kl = divergence(packed, images[4::5], model)
    assert kl == pytest.approx(packed.point.kl, abs=1e-5)
    assert len(packed.content) < model.count_params()
    # Each lambda is reported when it is evaluated.
    reported = [
        (metrics["bytes"], metrics["kl"])
        for name, metrics in listener.last.items()
        if name.startswith("lambda")
    ]
    assert {(point.bytes, point.kl) for point in packed.curve} <= {*reported}
    assert f"{packed.point.bytes} bytes, divergence" in caplog.text
    header, _ = sqz.load(packed.content)
    assert header["provenance"] == {"packed_from": "model.keras"}
    packed.save(tmp_path / "model.sqz")
    assert (tmp_path / "model.sqz").read_bytes() == packed.content


def test_accuracy_on_the_validation_set_is_bounded(
    small_model, images, dataset
):
    kept = dataset.split_validation(0.5)
    packed = packing.pack(
        small_model, kept, class_names=list("abcd"), max_accuracy_drop=5.0
    )
    assert packed.is_held_out and packed.validation_images == 32
    assert packed.point.accuracy_drop <= 5
    assert packed.test_images == 32 and packed.test.accuracy is not None
    assert packed.to_json()["test"]["accuracy"] == packed.test.accuracy
    with pytest.raises(ValueError, match="needs validation images with labels"):
        packing.pack(small_model, images, max_accuracy_drop=5.0)


def test_labels_are_matched_with_the_names_that_are_given(
    small_model, dataset, monkeypatch
):
    quarters.pack_few_points(monkeypatch)
    accuracies = [
        packing.pack(
            small_model, dataset, class_names=list(names)
        ).test.accuracy_before
        for names in ("abcd", "bcda")
    ]
    # Hardly any image is of the class after its own.
    assert accuracies[0] > 0.5 > 0.25 > accuracies[1]


def test_several_bounds_are_refused(small_model, images):
    with pytest.raises(ValueError, match="one of `target_bytes`, `max_kl`"):
        packing.pack(small_model, images, target_bytes=1000, max_kl=0.1)


def end(model, units, activation):
    head = keras.layers.Dense(units, activation, name="head")
    return keras.Model(model.input, head(model.get_layer("pool10").output))


def make_nan(model):
    changed = end(model, 3, "softmax")
    changed.get_layer("head").bias.assign([0, np.nan, 0])
    return changed


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda model: end(model, 3, None), "'head' that add up to .*softmax"),
        (lambda model: end(model, 3, "sigmoid"), "one label for an image"),
        (lambda model: end(model, 1, "sigmoid"), "one output of 'head'"),
        (lambda model: end(model, 1, "softmax"), "one output of 'head'"),
        (make_nan, "must be finite.* 'head'"),
    ],
)
def test_outputs_that_are_not_probabilities_are_refused_before_any_work(
    change, message, small_model, images
):
    listener = Metrics()
    with pytest.raises(ValueError, match=message):
        packing.pack(change(small_model), images, progress=listener)
    assert not listener.last


@pytest.mark.parametrize("class_names", [["a", "b"], "cats"])
def test_names_that_do_not_fit_are_refused_before_any_work(
    class_names, small_model
):
    with pytest.raises(ValueError, match="must be a list of 4 strings"):
        packing.pack(small_model, None, class_names=class_names)


def test_image_that_cannot_be_decoded_is_named(small_model, broken_dataset):
    with pytest.raises(decode.UnreadableImageError, match="png cannot be read"):
        packing.pack(small_model, broken_dataset, class_names=list("abcd"))


def test_too_few_images_are_refused(small_model, images):
    with pytest.raises(ValueError, match="at least 10 images.*Received: 9"):
        packing.pack(small_model, images[:9])
