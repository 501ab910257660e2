import re
import tracemalloc

import numpy as np
import pytest

from keras_squeezenet import architecture
from keras_squeezenet.pretrained.readers import deep_compression

V1_0 = architecture.convolutions(architecture.VARIANTS["1.0"])
FLOATS = np.arange(256, dtype="<f4") / 8


def encode(coded):
    """Encode a `.net` of v1.0 from `{layer name: [(gap, code), ...]}`."""
    counts = [len(coded.get(layer.name, ())) for layer in V1_0]
    content = np.array(counts, "<u4").tobytes()
    for number, layer in enumerate(V1_0, start=1):
        pairs = coded.get(layer.name, [])
        gaps = [gap for gap, _ in pairs] + [0] * (len(pairs) % 2)
        content += FLOATS.tobytes()
        content += np.full(layer.filters, number, "<f4").tobytes()
        content += bytes(code for _, code in pairs)
        content += bytes(
            low + 16 * high
            for low, high in zip(gaps[::2], gaps[1::2], strict=True)
        )
    return content


@pytest.fixture(scope="module")
def released(shared_data):
    path = shared_data / "weights" / "compressed_SqueezeNet.net"
    return deep_compression.read(path.read_bytes())


def test_released_file_has_the_published_density(released):
    kernels = [kernel for kernel, _ in released.values()]
    assert sum(kernel.size for kernel in kernels) == 1_244_448
    assert sum(np.count_nonzero(kernel) for kernel in kernels) == 415_921


def test_released_layers_have_the_densities_of_table_1(released):
    pruned = {
        **{f"fire{i}_expand3x3": 33 for i in range(2, 8)},
        **{"fire6_expand1x1": 50, "fire7_squeeze1x1": 50},
        **{"fire8_expand1x1": 50, "fire8_expand3x3": 30},
        **{"fire9_squeeze1x1": 50, "fire9_expand3x3": 30},
        "conv10": 20,
    }
    for layer, (kernel, _) in released.items():
        percent = 100 * np.count_nonzero(kernel) / kernel.size
        # A few weights of the layers that are not pruned are coded as zero.
        tolerance = 0.2 if layer in pruned else 1.5
        expected = pytest.approx(pruned.get(layer, 100), abs=tolerance)
        assert percent == expected, layer


def test_released_layers_share_at_most_256_values(released):
    for layer, (kernel, _) in released.items():
        # Weights that are not coded add the value zero.
        assert len(np.unique(kernel)) <= 257, layer


def test_layers_have_the_shapes_of_v1_0():
    assert {
        name: [array.shape for array in arrays]
        for name, arrays in deep_compression.read(encode({})).items()
    } == {layer.name: [layer.kernel_shape, (layer.filters,)] for layer in V1_0}


def test_gaps_and_codes_place_the_weights():
    coded = {
        "fire2_expand3x3": [(0, 1), (2, 5), (15, 0), (3, 7)],
        "conv10": [(1, 255)],
    }
    arrays = deep_compression.read(encode(coded))
    kernel, _ = arrays["fire2_expand3x3"]
    assert kernel.shape == (3, 3, 16, 64)
    assert kernel.dtype == "float32"
    # Positions 0, 3 and 23, with 9 weights for each input channel.
    assert kernel[0, 0, 0, 0] == FLOATS[1]
    assert kernel[1, 0, 0, 0] == FLOATS[5]
    assert kernel[1, 2, 2, 0] == FLOATS[7]
    assert np.count_nonzero(kernel) == 3
    kernel, _ = arrays["conv10"]
    assert kernel[0, 0, 1, 0] == FLOATS[255]
    assert np.count_nonzero(kernel) == 1


def test_biases_are_read_layer_by_layer():
    arrays = deep_compression.read(encode({"conv1": [(0, 1)] * 7}))
    assert list(arrays) == [layer.name for layer in V1_0]
    for number, layer in enumerate(V1_0, start=1):
        _, bias = arrays[layer.name]
        np.testing.assert_array_equal(bias, np.full(layer.filters, number))
        assert bias.dtype == "float32"


@pytest.mark.parametrize(
    "coded, last",
    [([(15, 0)] * 95 + [(15, 9)], FLOATS[9]), ([(0, 3)] * 1536, FLOATS[3])],
)
def test_last_weight_of_a_layer_may_be_coded(coded, last):
    arrays = deep_compression.read(encode({"fire2_squeeze1x1": coded}))
    kernel, _ = arrays["fire2_squeeze1x1"]
    assert kernel.shape == (1, 1, 96, 16)
    assert kernel[0, 0, 95, 15] == last


def test_position_after_the_last_weight_is_refused():
    coded = {"fire2_squeeze1x1": [(15, 1)] * 96 + [(0, 1)]}
    message = (
        "layer 'fire2_squeeze1x1' must have positions below 1536. "
        "Received: 1536"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        deep_compression.read(encode(coded))


@pytest.mark.parametrize("length", [0, 3, 50, 104, 5_000, -1])
def test_truncated_net_is_refused(length):
    content = encode({"conv10": [(0, 1)]})[:length]
    message = (
        rf"it must have at least \d+ bytes\. Received: {len(content)} bytes"
    )
    with pytest.raises(ValueError, match=message):
        deep_compression.read(content)


def test_impossible_count_is_refused():
    message = (
        "layer 'conv1' must have at most 14112 codes. Received: 4294967295"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        deep_compression.read(b"\xff\xff\xff\xff" + encode({})[4:])


def test_more_codes_than_weights_take_no_memory():
    count = 10_000_000
    content = count.to_bytes(4, "little") + encode({})[4:] + bytes(2 * count)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="at most 14112 codes"):
            deep_compression.read(content)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_overlong_net_is_refused():
    content = encode({"conv10": [(0, 1)]})
    message = (
        f"it must have {len(content)} bytes. Received: {len(content) + 1} bytes"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        deep_compression.read(content + b"\0")
