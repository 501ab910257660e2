import numpy as np
import pytest

from keras_squeezenet.evaluation import kernel_statistics


def test_statistics_of_a_kernel():
    kernel = np.array([[0, 0, 1, 2], [0, 3, 1, 0]], "float32")
    assert kernel_statistics.measure(
        kernel
    ) == kernel_statistics.KernelStatistics(
        shape=(2, 4), density=0.5, distinct=4, distinct_per_channel=2, bits=2
    )


@pytest.mark.parametrize(
    "distinct, bits", [(1, 1), (2, 1), (3, 2), (16, 4), (17, 5), (256, 8)]
)
def test_bits_number_the_distinct_values(distinct, bits):
    assert kernel_statistics.measure(np.arange(distinct)[:, None]).bits == bits


def test_overall_density_weighs_layers_by_their_size():
    sizes = {"small": np.ones(10), "large": np.zeros(30)}
    assert kernel_statistics.overall_density(sizes) == 0.25
