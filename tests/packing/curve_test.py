from keras_squeezenet import packing
from keras_squeezenet.packing import curve


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
    found = curve.front(points)
    assert [(point.bytes, point.kl) for point in found] == [
        *((10, 0.5), (20, 0.3), (30, 0.1))
    ]
