"""Codebooks of shared values: k-means in one dimension.

Reference:
- [Deep Compression](https://arxiv.org/abs/1510.00149) (Han et al., 2016),
  section 3: linear initialization
"""

import numpy as np

ITERATIONS = 50


def kmeans(values: np.ndarray, size: int) -> np.ndarray:
    """Return a sorted codebook of at most `size` values, at least 2.

    The initial centroids divide the range of the values equally. Zero is kept
    as one of the shared values if there are zeros.
    """
    values = np.sort(np.asarray(values, "float64"), axis=None)
    nonzero = values[values != 0]
    has_zeros = len(nonzero) < len(values)
    if not len(nonzero):
        return np.zeros(1, "float32")
    sums = np.concatenate([[0], np.cumsum(nonzero)])
    centroids = np.linspace(nonzero[0], nonzero[-1], size - has_zeros)
    for _ in range(ITERATIONS):
        borders = np.searchsorted(nonzero, (centroids[1:] + centroids[:-1]) / 2)
        borders = np.concatenate([[0], borders, [len(nonzero)]])
        counts = np.diff(borders)
        means = np.diff(sums[borders]) / np.maximum(counts, 1)
        # A centroid without values is dropped.
        moved = means[counts > 0]
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    zeros = [0.0] if has_zeros else []
    return np.unique(np.concatenate([centroids, zeros]).astype("float32"))


def quantize(values: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Return an array with each value replaced by the nearest shared value.

    Zeros stay zero if the sorted codebook has zero, and other values never
    become zero.
    """
    values = np.asarray(values)
    shared = codebook[codebook != 0] if 0 in codebook else codebook
    if not len(shared):
        return np.zeros(values.shape, "float32")
    nearest = np.searchsorted((shared[1:] + shared[:-1]) / 2, values)
    found = shared[nearest].astype("float32")
    return (
        np.where(values == 0, np.float32(0), found) if 0 in codebook else found
    )
