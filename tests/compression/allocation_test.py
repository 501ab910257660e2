import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from keras_squeezenet.compression import allocation

RNG = np.random.default_rng(0)
KERNELS = {
    "conv1": RNG.normal(scale=3, size=(3, 3, 3, 8)),
    "fire2_squeeze1x1": RNG.normal(scale=1, size=(1, 1, 8, 50)),
    "conv10": RNG.normal(scale=0.1, size=(1, 1, 100, 40)),
}
SIZES = {name: kernel.size for name, kernel in KERNELS.items()}


def overall(densities):
    weights = sum(SIZES[name] * share for name, share in densities.items())
    return weights / sum(SIZES.values())


def test_first_pattern_that_matches_counts():
    rules = {"conv1": 1, "*_squeeze1x1": 0.5, "conv1*": 0.25, "*": 0.1}
    names = ["conv1", "fire2_squeeze1x1", "conv10", "head"]
    assert allocation.match(rules, names) == {
        "conv1": 1,
        "fire2_squeeze1x1": 0.5,
        "conv10": 0.25,
        "head": 0.1,
    }


def test_pattern_of_no_layer_is_refused():
    with pytest.raises(ValueError, match="one of the layers.*'fire10_\\*'"):
        allocation.match({"fire10_*": 0.5, "*": 1}, ["conv1"])


def test_pattern_of_another_squeezenets_layer_is_allowed():
    assert allocation.match({"conv10": 0.2, "*": 1}, ["head"]) == {"head": 1}


def test_layer_of_no_pattern_is_refused():
    with pytest.raises(ValueError, match="none of which matches 'head'"):
        allocation.match({"conv*": 1}, ["conv1", "head"])


def test_scaling_leaves_dense_layers_and_keeps_the_proportions():
    asked = {"conv1": 1, "fire2_squeeze1x1": 0.5, "conv10": 0.25}
    found = allocation.scale(asked, KERNELS, 0.2)
    assert found["conv1"] == 1
    assert found["fire2_squeeze1x1"] == pytest.approx(2 * found["conv10"])
    assert overall(found) == pytest.approx(0.2)


def test_densities_that_are_low_enough_are_not_scaled():
    asked = {"conv1": 1, "fire2_squeeze1x1": 0.5, "conv10": 0.25}
    assert allocation.scale(asked, KERNELS, 0.9) == asked


@pytest.mark.parametrize("density", [0.2, 0.5, 0.9])
def test_one_threshold_is_for_all_layers(density):
    found = allocation.global_threshold(KERNELS, density)
    assert overall(found) == pytest.approx(density, abs=1e-3)
    merged = np.concatenate([np.abs(k).ravel() for k in KERNELS.values()])
    threshold = np.quantile(merged, 1 - density)
    for name, kernel in KERNELS.items():
        expected = max(
            allocation.MIN_DENSITY, np.mean(np.abs(kernel) >= threshold)
        )
        assert found[name] == pytest.approx(expected, abs=5e-3), name


def test_densities_are_plain_numbers(make_scan):
    """TF-MOT takes no others."""
    for found in (
        allocation.global_threshold(KERNELS, 0.3),
        allocation.split_density(make_scan(SIZES), 0.3),
        allocation.scale(dict.fromkeys(KERNELS, 0.5), KERNELS, 0.3),
    ):
        assert {type(density) for density in found.values()} <= {float, int}


def test_fixed_layers_stay_dense_and_count():
    found = allocation.global_threshold(
        KERNELS, 0.3, fixed=["fire2_squeeze1x1"]
    )
    assert found["fire2_squeeze1x1"] == 1
    assert overall(found) == pytest.approx(0.3, abs=1e-3)


def test_no_layer_dies():
    found = allocation.global_threshold(KERNELS, 0.05)
    # All its weights are below those of the others.
    assert found["conv10"] == allocation.MIN_DENSITY


def test_dense_layers_that_are_too_much_are_an_error(make_scan):
    fixed = ["conv1", "fire2_squeeze1x1"]
    with pytest.raises(ValueError, match=r"at least 15.08%.* 616 of 4,616"):
        allocation.global_threshold(KERNELS, 0.14, fixed)
    with pytest.raises(ValueError, match="Received: 14.00%"):
        allocation.split_density(make_scan(SIZES), 0.14, fixed)


@hypothesis.settings(deadline=None, max_examples=40)
@hypothesis.given(
    strategies.floats(0.05, 1),
    strategies.lists(strategies.floats(1e-6, 10), min_size=3, max_size=3),
)
def test_water_fills_the_overall_density(make_scan, density, factors):
    scan = make_scan(SIZES, **dict(zip(SIZES, factors)))
    found = allocation.split_density(scan, density)
    assert overall(found) == pytest.approx(density)
    assert min(found.values()) >= allocation.MIN_DENSITY - 1e-12


def test_sensitive_layer_keeps_more(make_scan):
    scan = make_scan(SIZES, conv1=1e-3, conv10=1e-3)
    found = allocation.split_density(scan, 0.3)
    assert found["fire2_squeeze1x1"] > 0.9
    assert found["conv10"] < 0.3
    even = allocation.split_density(make_scan(SIZES), 0.3)
    # One weight of the small layer changes as much as many of the large one.
    assert even["conv1"] > even["conv10"]


def test_bits_go_where_they_help(make_scan):
    scan = make_scan(SIZES, conv1=100)
    found = allocation.split_bits(scan, 5)
    used = sum(SIZES[name] * bits for name, bits in found.items())
    assert used <= 5 * sum(SIZES.values())
    assert found["conv1"] == 8
    assert found["conv10"] == 4


@pytest.mark.parametrize("average,bits", [(8, 8), (4, 4)])
def test_extreme_averages_leave_no_choice(make_scan, average, bits):
    scan = make_scan(SIZES)
    assert set(allocation.split_bits(scan, average).values()) == {bits}


def test_average_out_of_reach_is_an_error(make_scan):
    with pytest.raises(ValueError, match="at least 4.*average_bits=3"):
        allocation.split_bits(make_scan(SIZES), 3)
