import dataclasses

import pytest

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import Stem
from keras_squeezenet import architecture
from keras_squeezenet.exploration import grids

SMALL = SqueezeNetConfig(base_e=16, incr_e=16, SR=0.25)


def column(name, key):
    points = grids.points(grids.GRIDS[name])
    return [row[key] for row in grids.sizes(points)]


def test_squeeze_ratios_have_the_parameters_of_figure_3():
    assert column("SR", "SR") == [0.125, 0.25, 0.5, 0.75, 1.0]
    assert column("SR", "parameters") == [
        *(1_248_424, 1_967_080, 3_404_392, 4_841_704, 6_279_016)
    ]


def test_shares_of_3x3_filters_have_the_sizes_of_figure_3():
    printed = [5.7, 7.4, 9.3, 11, 13, 15, 17, 19, 21]
    # The figure rounds them up to 5.7, 9.3 and 21.
    exact = [5.6, 7.4, 9.2, 11, 13, 15, 17, 19, 20]
    sizes = column("pct_3x3", "mib")
    assert [float(f"{size:.2g}") for size in sizes] == exact
    assert sizes == pytest.approx(printed, rel=0.035)


def test_multiply_accumulates_are_those_of_the_network():
    assert column("SR", "macs")[0] == architecture.count_macs(
        architecture.VARIANTS["1.0"], 227
    )


def test_grid_of_the_paper_has_both_sweeps_and_their_common_point_once():
    points = grids.points(grids.GRIDS["paper"])
    assert len(points) == 5 + 9 - 1
    assert [point.name for point in points[:6]] == [
        *("base", "SR=0.25", "SR=0.5", "SR=0.75", "SR=1.0"),
        "pct_3x3=0.01,SR=0.5",
    ]
    assert len({point.name for point in points}) == len(points)


def test_every_combination_is_a_point_and_the_last_field_varies_fastest():
    points = grids.points({"freq": [1, 2], "bypass": [None, "simple"]}, SMALL)
    assert [point.config for point in points] == [
        dataclasses.replace(SMALL, freq=freq, bypass=bypass)
        for freq in (1, 2)
        for bypass in (None, "simple")
    ]


def test_any_field_can_be_swept_and_is_in_the_row():
    grid = {
        "conv10_activation": [None],
        "stem": [{"filters": 8, "kernel_size": 3}],
        "pools": [["conv1"], ["fire4"]],
    }
    points = grids.points(grid, SMALL)
    rows = grids.sizes(points, image_size=32, classes=4)
    assert [row["pools"] for row in rows] == [["conv1"], ["fire4"]]
    assert points[0].config.stem == Stem(8, 3)
    assert rows[0]["stem"]["filters"] == 8
    assert rows[0]["conv10_activation"] is None
    assert grids.varied(rows) == ["pools"]


def test_sizes_are_those_of_the_built_network():
    (point,) = grids.points({"SR": [0.5]}, SMALL)
    (row,) = grids.sizes([point], image_size=32, classes=7)
    model = SqueezeNet(
        weights=None, input_shape=(32, 32, 3), classes=7, config=point.config
    )
    assert row["parameters"] == model.count_params()
    assert row["mib"] == 4 * model.count_params() / 1024**2


@pytest.mark.parametrize(
    "grid, message",
    [
        (
            {"SR": [0.5, -1]},
            "point SR=-1 is not a network: `SR`.*Received: SR=-1",
        ),
        ({"SR": [0.5], "freq": [0]}, "point SR=0.5,freq=0 is not a network"),
        ({"SR": [True]}, "point SR=True is not a network: `SR`"),
        ({"SR": ["wide"]}, "point SR=wide is not a network"),
        ({"SR": [float("inf")]}, "point SR=inf is not a network"),
        ({"pct_3x3": [0.001]}, "point pct_3x3=0.001 .* at least one filter"),
        ({"stem": [{"size": 3}]}, "point stem=.* is not a network"),
        ({"width": [1]}, "metaparameters .* base_e, .*Received: width"),
        ({"SR": 0.5}, "`SR` must be a list of values. Received: SR=0.5"),
        ({"SR": []}, "list of values. Received: SR="),
        ({}, "a sweep must be a dict"),
        ([], "a grid must be a dict"),
        ({"SR": [0.5] * 101, "freq": [1] * 100}, "10,000 points.*: 10,100"),
        ([0.5], "a sweep must be a dict .* Received: 0.5"),
        (3, "a grid must be a dict .* Received: 3"),
    ],
)
def test_what_is_not_a_grid_is_refused(grid, message):
    with pytest.raises(ValueError, match=message):
        grids.points(grid)


def test_image_that_is_too_small_for_a_point_is_refused():
    pools = [f"fire{index}" for index in range(2, 10)]
    points = grids.points({"pools": [["conv1"], pools]}, SMALL)
    with pytest.raises(ValueError, match="point pools=.*fire9.*image_size=32"):
        grids.sizes(points, image_size=32)
