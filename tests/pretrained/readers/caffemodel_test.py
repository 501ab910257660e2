import re
import time
import tracemalloc

import numpy as np
import pytest

from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import architecture
from keras_squeezenet import pretrained
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained.readers import caffemodel

V1_0 = architecture.convolutions(architecture.VARIANTS["1.0"])
# Song Han's names for the parts of a Fire module.
SONG_HAN = {
    "squeeze1x1": "conv1x1_1",
    "expand1x1": "conv1x1_2",
    "expand3x3": "conv3x3_2",
}
# As in det1.prototxt, the kernels in HWIO.
DET1 = {
    "conv1": [(3, 3, 3, 10), (10,)],
    "PReLU1": [(10,)],
    "conv2": [(3, 3, 10, 16), (16,)],
    "PReLU2": [(16,)],
    "conv3": [(3, 3, 16, 32), (32,)],
    "PReLU3": [(32,)],
    "conv4-1": [(1, 1, 32, 2), (2,)],
    "conv4-2": [(1, 1, 32, 4), (4,)],
}
DET2 = {
    "conv1": [(3, 3, 3, 28), (28,)],
    "prelu1": [(28,)],
    "conv2": [(3, 3, 28, 48), (48,)],
    "prelu2": [(48,)],
    "conv3": [(2, 2, 48, 64), (64,)],
    "prelu3": [(64,)],
    "conv4": [(576, 128), (128,)],
    "prelu4": [(128,)],
    "conv5-1": [(128, 2), (2,)],
    "conv5-2": [(128, 4), (4,)],
    "conv5-3": [(128, 10), (10,)],
}
MIB = 2**20


def varint(number):
    encoded = b""
    while number > 127:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def packed(field, values, dtype="<f4"):
    return block(field, np.asarray(values, dtype).tobytes())


def unpacked(field, values, dtype="<f4"):
    tag = varint(field << 3 | (5 if dtype == "<f4" else 1))
    return b"".join(tag + np.array(v, dtype).tobytes() for v in values)


def shape(*sides):
    return block(7, block(1, b"".join(map(varint, sides))))


def unpacked_shape(*sides):
    return block(7, b"".join(number(1, side) for side in sides))


def legacy_shape(*sides):
    return b"".join(number(i, side) for i, side in enumerate(sides, start=1))


def layer(name, *blobs):
    """A layer as Caffe writes it since 2014."""
    encoded = block(1, name.encode()) + block(2, b"Convolution")
    return block(100, encoded + b"".join(block(7, blob) for blob in blobs))


def old_layer(name, *blobs):
    """A `V1LayerParameter`: bottom, top, name, type (4 is CONVOLUTION)."""
    encoded = block(2, b"data") + block(3, b"top") + block(4, name.encode())
    encoded += number(5, 4) + b"".join(block(6, blob) for blob in blobs)
    return block(2, encoded)


KERNEL = np.arange(24, dtype="<f4").reshape(2, 3, 1, 4)
BIAS = np.array([7, -8], "<f4")
KERNEL_BLOB = shape(2, 3, 1, 4) + packed(5, KERNEL)
BIAS_BLOB = shape(2) + packed(5, BIAS)


def assert_is_the_layer(found):
    kernel, bias = found
    assert kernel.dtype == bias.dtype == "float32"
    np.testing.assert_array_equal(kernel, KERNEL.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(bias, BIAS)


def encode_v1_0(name_of, encode_layer=layer):
    """Encode v1.0; return the file, and the weights in OIHW by layer."""
    rng = np.random.default_rng(0)
    content, weights = block(1, b"SqueezeNet"), {}
    for convolution in V1_0:
        height, width, inputs, filters = convolution.kernel_shape
        oihw = (filters, inputs, height, width)
        kernel = rng.normal(size=oihw).astype("<f4")
        bias = rng.normal(size=filters).astype("<f4")
        content += encode_layer(
            name_of(convolution.name),
            shape(*oihw) + packed(5, kernel),
            shape(filters) + packed(5, bias),
        )
        content += encode_layer(f"relu_{convolution.name}")
        weights[convolution.name] = kernel, bias
    return content, weights


def papers_name(name):
    return name.replace("_", "/")


def song_hans_name(name):
    for papers, song_hans in SONG_HAN.items():
        name = name.replace(papers, song_hans)
    return "conv_final" if name == "conv10" else name.replace("_", "/", 1)


@pytest.mark.parametrize("name, shapes", [("det1", DET1), ("det2", DET2)])
def test_files_of_caffe_have_the_layers_of_their_prototxt_and_their_numbers(
    name, shapes, shared_data
):
    content = (shared_data / "caffe" / f"{name}.caffemodel").read_bytes()
    arrays = caffemodel.read(content)
    assert {
        layer: [array.shape for array in weights]
        for layer, weights in arrays.items()
    } == shapes
    position = 0
    for weights in arrays.values():
        for array in weights:
            if array.ndim == 4:
                array = array.transpose(3, 2, 0, 1)
            stored = array.T if array.ndim == 2 else array
            # Caffe writes the numbers packed, behind their tag and length.
            start = b"\x2a" + varint(4 * array.size)
            found = content.index(start + stored.tobytes(), position)
            position = found + len(start) + 4 * array.size
    assert position > len(content) - 1000


@pytest.mark.parametrize("encode_layer", [layer, old_layer])
def test_layers_of_both_generations_are_read(encode_layer):
    content = encode_layer("conv1", KERNEL_BLOB, BIAS_BLOB)
    content += encode_layer("relu1") + encode_layer("pool1")
    content += encode_layer("fire2/squeeze1x1", KERNEL_BLOB, BIAS_BLOB)
    arrays = caffemodel.read(content)
    assert list(arrays) == ["conv1", "fire2_squeeze1x1"]
    assert_is_the_layer(arrays["conv1"])
    assert_is_the_layer(arrays["fire2_squeeze1x1"])


@pytest.mark.parametrize(
    "encode, field, dtype",
    [
        (packed, 5, "<f4"),
        (unpacked, 5, "<f4"),
        (packed, 8, "<f8"),
        (unpacked, 8, "<f8"),
    ],
)
@pytest.mark.parametrize("encode_shape", [shape, unpacked_shape])
def test_numbers_are_read_however_they_are_encoded(
    encode, field, dtype, encode_shape
):
    kernel = encode_shape(2, 3, 1, 4) + encode(field, KERNEL.ravel(), dtype)
    bias = encode_shape(2) + encode(field, BIAS, dtype)
    arrays = caffemodel.read(layer("conv1", kernel, bias))
    assert_is_the_layer(arrays["conv1"])


def test_numbers_may_come_before_their_shape_and_in_parts():
    first, second = KERNEL.ravel()[:10], KERNEL.ravel()[10:]
    kernel = packed(5, first) + shape(2, 3, 1, 4) + packed(5, second)
    assert_is_the_layer(
        caffemodel.read(layer("conv1", kernel, BIAS_BLOB))["conv1"]
    )


def test_old_shapes_have_four_sides():
    kernel = legacy_shape(2, 3, 1, 4) + packed(5, KERNEL)
    bias = legacy_shape(1, 1, 1, 2) + packed(5, BIAS)
    arrays = caffemodel.read(old_layer("conv1", kernel, bias))
    assert_is_the_layer(arrays["conv1"])


def test_kernels_of_inner_products_are_transposed():
    kernel = np.arange(6, dtype="<f4").reshape(2, 3)
    for sides in (shape(2, 3), legacy_shape(1, 1, 2, 3)):
        arrays = caffemodel.read(layer("fc", sides + packed(5, kernel)))
        np.testing.assert_array_equal(arrays["fc"][0], kernel.T)


def test_layer_may_have_a_kernel_alone():
    (arrays,) = caffemodel.read(layer("conv1", KERNEL_BLOB)).values()
    assert [array.shape for array in arrays] == [(1, 4, 3, 2)]


def test_unknown_fields_are_skipped():
    unknown = number(15, 2**63) + block(16, b"text") + unpacked(17, [1.0])
    unknown += unpacked(18, [1.0], "<f8")
    kernel = unknown + KERNEL_BLOB + unknown
    content = unknown + layer("conv1", kernel, BIAS_BLOB) + unknown
    assert_is_the_layer(caffemodel.read(content)["conv1"])


@pytest.mark.parametrize("name_of", [papers_name, song_hans_name])
@pytest.mark.parametrize("encode_layer", [layer, old_layer])
def test_whole_network_is_loaded_by_name(name_of, encode_layer, tmp_path):
    content, weights = encode_v1_0(name_of, encode_layer)
    path = tmp_path / "squeezenet_v1.0.caffemodel"
    path.write_bytes(content)
    model = SqueezeNet1_0(weights=None, input_shape=(32, 32, 3))
    # The normalization of this package: nothing is folded.
    opened = pretrained.open_weights(path, normalization="caffe")
    opened.assign_to(model)
    for name, (kernel, bias) in weights.items():
        found = model.get_layer(name).get_weights()
        expected = kernel.transpose(2, 3, 1, 0), bias
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


def test_only_the_ends_of_names_are_put_right():
    names = ("fire2/conv1x1_1", "fire2/conv3x3_2", "conv_final", "conv_final_2")
    content = b"".join(layer(name, BIAS_BLOB) for name in names)
    assert list(caffemodel.read(content)) == [
        "fire2_squeeze1x1",
        "fire2_expand3x3",
        "conv10",
        "conv_final_2",
    ]


@pytest.mark.parametrize(
    "blob, sides, count",
    [
        (shape(2, 3, 1, 4) + packed(5, KERNEL.ravel()[1:]), (2, 3, 1, 4), 23),
        (shape(2) + packed(5, [1, 2, 3]), (2,), 3),
        (shape(2), (2,), 0),
        (shape() + packed(5, BIAS), (), 2),
        (packed(5, BIAS), (0, 0, 0, 0), 2),
        (shape(2**40, 2**40) + packed(5, BIAS), (2**40, 2**40), 2),
        (shape(2**64 - 2) + packed(5, BIAS), (-2,), 2),
        (legacy_shape(1, 1, 1, 3) + packed(5, BIAS), (3,), 2),
        (legacy_shape(1, 1, 3, 1) + packed(5, BIAS), (3, 1), 2),
    ],
)
def test_other_count_than_the_shape_says_is_refused(blob, sides, count):
    message = (
        f"layer 'conv1' must have as many numbers as its shape {sides}. "
        f"Received: {count} numbers"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        caffemodel.read(layer("conv1", blob))


@pytest.mark.parametrize(
    "content", [b"", layer("conv1"), block(1, b"SqueezeNet"), number(100, 1)]
)
def test_network_without_weights_is_refused(content):
    with pytest.raises(ValueError, match="no layer in it has weights"):
        caffemodel.read(content)


@pytest.mark.parametrize(
    "content",
    [
        b"name: 'SqueezeNet'\n",
        b"\x89HDF\r\n\x1a\n",
        # A length behind the end, a number without one, half a group.
        b"\xa2\x06\x7f",
        b"\x08" + b"\xff" * 20,
        b"\x0b",
    ],
)
def test_other_content_is_refused(content, tmp_path):
    path = tmp_path / "weights.caffemodel"
    path.write_bytes(content)
    message = (
        f"{path} cannot be read as a Caffe model: it is not a protocol buffer, "
        "or damaged"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        readers.read(path)


@pytest.mark.parametrize("cut", [1, 3, 8, 20])
def test_truncated_file_is_refused(cut):
    content = layer("conv1", KERNEL_BLOB, BIAS_BLOB)
    with pytest.raises(ValueError, match="not a protocol buffer, or damaged"):
        caffemodel.read(content[:-cut])


def test_numbers_one_by_one_may_be_as_many_as_a_network_has():
    kernel = shape(1000, 512, 1, 1) + b"\x2d\0\0\x80\x3f" * 512_000
    kernel, _ = caffemodel.read(layer("conv10", kernel, BIAS_BLOB))["conv10"]
    assert kernel.shape == (1, 1, 512, 1000)
    assert (kernel == 1).all()


@pytest.mark.parametrize(
    "content",
    [
        b"\xa2\x06\x00" * 1_700_000,
        b"\x12\x00" * 2_500_000,
        block(100, b"\x3a\x00" * 2_500_000),
        layer("conv1", b"\x3a\x00" * 2_500_000),
        layer("conv1", block(7, block(1, b"\x01" * 5_000_000))),
        layer("conv1", BIAS_BLOB) * 200_000,
    ],
    ids=["layers", "old layers", "blobs", "shapes", "dims", "weights"],
)
def test_millions_of_tiny_parts_are_refused_early(content):
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="(at most|as many) "):
            caffemodel.read(content)
        assert tracemalloc.get_traced_memory()[1] < 40 * MIB
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 10
