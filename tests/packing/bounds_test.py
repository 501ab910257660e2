import dataclasses

import pytest

from keras_squeezenet import packing


def make_points(*accuracies):
    return [
        packing.Point(
            lambda_=1.0,
            bytes=size,
            kl=1.0 / (1 + size),
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


def test_large_file_that_loses_by_chance_does_not_hide_the_others():
    bound = packing.Bound(max_accuracy_drop=1.0)
    # The largest file loses two points, as the smallest does.
    points = make_points(0.88, 0.89, 0.9, 0.89, 0.88)
    assert bound.choose(points).bytes == 3
    assert bound.choose(points[:1]) is None


def test_file_that_a_smaller_one_beats_is_chosen_if_it_alone_is_accurate():
    bound = packing.Bound(max_accuracy_drop=1.0)
    small, large = make_points(0.88, 0.89)
    large = dataclasses.replace(large, kl=2 * small.kl)
    assert bound.choose([small, large]) == large


def test_exactly_one_bound_must_be_given():
    with pytest.raises(ValueError, match="one of `target_bytes`, `max_kl`"):
        packing.Bound()
    with pytest.raises(ValueError, match="target_bytes=9, max_kl=0.1"):
        packing.Bound(target_bytes=9, max_kl=0.1)
