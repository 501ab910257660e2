import numpy as np
import pytest

from keras_squeezenet.compression import checks


def require_half(nonzero, kept):
    """Check that half of 100 weights are kept, when `kept` are."""
    before, after = (
        {"conv10": np.arange(100) < count} for count in (nonzero, kept)
    )
    checks.require_density(before, after, {"conv10": 0.5}, "prune")


@pytest.mark.parametrize(
    "nonzero,kept",
    [(100, 49), (100, 50), (100, 51), (30, 29), (30, 30), (30, 40), (30, 50)],
)
def test_density_is_met_by_all_but_one_weight_and_zeros_from_before(
    nonzero, kept
):
    require_half(nonzero, kept)


@pytest.mark.parametrize(
    "nonzero,kept",
    [(100, 0), (100, 48), (100, 52), (100, 100), (30, 0), (30, 28), (30, 52)],
)
def test_density_that_was_missed_is_an_error(nonzero, kept):
    with pytest.raises(
        checks.CheckError,
        match=f"prune: layer 'conv10' must keep 50.00% .* {kept}.00%",
    ):
        require_half(nonzero, kept)


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


@pytest.mark.parametrize(
    "per_channel,limit,message",
    [
        (False, 3, "at most 2 distinct values. .* 3"),
        (True, 2, "1 distinct values per channel. .* 2"),
    ],
)
def test_too_many_distinct_values_are_an_error(per_channel, limit, message):
    kernels = {"conv1": np.array([[1, 2], [1, 3]])}
    checks.require_distinct(kernels, {"conv1": limit}, "int8", per_channel)
    with pytest.raises(checks.CheckError, match=message):
        limits = {"conv1": limit - 1}
        checks.require_distinct(kernels, limits, "int8", per_channel)


@pytest.mark.parametrize("received", [1.2, np.nan])
def test_outputs_that_differ_are_an_error(received):
    checks.require_equal(np.ones(2), np.ones(2) + 0.05, 0.1, "a copy")
    with pytest.raises(checks.CheckError, match="a copy must give"):
        checks.require_equal(np.ones(2), np.array([1, received]), 0.1, "a copy")
