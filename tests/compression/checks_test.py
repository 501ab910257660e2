import numpy as np
import pytest

from keras_squeezenet.compression import checks


def require_half(nonzero, kept):
    """Check that half of 100 weights are kept, when `kept` are."""
    before, after = (
        {"conv10": np.arange(100) < count} for count in (nonzero, kept)
    )
    checks.require_density(before, after, {"conv10": 0.5}, "prune")


@pytest.mark.parametrize("kept", [49, 50, 51])
def test_density_may_be_one_weight_off(kept):
    require_half(nonzero=100, kept=kept)


@pytest.mark.parametrize("kept", [29, 30, 40, 50])
def test_zeros_from_before_are_no_miss_of_a_density(kept):
    require_half(nonzero=30, kept=kept)


@pytest.mark.parametrize("kept", [0, 28, 52])
def test_zeros_from_before_excuse_no_others(kept):
    with pytest.raises(checks.CheckError, match=f"{kept}.00%"):
        require_half(nonzero=30, kept=kept)


@pytest.mark.parametrize("kept", [0, 48, 52, 100])
def test_density_that_was_missed_is_an_error(kept):
    with pytest.raises(
        checks.CheckError,
        match=f"prune: layer 'conv10' must keep 50.00% .* {kept}.00%",
    ):
        require_half(nonzero=100, kept=kept)


def test_zero_that_was_lost_is_an_error():
    before = {"conv1": np.array([0.0, 0.0, 1.0])}
    checks.require_zeros_kept(
        before, {"conv1": np.array([0.0, 0.0, 0.0])}, "cluster"
    )
    with pytest.raises(
        checks.CheckError,
        match="cluster: layer 'conv1' .* 1 of 2 are nonzero",
    ):
        checks.require_zeros_kept(
            before, {"conv1": np.array([0.0, 0.1, 1.0])}, "cluster"
        )


def test_too_many_distinct_values_are_an_error():
    kernels = {"conv1": np.array([[1, 2], [1, 3]])}
    checks.require_distinct(kernels, {"conv1": 3}, "cluster")
    with pytest.raises(
        checks.CheckError, match="at most 2 distinct values. .* 3"
    ):
        checks.require_distinct(kernels, {"conv1": 2}, "cluster")


def test_distinct_values_can_be_counted_by_channel():
    kernels = {"conv1": np.array([[1, 2], [1, 3]])}
    checks.require_distinct(kernels, {"conv1": 2}, "int8", per_channel=True)
    with pytest.raises(
        checks.CheckError, match="1 distinct values per channel. .* 2"
    ):
        checks.require_distinct(kernels, {"conv1": 1}, "int8", per_channel=True)


@pytest.mark.parametrize("received", [1.2, np.nan])
def test_outputs_that_differ_are_an_error(received):
    checks.require_equal(np.ones(2), np.ones(2) + 0.05, 0.1, "a copy")
    with pytest.raises(checks.CheckError, match="a copy must give"):
        checks.require_equal(np.ones(2), np.array([1, received]), 0.1, "a copy")
