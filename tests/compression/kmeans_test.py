import numpy as np
import pytest

from keras_squeezenet.compression import kmeans


def test_groups_are_found():
    values = np.array([-1.1, -0.9, 0.0, 0.0, 2.0, 2.2, 2.4, 9.0])
    np.testing.assert_allclose(
        kmeans.kmeans(values, 4), [-1, 0, 2.2, 9], rtol=1e-6
    )


@pytest.mark.parametrize("size", [2, 3, 16, 64, 256])
def test_zero_is_exact_and_counts(size):
    values = np.random.default_rng(0).normal(size=5000)
    values[:2500] = 0
    codebook = kmeans.kmeans(values, size)
    assert codebook.dtype == np.float32
    assert 0 in codebook
    assert size / 2 <= len(codebook) <= size
    shared = kmeans.quantize(values, codebook)
    np.testing.assert_array_equal(shared == 0, values == 0)
    assert set(np.unique(shared)) <= set(codebook)


def test_values_without_zeros_get_none():
    values = np.linspace(-1, 1, 100)
    codebook = kmeans.kmeans(values, 4)
    np.testing.assert_allclose(codebook, [-0.75, -0.25, 0.25, 0.75], atol=0.02)


def test_every_value_gets_the_nearest():
    values = np.random.default_rng(0).normal(size=(3, 3, 4, 5))
    codebook = kmeans.kmeans(values, 7)
    nearest = np.abs(values[..., None] - codebook).argmin(-1)
    np.testing.assert_array_equal(
        kmeans.quantize(values, codebook), codebook[nearest]
    )


def test_centroids_are_the_means_of_their_values(monkeypatch):
    monkeypatch.setattr(kmeans, "ITERATIONS", 1000)
    values = np.random.default_rng(0).normal(size=2000)
    codebook = kmeans.kmeans(values, 8)
    nearest = np.abs(values[:, None] - codebook).argmin(-1)
    means = [values[nearest == index].mean() for index in range(8)]
    np.testing.assert_allclose(codebook, means, rtol=1e-5)


def test_few_values_need_no_more():
    assert kmeans.kmeans(np.zeros(9), 4).tolist() == [0]
    assert kmeans.kmeans([0, 0.5, 0.5], 16).tolist() == [0, 0.5]
