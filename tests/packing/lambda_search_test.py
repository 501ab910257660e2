import pytest

from keras_squeezenet import packing
from keras_squeezenet.packing import lambda_search


class Files:
    """Files whose size and divergence are powers of lambda."""

    def __init__(self):
        self.points = {}

    def evaluate(self, lambda_):
        self.points[lambda_] = packing.Point(
            lambda_=lambda_,
            bytes=round(100_000 * (lambda_ / 1e-7) ** -0.125),
            kl=0.01 * (lambda_ / 1e-7) ** 0.75,
            kl_error=0.0,
            agreement=1.0,
            agreement_error=0.0,
        )
        return self.points[lambda_]

    def best(self, bound):
        return bound.choose(self.points.values())


@pytest.mark.parametrize(
    "bound",
    [
        packing.Bound(target_bytes=240_000),
        packing.Bound(target_bytes=40_000),
        packing.Bound(max_kl=0.02),
        packing.Bound(max_kl=1e-4),
    ],
    ids=str,
)
def test_file_close_to_the_bound_is_found(bound):
    files = Files()
    lambda_search.search(bound, files.evaluate)
    assert -bound.tolerance <= bound.excess(files.best(bound)) <= 0
    assert len(files.points) <= 9


@pytest.mark.parametrize(
    "bound",
    [packing.Bound(target_bytes=100_500), packing.Bound(max_kl=0.0102)],
    ids=str,
)
def test_search_ends_where_the_first_file_is_close_to_the_bound(bound):
    files = Files()
    lambda_search.search(bound, files.evaluate)
    assert [*files.points] == [lambda_search.FIRST_LAMBDA]


def test_larger_tolerance_needs_fewer_files():
    bound = packing.Bound(target_bytes=90_000)
    exact, rough = Files(), Files()
    lambda_search.search(bound, exact.evaluate)
    lambda_search.search(bound, rough.evaluate, tolerance=0.07)
    assert len(rough.points) < len(exact.points)
    assert -0.07 <= bound.excess(rough.best(bound)) < -bound.tolerance


def test_search_takes_larger_steps_far_from_the_bound():
    near, far = Files(), Files()
    lambda_search.search(packing.Bound(max_kl=1e-3), near.evaluate)
    lambda_search.search(packing.Bound(max_kl=1e-6), far.evaluate)
    first, second, *_ = near.points
    assert first / second == lambda_search.LAMBDA_FACTOR
    first, second, *_ = far.points
    assert first / second == lambda_search.LAMBDA_FACTOR**6
    assert len(far.points) <= 9


def test_search_begins_where_it_is_told():
    files = Files()
    bound = packing.Bound(target_bytes=100_000)
    lambda_search.search(bound, files.evaluate, first=1e-6)
    assert [*files.points][0] == 1e-6


@pytest.mark.parametrize(
    "bound, count",
    [(packing.Bound(target_bytes=10**9), 3), (packing.Bound(max_kl=1e-9), 2)],
    ids=str,
)
def test_search_ends_where_no_file_is_at_the_bound(bound, count):
    files = Files()
    lambda_search.search(bound, files.evaluate)
    assert min(files.points) == lambda_search.MIN_LAMBDA
    assert len(files.points) == count


def test_file_that_is_not_close_to_the_bound_is_corrected_once():
    files, bound = Files(), packing.Bound(target_bytes=90_000)
    lambda_search.correct(bound, 1e-7, files.evaluate)
    assert len(files.points) == 2
    assert files.best(bound).bytes == pytest.approx(90_000, abs=2)
    lambda_search.correct(bound, files.best(bound).lambda_, files.evaluate)
    assert len(files.points) == 2


def test_neighbors_of_a_lambda_are_not_close_to_known_ones():
    found = list(lambda_search.neighbors(1e-6, [1e-6, 5e-6]))
    assert found == pytest.approx([1e-6 / 16, 1e-6 / 4, 16e-6])
    assert list(lambda_search.neighbors(1e-2, [1e-2, 2e-3])) == pytest.approx(
        [1e-2 / 16]
    )
