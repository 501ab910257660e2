import dataclasses
import itertools

import numpy as np
import pytest

from keras_squeezenet import packing
from keras_squeezenet.packing import lambda_search
from keras_squeezenet.packing import packer as packer_module


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


def test_file_is_reconstructed_on_more_images_than_the_search(small_model):
    images = np.random.default_rng(0).normal(scale=60, size=(100, 16, 16, 3))
    packer = packing.Packer(small_model, images.astype("float32"))
    packed = packer.pack(packing.Bound(target_bytes=2_500))
    assert {count for _, count in packer.points} == {64, 80}
    final = [p for (_, count), p in packer.points.items() if count == 80]
    assert len(final) <= lambda_search.CORRECTIONS
    assert len(packed.content) <= 2_500


def test_bound_that_no_file_meets_is_refused(packer):
    with pytest.raises(ValueError, match="no file is within target_bytes=100:"):
        packer.pack(packing.Bound(target_bytes=100))


@pytest.fixture
def counted(packer, monkeypatch):
    """The packer, with accuracies of 90% before and `accuracies[bytes]`."""
    measured = packer.measurer.measure
    monkeypatch.setattr(packer.measurer, "labels", np.zeros(5, int))
    monkeypatch.setattr(packer, "points", {})

    def count(accuracies):
        found = iter(accuracies)
        monkeypatch.setattr(
            packer.measurer,
            "measure",
            lambda model: dataclasses.replace(
                measured(model), accuracy=next(found), accuracy_before=0.9
            ),
        )
        return packer

    return count


def test_file_that_the_search_found_stays_when_larger_ones_lose(counted):
    # The first file of the search is within the bound, and no other one.
    packer = counted(itertools.chain([0.9], itertools.repeat(0.8)))
    packed = packer.pack(packing.Bound(max_accuracy_drop=0.0))
    assert packed.point.accuracy == 0.9
    assert packed.point.lambda_ == lambda_search.FIRST_LAMBDA
    assert len(packed.curve) > 2


def test_accuracy_that_no_file_keeps_is_refused_in_points(counted):
    packer = counted(0.8 - 0.001 * index for index in itertools.count())
    with pytest.raises(
        ValueError,
        match="no file is within max_accuracy_drop=1.0: the files have .* "
        r"bytes and lose 10 to 1\d\.?\d* percentage points of accuracy",
    ):
        packer.pack(packing.Bound(max_accuracy_drop=1.0))


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
    assert bound.objective(packed.point) <= bound.objective(before)
    assert len(packed.content) == packed.point.bytes
    kl = divergence(packed, images[4::5])
    assert kl == pytest.approx(packed.point.kl, abs=1e-5)
    # The model is not changed.
    for one, other in zip(weights, small_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
