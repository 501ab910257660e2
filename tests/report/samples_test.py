import numpy as np
import quarters

from keras_squeezenet import normalizations
from keras_squeezenet.data import image_ops
from keras_squeezenet.evaluation import class_activation
from keras_squeezenet.evaluation import labeled_outputs
from keras_squeezenet.report import samples


def evaluation(predicted, labels=None):
    """Return the predictions of a classifier with 70% confidence."""
    predicted = np.array(predicted)
    probabilities = np.full((len(predicted), 4), 0.1, "float32")
    probabilities[np.arange(len(predicted)), predicted] = 0.7
    labels = predicted if labels is None else np.array(labels)
    return labeled_outputs.Evaluation(probabilities, labels)


def test_some_of_the_samples_are_disagreements():
    before = evaluation([0] * 100)
    after = evaluation([1] * 50 + [0] * 50)
    chosen = samples.choose_samples(before, after)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == samples.SAMPLES
    differing = [index for index in chosen if index < 50]
    assert len(differing) == samples.DISAGREEMENTS
    # Not the first ones, which may all have one class.
    assert differing[-1] == 49 and chosen[-1] == 99


def test_few_images_are_all_samples():
    same = evaluation([0, 1, 2])
    assert samples.choose_samples(same, same) == [0, 1, 2]
    other = evaluation([1, 2, 3])
    assert samples.choose_samples(same, other) == [0, 1, 2]


def test_sample_has_both_predictions():
    before = evaluation([0, 2], labels=[0, 3])
    after = evaluation([0, 3], labels=[0, 3])
    found = samples.sample(before, after, 1)
    assert found["label"] == 3
    assert found["dense"]["class"] == 2
    assert found["compressed"]["class"] == 3
    assert round(found["dense"]["probability"], 6) == 0.7


def test_sample_images_are_not_preprocessed():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 2, 2, 3)).astype("uint8")
    batches = [
        (image_ops.normalize(pixels[start : start + 4]), None)
        for start in (0, 4)
    ]
    found = samples.sample_images(batches, [1, 3, 5])
    rgb = normalizations.OURS.to_rgb(found)
    np.testing.assert_array_equal(rgb, pixels[[1, 3, 5]])


def test_samples_are_shown_with_the_heat_map_of_a_class(make_model):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 16, 16, 3)).astype("uint8")
    images = image_ops.normalize(pixels).numpy()
    model = make_model()
    found = samples.explain(model, images, [2, 0, 3])
    maps = class_activation.activation_maps(model, images, upsample=True)
    for (image, heat_map), rgb, each, label in zip(
        found, pixels, maps, [2, 0, 3], strict=True
    ):
        np.testing.assert_array_equal(image, rgb)
        expected = class_activation.overlay(rgb, each[..., label])
        np.testing.assert_array_equal(heat_map, expected)


def test_samples_have_no_heat_maps_where_none_can_be_made(caplog):
    caplog.set_level("INFO", "keras_squeezenet")
    images = np.zeros((2, 16, 16, 3), "float32")
    found = samples.explain(quarters.make_two_headed(), images, [0, 1])
    assert [heat_map for _, heat_map in found] == [None, None]
    assert found[0][0].shape == (16, 16, 3)
    assert "The samples have no heat maps: the head" in caplog.text


def test_both_histograms_have_the_same_bins():
    before = {"conv1": np.array([-1.0, 0.5, 1.0, 3.0])}
    after = {"conv1": np.array([0.0, 0.0, 1.0, 1.0])}
    (row,) = samples.histograms(before, after)
    assert row["name"] == "conv1"
    assert (row["edges"][0], row["edges"][-1]) == (-1.0, 3.0)
    assert len(row["edges"]) == samples.BINS + 1
    assert sum(row["before"]) == sum(row["after"]) == 4
    assert row["after"][samples.BINS // 4] == 2
    assert row["before"][0] == row["before"][-1] == 1
