"""Small weights files of every format that is read."""

import io
import pickle
import struct
import zipfile

import h5py
import numpy as np

from keras_squeezenet import architecture
from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import sqz
from keras_squeezenet.pretrained.readers import torch_pickle

KERNEL = np.arange(6, dtype="<f4").reshape(1, 1, 3, 2)
BIAS = np.arange(2, dtype="<f4")


def npz():
    file = io.BytesIO()
    np.savez(file, **{"conv1/kernel": KERNEL, "conv1/bias": BIAS})
    return file.getvalue()


def keras_3():
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        variables = opened.create_group("layers/conv2d/vars")
        variables.attrs["name"] = "conv1"
        variables["0"], variables["1"] = KERNEL, BIAS
    return file.getvalue()


def keras_archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("model.weights.h5", keras_3())
    return file.getvalue()


def legacy_h5():
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.attrs["layer_names"] = [b"conv1", b"pool1"]
        for layer in ("conv1", "pool1"):
            opened.create_group(layer).attrs["weight_names"] = []
        opened["conv1"].attrs["weight_names"] = [b"kernel:0", b"bias:0"]
        opened["conv1/kernel:0"], opened["conv1/bias:0"] = KERNEL, BIAS
    return file.getvalue()


def caffemodel():
    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    shape = field(7, field(1, bytes([2, 3, 1, 1])))
    blobs = field(7, shape + field(5, KERNEL.tobytes()))
    blobs += field(7, field(7, field(1, b"\2")) + field(5, BIAS.tobytes()))
    layer = field(1, b"conv1") + blobs
    # Field 100 takes two bytes.
    return b"\xa2\x06" + bytes([len(layer)]) + layer


def net():
    layers = architecture.convolutions(architecture.VARIANTS["1.0"])
    content = struct.pack("<26I", 3, *[0] * 25)
    for number, layer in enumerate(layers):
        content += bytes(4 * 256 + 4 * layer.filters)
        content += b"\1\2\3\x21\x04" if number == 0 else b""
    return content


def state_dict():
    def number(value):
        return b"K" + bytes([value])

    def tensor(key, shape, strides):
        storage = (
            b"((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0%dX\3\0\0\0cpu"
            b"K\6tQ" % key
        )
        sides = b"(" + b"".join(map(number, shape)) + b"t"
        steps = b"(" + b"".join(map(number, strides)) + b"t"
        name = b"ctorch._utils\n_rebuild_tensor_v2\n"
        return name + storage + b"K\0" + sides + steps + b"tR"

    return (
        b"\x80\2}(X\x11\0\0\0features.0.weight"
        + tensor(0, (2, 3, 1, 1), (3, 1, 1, 1))
        + b"X\x0f\0\0\0features.0.bias"
        + tensor(1, (2,), (1,))
        + b"u."
    )


def torch_zip():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("net/data.pkl", state_dict())
        opened.writestr("net/data/0", KERNEL.tobytes())
        opened.writestr("net/data/1", BIAS.tobytes())
    return file.getvalue()


def torch_legacy():
    content = torch_pickle.LEGACY_START
    content += pickle.dumps({"little_endian": True}, 2)
    content += state_dict() + pickle.dumps(["0", "1"], 2)
    for values in (KERNEL, BIAS):
        content += struct.pack("<q", values.size) + values.tobytes()
    return content


def sqz_file():
    return sqz.dump(
        {},
        {
            "conv1/kernel": encodings.lossless(KERNEL),
            "conv1/bias": encodings.lossless(BIAS),
        },
    )


# The suffix and the content of each.
FILES = {
    "sqz": (".sqz", sqz_file()),
    "npz": (".npz", npz()),
    "keras_3": (".weights.h5", keras_3()),
    "keras_archive": (".keras", keras_archive()),
    "legacy_h5": (".h5", legacy_h5()),
    "caffemodel": (".caffemodel", caffemodel()),
    "net": (".net", net()),
    "torch_zip": (".pth", torch_zip()),
    "torch_legacy": (".pt", torch_legacy()),
}
