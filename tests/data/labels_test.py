import numpy as np
import pytest

from keras_squeezenet.data import labels as labels_lib


def test_integers_are_kept_and_rows_become_float32():
    numbers, several = labels_lib.normalized([2, 0, 1], "train")
    assert (numbers.tolist(), several) == ([2, 0, 1], False)
    rows, several = labels_lib.normalized([[0.25, 0.75], [True, 0]], "train")
    assert (rows.dtype, several) == ("float32", False)
    assert rows.tolist() == [[0.25, 0.75], [1, 0]]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32"])
def test_integers_of_any_type_become_int64(dtype):
    numbers, _ = labels_lib.normalized(np.array([2, 0], dtype), "train")
    assert (numbers.tolist(), numbers.dtype) == ([2, 0], "int64")


@pytest.mark.parametrize(
    "labels, expected",
    [
        ([0.5, 0.25], r"Received: labels of shape \(2,\) of float64"),
        (["cat"], r"shape \(1,\) of <U3"),
        ([[1.0], [0.0]], "at least two classes"),
        ([[1, 0], [0.5, 0.25]], "image 1 of `train`.* sum to 0.75"),
        ([[1.5, -0.5]], "are at least -0.5"),
        ([[np.nan, 1]], "sum to nan"),
        ([[1, 1.5]], "sum to 2.5 .* Divide each row by its sum"),
    ],
)
def test_other_labels_are_refused(labels, expected):
    with pytest.raises(ValueError, match=expected):
        labels_lib.normalized(labels, "train")


def test_rows_of_0_and_1_are_several_labels_unless_all_have_one():
    one, two = [[0, 1], [1, 0]], [[0, 1], [1, 1]]
    for labels, several, expected in (
        (one, None, False),
        (two, None, True),
        (one, True, True),
        ([[0, 0], [0, 1]], None, True),
    ):
        rows, found = labels_lib.normalized(labels, "train", several)
        assert (rows.tolist(), found) == (labels, expected)


@pytest.mark.parametrize(
    "labels, several, expected",
    [
        ([[1, 0], [1, 1]], False, "image 1, counted from 0, with 2 labels"),
        ([[1, 0], [0.5, 0.5]], True, r"image 1 of `train`.* \[0.5, 0.5\]"),
        ([0, 1], True, "must be rows of 0 and 1, several labels"),
    ],
)
def test_labels_of_the_other_kind_are_refused(labels, several, expected):
    with pytest.raises(ValueError, match=expected):
        labels_lib.normalized(labels, "train", several)


def test_images_of_each_class_are_counted():
    assert labels_lib.count(np.array([2, 0, 2]), 4).tolist() == [1, 0, 2, 0]
    rows = np.array([[0.25, 0.75], [1, 0]])
    assert labels_lib.count(rows, 2).tolist() == [1.25, 0.75]


@pytest.mark.parametrize(
    "labels, expected",
    [
        (np.array([0, 3]), "must be from 0 to 2, .* from 0 to 3"),
        (np.array([-1, 2]), "labels from -1 to 2"),
        (np.eye(4), r"each of the 3 classes. Received: .* \(4, 4\)"),
    ],
)
def test_labels_of_other_classes_are_refused(labels, expected):
    with pytest.raises(ValueError, match=expected):
        labels_lib.require_classes("test", labels, 3)


def test_no_labels_are_of_any_classes():
    labels_lib.require_classes("test", np.zeros(0, "int64"), 3)


@pytest.mark.parametrize(
    "weights, expected",
    [
        ([1.0], r"numbers of shape \(2,\), one for each image"),
        (["a", "b"], "<U1"),
        ([1, -1], "at least 0. Received: weights from -1 to 1"),
        ([1, np.inf], "must be finite"),
        ([0, 0], "must not all be 0"),
    ],
)
def test_other_sample_weights_are_refused(weights, expected):
    with pytest.raises(ValueError, match=expected):
        labels_lib.require_weights(weights, 2, "train")
