import numpy as np
import pytest

from keras_squeezenet.evaluation import labeled_outputs

PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]]
)
# The example of scikit-learn's `average_precision_score`: 0.8333.
SCORES = np.array([[0.1, 0.4, 0.35, 0.8], [0.2, 0.2, 0.9, 0.9]]).T
SEVERAL = np.array([[0, 0, 1, 1], [1, 0, 0, 1]], "float32").T


def test_one_pass_gives_accuracy_and_predictions():
    told = []
    calls = []

    def predict(images):
        calls.append(len(images))
        return PROBABILITIES[images]

    batches = [([0, 1], [0, 1]), ([2], [0]), ([3], [2])]
    found = labeled_outputs.evaluate(
        predict, batches, lambda accuracy: told.append(accuracy)
    )
    assert calls == [2, 1, 1]
    assert told == [1, 2 / 3, 0.5]
    assert found.accuracy == 0.5
    assert found.predicted.tolist() == [0, 1, 2, 0]
    assert found.labels.tolist() == [0, 1, 0, 2]
    np.testing.assert_array_equal(found.probabilities, PROBABILITIES)


def test_data_without_images_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        labeled_outputs.evaluate(np.asarray, [])


def test_top_k_accuracy_counts_hits():
    labels = np.array([1, 0, 2, 2])
    evaluation = labeled_outputs.Evaluation(PROBABILITIES, labels)
    assert evaluation.top(1) == evaluation.accuracy == 0.25
    assert evaluation.top(2) == 0.5


def test_average_precision_is_that_of_scikit_learn():
    found = labeled_outputs.of(SCORES, SEVERAL)
    # Equal probabilities are one threshold.
    np.testing.assert_allclose(found.average_precisions, [5 / 6, 0.5])
    assert found.accuracy == pytest.approx((5 / 6 + 0.5) / 2)


def test_class_that_no_image_has_is_left_out_of_the_mean():
    found = labeled_outputs.of(SCORES, SEVERAL * [1, 0])
    assert np.isnan(found.average_precisions[1])
    assert found.accuracy == pytest.approx(5 / 6)
    row = found.by_class([0.3, 0.95])[1]
    assert row["average_precision"] is row["f1"] is None
    assert found.best_thresholds(least=1)[1] == 0.5


def test_thresholds_have_the_best_f1():
    found = labeled_outputs.of(SCORES, SEVERAL)
    assert found.best_thresholds() == [0.5, 0.5]
    thresholds = found.best_thresholds(least=1)
    np.testing.assert_allclose(thresholds, [0.225, 0.1])
    np.testing.assert_allclose(found.f1(thresholds), [0.8, 2 / 3])
    others = [found.f1([value, value]) for value in np.linspace(0, 1, 101)]
    assert (np.nanmax(others, axis=0) <= found.f1(thresholds) + 1e-9).all()
    assert found.by_class(thresholds)[0] == {
        "images": 2,
        "predicted": 3,
        "threshold": thresholds[0],
        "average_precision": pytest.approx(5 / 6),
        "f1": pytest.approx(0.8),
    }


def test_labels_in_rows_are_evaluated_as_several():
    found = labeled_outputs.evaluate(lambda x: x, [(SCORES, SEVERAL)])
    assert isinstance(found, labeled_outputs.SeveralLabels)
