import contextlib

import numpy as np
import pytest
import quarters
import tensorflow as tf

from keras_squeezenet import compression
from keras_squeezenet import preprocess_input
from keras_squeezenet.compression import sensitivity
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.data import decode
from keras_squeezenet.data import splits
from keras_squeezenet.utils.progress import Progress

DENSITIES = (0.5,)
BITS = (2,)


@pytest.fixture(autouse=True)
def untraced():
    """Run eagerly: tracing each of 26 networks would take most of the time."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.normal(scale=60, size=(16, 16, 16, 3)).astype("float32")


@pytest.fixture(scope="module")
def labels():
    return np.arange(16) % 4


class Listener(Progress):
    def __init__(self, advance):
        self.advance = advance

    @contextlib.contextmanager
    def task(self, name, steps):
        self.steps = steps
        yield self.advance


def scan(model, images, labels, **options):
    return sensitivity.scan(
        model, images, labels, DENSITIES, BITS, batch_size=8, **options
    )


def divergence(expected, received):
    # A probability may be 0.
    expected = np.maximum(expected.astype("float64"), 1e-12)
    received = np.maximum(received.astype("float64"), 1e-12)
    return np.mean(np.sum(expected * np.log(expected / received), axis=1))


@pytest.mark.parametrize("bypass", [None, "complex"])
def test_scan_measures_the_outputs_of_changed_networks(
    bypass, make_model, randomize, images, labels
):
    model = randomize(make_model(bypass=bypass))
    conv10 = model.get_layer("conv10")
    # The logits of random weights are far apart.
    conv10.kernel.assign(conv10.kernel / 50)
    before = model.get_weights()
    calls = []
    progress = Listener(lambda **metrics: calls.append(metrics))
    found = scan(model, images, labels, progress=progress)
    assert progress.steps == len(calls) == 2 * len(found["layers"])
    np.testing.assert_equal(before, model.get_weights())
    expected = model.predict_on_batch(images)
    assert found["images"] == 16
    assert found["accuracy"] == np.mean(expected.argmax(1) == labels)
    kernels = tf_keras_twin.kernels(model)
    assert [row["name"] for row in found["layers"]] == list(kernels)
    assert max(row["bits"][0]["kl"] for row in found["layers"]) > 0
    for row in found["layers"]:
        name, kernel = row["name"], kernels[row["name"]]
        assert row["weights"] == kernel.size
        threshold = np.sort(np.abs(kernel), axis=None)[-round(kernel.size / 2)]
        model.get_layer(name).kernel.assign(
            np.where(np.abs(kernel) < threshold, 0, kernel)
        )
        outputs = model.predict_on_batch(images)
        half = row["densities"][0]
        assert half["density"] == 0.5
        assert half["accuracy"] == np.mean(outputs.argmax(1) == labels)
        assert half["kl"] == pytest.approx(
            divergence(expected, outputs), rel=1e-3, abs=1e-6
        )
        model.get_layer(name).kernel.assign(kernel)


def test_weights_stay_when_a_scan_is_stopped(make_model, images, labels):
    model = make_model()
    before = model.get_weights()

    def stop(**metrics):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(model, images, labels, progress=Listener(stop))
    np.testing.assert_equal(before, model.get_weights())


@pytest.mark.parametrize("form", ["arrays", "batches", "dataset"])
def test_images_of_any_data_are_scanned(form, make_model, dataset, monkeypatch):
    images, labels = quarters.make_images(40, 0)
    data = {
        "arrays": (preprocess_input(images.astype("float32")), labels),
        "batches": dataset.test_batches(8),
        "dataset": dataset,
    }[form]

    def scan(model, images, labels, densities, bits, progress):
        assert images.shape == (4, 16, 16, 3) and labels.shape == (4,)
        assert (densities, bits) == ([0.5], [])
        return {"images": 4, "accuracy": 0.5, "layers": [{"name": "conv1"}]}

    monkeypatch.setattr(sensitivity, "scan", scan)
    found = compression.scan_sensitivity(
        make_model(), data, densities=[0.5], bits=[], images=4
    )
    assert found == compression.SensitivityResult(4, 0.5, [{"name": "conv1"}])
    assert found.to_json()["layers"] == found.layers


def test_image_that_cannot_be_decoded_is_named(make_model, broken_dataset):
    with pytest.raises(decode.UnreadableImageError, match="png cannot be read"):
        sensitivity.scan_sensitivity(make_model(), broken_dataset)


def test_pruned_kernel_keeps_its_largest_weights():
    kernel = np.array([[0.5, -2.0], [1.0, -0.25]], "float32")
    np.testing.assert_array_equal(
        sensitivity.prune(kernel, 0.5), [[0, -2], [1, 0]]
    )
    np.testing.assert_array_equal(
        sensitivity.prune(kernel, 0.01), [[0, -2], [0, 0]]
    )
    np.testing.assert_array_equal(sensitivity.prune(kernel, 1), kernel)


def test_shared_kernel_has_as_many_values_as_its_bits_allow():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 8, 8)).astype("float32")
    assert len(np.unique(sensitivity.share(kernel, 3))) == 8
    half = sensitivity.prune(kernel, 0.5)
    shared = sensitivity.share(half, 3)
    assert len(np.unique(shared)) == 8
    np.testing.assert_array_equal(shared == 0, half == 0)


@pytest.mark.parametrize(
    "count,expected",
    [
        (3, [0, 3, 6]),
        (4, [0, 2, 5, 7]),
        (6, [0, 1, 3, 5, 6, 8]),
        (99, range(10)),
    ],
)
def test_images_are_chosen_at_equal_distances(count, expected):
    """In a folder the first images are those of the first classes."""
    batches = tf.data.Dataset.from_tensor_slices(
        (np.arange(20.0).reshape(10, 2), np.arange(10))
    ).batch(4)
    split = splits.Split(lambda epoch: batches, steps=3, size=10)
    chosen, labels = sensitivity.choose(split, count)
    assert labels.tolist() == list(expected)
    assert chosen[:, 0].tolist() == [2 * label for label in expected]
