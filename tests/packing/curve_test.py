import pytest

from keras_squeezenet import packing
from keras_squeezenet.packing import curve


def make_point(**changes):
    return packing.Point(
        **{
            "lambda_": 1.0,
            "bytes": 1,
            "kl": 0.0,
            "kl_error": 0.0,
            "agreement": 1.0,
            "agreement_error": 0.0,
            **changes,
        }
    )


def test_curve_goes_from_small_to_large(by_size):
    sizes = [point.bytes for point in by_size.curve]
    assert sizes == sorted(sizes)
    assert by_size.point in by_size.curve
    assert by_size.curve[0].estimated_kl > by_size.curve[-1].estimated_kl


def test_no_point_of_the_curve_is_beaten_by_another(by_size):
    divergences = [point.kl for point in by_size.curve]
    assert divergences == sorted(set(divergences), reverse=True)
    points = [
        make_point(bytes=size, kl=kl)
        for size, kl in ((30, 0.1), (10, 0.5), (20, 0.6), (20, 0.3), (25, 0.3))
    ]
    found = curve.front(points)
    assert [(point.bytes, point.kl) for point in found] == [
        *((10, 0.5), (20, 0.3), (30, 0.1))
    ]


@pytest.mark.parametrize(
    "measured, expected",
    [
        ([(0.9, 0.01, 0.5), (0.8, 0.01, 0.1)], 0),
        ([(0.9, 0.0, 0.5), (0.9, 0.0, 0.1)], 1),
        # One of 72 images, and half of the divergence.
        ([(1.0, 0.0, 0.026), (71 / 72, 1 / 72 - 1e-9, 0.014)], 1),
        ([(1.0, 0.0, 0.026), (0.972, 0.0195, 0.013)], 0),
        ([(None, None, 0.2), (None, None, 0.1)], 1),
    ],
)
def test_best_file_is_as_accurate_as_any_and_has_the_least_divergence(
    measured, expected
):
    points = [
        make_point(accuracy=accuracy, accuracy_error=error, kl=kl)
        for accuracy, error, kl in measured
    ]
    assert curve.best(points) == points[expected]
