import numpy as np
import pytest

from keras_squeezenet.evaluation import metrics

PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]]
)


def test_equal_outputs_agree():
    assert metrics.compare(PROBABILITIES, PROBABILITIES) == (1, 0)


def test_agreement_counts_the_top_class_only():
    received = PROBABILITIES + [
        [0, 0.25, 0],
        [0, 0, 0.25],
        [0, 0, 0],
        [0, 0, 0],
    ]
    found = metrics.compare(PROBABILITIES, received)
    assert found.agreement == 0.75
    assert found.max_difference == pytest.approx(0.25)


def test_difference_of_unsigned_codes_does_not_wrap():
    low, high = np.array([[1, 0]], "uint8"), np.array([[2, 0]], "uint8")
    assert metrics.compare(low, high).max_difference == 1


def test_nan_is_not_a_small_difference():
    assert np.isnan(metrics.compare([[0.5]], [[np.nan]]).max_difference)


@pytest.mark.parametrize(
    "expected, received, message",
    [
        ((3, 2), (3, 1), r"Received: shapes \(3, 2\) and \(3, 1\)"),
        ((3,), (3,), r"Received: shapes \(3,\) and \(3,\)"),
        ((0, 2), (0, 2), "at least one image"),
    ],
)
def test_outputs_of_other_images_are_refused(expected, received, message):
    with pytest.raises(ValueError, match=message):
        metrics.compare(np.zeros(expected), np.zeros(received))


def test_rows_of_the_confusion_matrix_are_the_true_classes():
    labels = [0, 0, 0, 1, 2]
    predicted = [0, 0, 1, 1, 0]
    matrix = metrics.confusion_matrix(labels, predicted, 4)
    assert matrix.tolist() == [
        [2, 1, 0, 0],
        [0, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 0],
    ]


def test_divergence_is_the_mean_of_the_images():
    expected = np.array([[0.5, 0.5], [1.0, 0.0]])
    received = np.array([[0.25, 0.75], [0.5, 0.5]])
    first = 0.5 * np.log(2) + 0.5 * np.log(2 / 3)
    assert metrics.divergence(expected, received) == pytest.approx(
        (first + np.log(2)) / 2
    )
    assert metrics.divergence(expected, expected) == 0
    # It is finite even if a class has become impossible.
    assert 1 < metrics.divergence(received, expected) < 30


def test_labels_among_the_most_probable_are_hits():
    labels = [1, 0, 2, 2]
    found = [
        metrics.hits(PROBABILITIES, labels, count).tolist()
        for count in (1, 2, 3)
    ]
    assert found == [
        [False, False, True, False],
        [True, False, True, False],
        [True] * 4,
    ]


def test_first_of_equal_probabilities_is_the_hit():
    # There are enough classes for an unstable sort to mix them.
    probabilities = np.full((100, 100), 0.5)
    labels = np.arange(100)
    for count in (1, 5):
        found = metrics.hits(probabilities, labels, count)
        assert found.tolist() == [True] * count + [False] * (100 - count)


def test_recalls_and_precisions_are_of_rows_and_columns():
    matrix = np.array([[3, 1, 0], [0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(metrics.recalls(matrix), [0.75, np.nan, 0])
    np.testing.assert_array_equal(metrics.recalls(matrix.T), [0.75, 0, np.nan])
