import types

import numpy as np
import pytest

from keras_squeezenet.packing import measurement

BEFORE = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]])
AFTER = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.5, 0.5]])
LABELS = np.array([0, 0, 1, 1])


def network(outputs):
    """A network that looks its outputs up by the first pixel."""
    return types.SimpleNamespace(
        predict_on_batch=lambda images: outputs[images[:, 0]]
    )


def batches(labels):
    images = np.arange(4)[:, np.newaxis]
    parts = (slice(0, 3), slice(3, 4))
    return lambda: [
        (images[part], None if labels is None else labels[part])
        for part in parts
    ]


def test_change_has_the_standard_error_of_pairs():
    measurer = measurement.Measurer(network(BEFORE), batches(LABELS))
    found = measurer.measure(network(AFTER))
    divergence = 0.2 * np.log(1.5)
    assert found.kl == pytest.approx(divergence / 4)
    # One of four differs by d: the deviation is d / 2, and the error d / 4.
    assert found.kl_error == pytest.approx(divergence / 4)
    assert (found.agreement, found.agreement_error) == (0.75, 0.25)
    assert (found.accuracy_before, found.accuracy) == (0.75, 0.5)
    assert found.accuracy_error == 0.25
    assert found.accuracy_drop == 25
    assert measurer.size == 4


def test_images_without_labels_have_no_accuracy():
    measurer = measurement.Measurer(network(BEFORE), batches(None))
    found = measurer.measure(network(AFTER))
    assert found.agreement == 0.75
    assert (found.accuracy, found.accuracy_error) == (None, None)
    assert found.accuracy_drop is None


def test_images_are_read_once_for_each_network():
    reads = []

    def counted():
        reads.append(None)
        return batches(LABELS)()

    measurer = measurement.Measurer(network(BEFORE), counted)
    assert (measurer.accuracy, len(reads)) == (0.75, 1)
    measurer.measure(network(AFTER))
    assert len(reads) == 2


def test_equal_networks_differ_by_nothing():
    measurer = measurement.Measurer(network(BEFORE), batches(LABELS))
    found = measurer.measure(network(BEFORE))
    assert (found.kl, found.kl_error) == (0, 0)
    assert (found.agreement, found.accuracy_drop) == (1, 0)


def test_networks_behind_a_front_are_measured_on_its_features():
    measurer = measurement.Measurer(network(BEFORE), batches(LABELS))
    front = types.SimpleNamespace(
        predict_on_batch=lambda images: images * np.array([1e6])
    )
    seen = []
    rest = types.SimpleNamespace(
        predict_on_batch=lambda features: (
            seen.append(features),
            AFTER[: len(features)],
        )[1]
    )
    behind = measurer.behind(front)
    assert behind.measure(rest).accuracy_before == 0.75
    assert behind.size == 4 and [len(each) for each in seen] == [3, 1]
    # float16 has no larger number.
    assert seen[0].dtype == "float32" and seen[0].max() == 65504
