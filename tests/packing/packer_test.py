import contextlib
import json
import logging

import keras
import numpy as np
import pytest
import quarters

from keras_squeezenet import codec
from keras_squeezenet import packing
from keras_squeezenet.codec import sqz
from keras_squeezenet.packing import packer as packer_module
from keras_squeezenet.utils import progress


def test_file_is_as_large_as_the_target(by_size, small_model):
    assert 0.97 * 2_500 < len(by_size.content) <= 2_500
    assert len(by_size.content) == by_size.point.bytes
    assert by_size.float32_bytes == 4 * small_model.count_params()
    assert by_size.float32_bytes > 5 * len(by_size.content)


def test_divergence_is_that_of_the_file(by_size, images, divergence):
    kl = divergence(by_size, images[4::5])
    assert kl == pytest.approx(by_size.point.kl, abs=1e-5)
    assert by_size.point.kl < 0.3
    assert (by_size.images, by_size.validation_images) == (20, 5)


def test_divergence_is_as_large_as_the_bound(by_divergence):
    assert 0 < by_divergence.point.kl <= 0.01
    # The next smaller file exceeds the bound.
    curve = by_divergence.curve
    following = curve[curve.index(by_divergence.point) - 1]
    assert following.bytes < by_divergence.point.bytes
    assert following.kl > 0.01


def test_curve_goes_from_small_to_large(by_size):
    sizes = [point.bytes for point in by_size.curve]
    assert sizes == sorted(sizes)
    assert by_size.point in by_size.curve
    assert by_size.curve[0].estimated_kl > by_size.curve[-1].estimated_kl


def test_no_point_of_the_curve_is_beaten_by_another(by_size):
    divergences = [point.kl for point in by_size.curve]
    assert divergences == sorted(set(divergences), reverse=True)
    measured = {
        "kl_error": 0.0,
        "agreement": 1.0,
        "agreement_error": 0.0,
        "lambda_": 1.0,
    }
    points = [
        packing.Point(bytes=size, kl=kl, **measured)
        for size, kl in ((30, 0.1), (10, 0.5), (20, 0.6), (20, 0.3), (25, 0.3))
    ]
    found = packer_module.front(points)
    assert [(point.bytes, point.kl) for point in found] == [
        *((10, 0.5), (20, 0.3), (30, 0.1))
    ]


def make_points(*accuracies):
    return [
        packing.Point(
            lambda_=1.0,
            bytes=size,
            kl=1.0,
            kl_error=0.0,
            agreement=1.0,
            agreement_error=0.0,
            accuracy=accuracy,
            accuracy_before=0.9,
            accuracy_error=0.0,
        )
        for size, accuracy in enumerate(accuracies)
    ]


def test_small_file_that_is_accurate_by_chance_is_not_chosen():
    bound = packing.Bound(max_accuracy_drop=1.0)
    # Two and a half points are lost, one, two, one, none.
    points = make_points(0.875, 0.89, 0.88, 0.89, 0.9)
    assert bound.choose(points).bytes == 3
    assert bound.choose(points[:3]) is None


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


def test_file_is_reconstructed_on_more_images_than_the_search(small_model):
    images = np.random.default_rng(0).normal(scale=60, size=(100, 16, 16, 3))
    packer = packing.Packer(small_model, images.astype("float32"))
    packed = packer.pack(packing.Bound(target_bytes=2_500))
    assert {count for _, count in packer.points} == {64, 80}
    final = [p for (_, count), p in packer.points.items() if count == 80]
    assert len(final) <= packer_module.FINAL_FILES
    assert len(packed.content) <= 2_500


def test_bound_that_every_file_is_within_is_not_refined(
    small_model, images, monkeypatch
):
    quarters.pack_few_points(monkeypatch)
    packer = packing.Packer(small_model, images)
    packed = packer.pack(packing.Bound(target_bytes=10**9))
    assert packed.point.bytes < 10**9
    # No smaller one is tried than in the search.
    lambdas = [lambda_ for lambda_, _ in packer.points]
    assert min(lambdas) > packer_module.MIN_LAMBDA / 1000


def test_layers_are_those_of_the_file(by_size):
    _, arrays = sqz.load(by_size.content)
    for layer in by_size.layers:
        codes = arrays[f"{layer['name']}/kernel"].codes
        assert layer["weights"] == codes.size
        assert layer["density"] == np.mean(codes != 0)
        assert layer["distinct_values"] == len(np.unique(codes))
        assert layer["bytes"] >= layer["entropy_bytes"]
    total = sum(layer["bytes"] for layer in by_size.layers)
    assert 0.2 < total / len(by_size.content) < 1


def test_result_is_json(by_size):
    found = by_size.to_json()
    assert json.loads(json.dumps(found)) == found
    assert found["bytes"] == len(by_size.content)
    assert found["lambda"] == by_size.point.lambda_
    assert len(found["curve"]) == len(by_size.curve)
    assert found["code_training"] == []


class Metrics(progress.Progress):
    """Progress that records the last metrics of each task."""

    def __init__(self):
        self.last = {}

    @contextlib.contextmanager
    def task(self, name, steps):
        yield lambda **metrics: self.last.update({name: metrics})


def test_provenance_names_the_files_of_the_model_and_the_images():
    assert packer_module._provenance("models/model.keras", "photographs/") == {
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


def test_names_are_in_the_file(by_size, small_model, tmp_path):
    by_size.save(tmp_path / "model.sqz")
    assert codec.read_labels(tmp_path / "model.sqz") == list("abcd")
    assert by_size.model.name == small_model.name
    assert [layer.name for layer in by_size.model.layers] == [
        layer.name for layer in small_model.layers
    ]


def test_bound_that_no_file_meets_is_refused(packer):
    with pytest.raises(ValueError, match="no file is within target_bytes=100:"):
        packer.pack(packing.Bound(target_bytes=100))


def test_exactly_one_bound_must_be_given(small_model, images):
    with pytest.raises(ValueError, match="one of `target_bytes`, `max_kl`"):
        packing.pack(small_model, images, target_bytes=1000, max_kl=0.1)
    with pytest.raises(ValueError, match="one of `target_bytes`, `max_kl`"):
        packing.Bound()


def test_too_few_images_are_refused(small_model, images):
    with pytest.raises(ValueError, match="at least 10 images.*Received: 9"):
        packing.pack(small_model, images[:9])


@pytest.mark.parametrize(
    "bounds", [{"target_bytes": 2_200}, {"max_kl": 0.3}], ids=str
)
def test_code_training_stays_within_the_bound(
    bounds, packer, small_model, images, divergence
):
    weights = small_model.get_weights()
    bound = packing.Bound(**bounds)
    packed = packer.pack(bound, steps=20)
    before, *rest = packed.code_training
    assert before in packed.curve
    assert len(rest) == packer_module.CODE_TRAINING_POINTS
    assert packed.point in packed.code_training
    assert bound.admits(packed.point)
    assert (packed.point.kl, packed.point.bytes) <= (before.kl, before.bytes)
    assert len(packed.content) == packed.point.bytes
    kl = divergence(packed, images[4::5])
    assert kl == pytest.approx(packed.point.kl, abs=1e-5)
    # The model is not changed.
    for one, other in zip(weights, small_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
