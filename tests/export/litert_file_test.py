import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.export import litert_file
from keras_squeezenet.utils import archive

KERNEL = np.arange(9 * 3 * 4).reshape(3, 3, 3, 4).astype("float32")
DAMAGED = "^it is damaged: its tables cannot be read. Copy or convert it again"


@pytest.fixture(scope="module")
def content():
    """A file with one convolution, whose operation is in the layer `conv1`."""

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3))])
    def convolve(images):
        with tf.name_scope("conv1"):
            return tf.nn.conv2d(images, KERNEL, 1, "VALID", name="Conv2D")

    function = convolve.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()


def test_kernel_is_read_by_the_name_of_its_layer(content):
    kernels = litert_file.read_kernels(content)
    assert list(kernels) == ["conv1"]
    np.testing.assert_array_equal(kernels["conv1"], KERNEL)


@pytest.mark.parametrize("length", [0, 10, 100, 1000])
def test_part_of_a_file_is_damaged(length, content):
    assert len(content) > 1000
    with pytest.raises(ValueError, match=DAMAGED):
        litert_file.read_kernels(content[:length])
    with pytest.raises(ValueError, match=DAMAGED):
        litert_file.read_kernels(b"\xff" * length)


def test_changed_bytes_are_read_or_damaged(content):
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        changed = np.frombuffer(content, "uint8").copy()
        start = rng.integers(len(changed) - 4)
        changed[start : start + 4] = rng.integers(0, 256, 4)
        try:
            litert_file.read_kernels(changed.tobytes())
        except ValueError as error:
            assert str(error).startswith(DAMAGED[1:])
            refused += 1
    assert 0 < refused < 500


def test_work_is_limited(content, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", KERNEL.nbytes - 1)
    with pytest.raises(
        ValueError, match="the kernels must have at most 431 by"
    ):
        litert_file.read_kernels(content)
    monkeypatch.setattr(litert_file, "MAX_OPERATORS", 0)
    with pytest.raises(ValueError, match=DAMAGED):
        litert_file.read_kernels(content)
