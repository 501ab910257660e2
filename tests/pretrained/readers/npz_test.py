import functools
import io
import pickle
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from contents import zip_archive

from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained.readers import npz

RELEASED = "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz"
KERNEL = np.arange(24, dtype="<f4").reshape(1, 2, 3, 4)
BIAS = np.arange(4, dtype="<f4")
MIB = 2**20


def encode(arrays, save=np.savez):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


encode_members = functools.partial(zip_archive, method=zipfile.ZIP_STORED)


def encode_header(header, data, version=1):
    """Encode one layer, whose kernel has this header."""
    header = header.encode().ljust(117) + b"\n"
    kernel = b"\x93NUMPY" + bytes([version, 0])
    kernel += struct.pack("<H" if version == 1 else "<I", len(header))
    bias = io.BytesIO()
    np.save(bias, BIAS)
    return encode_members(
        {
            "conv1/kernel.npy": kernel + header + data,
            "conv1/bias.npy": bias.getvalue(),
        }
    )


def header_of(shape, descr="<f4", fortran_order=False):
    return (
        f"{{'descr': {descr!r}, 'fortran_order': {fortran_order}, "
        f"'shape': {shape}, }}"
    )


def test_released_file_has_the_parameters_of_v1_1(shared_data):
    arrays = npz.read((shared_data / "weights" / RELEASED).read_bytes())
    assert sum(kernel.size + bias.size for kernel, bias in arrays.values()) == (
        1_235_496
    )
    assert arrays["fire9_expand3x3"][0].shape == (3, 3, 64, 256)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_keys_name_the_layers(save):
    content = encode(
        {
            "conv1/kernel": KERNEL,
            "conv1/bias": BIAS,
            "fire2/squeeze1x1/bias": BIAS + 1,
            "fire2/squeeze1x1/kernel": KERNEL + 1,
            "mean": np.zeros(3),
        },
        save,
    )
    arrays = npz.read(content)
    assert sorted(arrays) == ["conv1", "fire2_squeeze1x1"]
    np.testing.assert_array_equal(arrays["conv1"][0], KERNEL)
    np.testing.assert_array_equal(arrays["fire2_squeeze1x1"][0], KERNEL + 1)
    np.testing.assert_array_equal(arrays["fire2_squeeze1x1"][1], BIAS + 1)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_other_floats_and_orders_become_float32_in_c_order(dtype, order):
    kernel = np.asarray(KERNEL, dtype, order=order)
    content = encode({"conv1/kernel": kernel, "conv1/bias": BIAS})
    ((found, bias),) = npz.read(content).values()
    assert found.dtype == bias.dtype == "float32"
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, KERNEL)


def test_second_version_of_the_format_is_read():
    content = encode_header(header_of((4,)), BIAS.tobytes(), version=2)
    np.testing.assert_array_equal(npz.read(content)["conv1"][0], BIAS)


def test_kernel_without_a_bias_is_refused():
    message = (
        "conv1/kernel must have conv1/bias beside it. Received: conv1/kernel"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        npz.read(encode({"conv1/kernel": KERNEL}))


@pytest.mark.parametrize(
    "arrays, found",
    [({}, "none"), ({"a": BIAS, "conv1/bias": BIAS}, "a, conv1/bias")],
)
def test_archive_without_kernels_is_refused(arrays, found):
    message = (
        f"it must have keys such as fire2/squeeze1x1/kernel. Received: {found}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        npz.read(encode(arrays))


@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64", "S4"])
def test_other_types_than_floats_are_refused(dtype):
    content = encode({"conv1/kernel": KERNEL.astype(dtype), "conv1/bias": BIAS})
    with pytest.raises(ValueError, match="conv1/kernel must hold floats"):
        npz.read(content)


class Explosive:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was executed",))


def test_pickled_objects_are_refused_and_not_loaded():
    kernel = np.empty(1, object)
    kernel[0] = Explosive()
    content = encode({"conv1/kernel": kernel, "conv1/bias": BIAS})
    with pytest.raises(ValueError, match="must hold floats. Received: object"):
        npz.read(content)


def test_pickle_instead_of_an_array_is_refused_and_not_loaded():
    content = encode_members(
        {
            "conv1/kernel.npy": pickle.dumps(Explosive()),
            "conv1/bias.npy": pickle.dumps(Explosive()),
        }
    )
    with pytest.raises(ValueError, match="magic string is not correct"):
        npz.read(content)


@pytest.mark.parametrize(
    "shape",
    [
        (2**40,),
        (2**62, 4),
        (2**100,),
        (5,),
        (3,),
        (-1,),
        (-2, -2),
        (-4, 1, -1),
        (0, 2**62),
        (),
    ],
)
def test_shape_of_another_size_than_the_data_is_refused(shape):
    content = encode_header(header_of(shape), BIAS.tobytes())
    message = (
        f"conv1/kernel must have the bytes of shape {shape} and dtype "
        "float32. Received: 16 bytes"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        npz.read(content)


@pytest.mark.parametrize("shape", [(0, 2**62), (2**62, 0, 4), (0,) * 65])
def test_empty_array_of_an_absurd_shape_is_refused(shape):
    with pytest.raises(ValueError):
        npz.read(encode_header(header_of(shape), b""))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "1",
        "{}",
        "print('executed')",
        "(" * 100,
        "-" * 110 + "1",
        header_of((4,), descr="no type"),
        header_of("4"),
        header_of((4.0,)),
    ],
)
@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz`")
def test_damaged_header_is_refused(header, tmp_path):
    path = tmp_path / "weights.npz"
    path.write_bytes(encode_header(header, BIAS.tobytes()))
    with pytest.raises(ValueError, match="cannot be read as a NumPy archive"):
        readers.read(path)


def test_unknown_version_of_the_format_is_refused():
    content = encode_members(
        {"conv1/kernel.npy": b"\x93NUMPY\x03\x00" + bytes(200)}
    )
    message = "version 1.0 or 2.0 of NumPy's format. Received: (3, 0)"
    with pytest.raises(ValueError, match=re.escape(message)):
        npz.read(content)


def test_array_larger_than_any_network_is_refused_without_unpacking_it():
    zeros = np.zeros(17 * MIB, "float32")
    content = encode({"conv1/kernel": zeros}, np.savez_compressed)
    assert len(content) < MIB
    del zeros
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError,
            match="the members of the archive must have at most 67,108,864",
        ):
            npz.read(content)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()
