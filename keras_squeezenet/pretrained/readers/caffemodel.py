"""Reader of `.caffemodel` files: protocol buffers of Caffe's `NetParameter`.

The messages below are the few fields of Caffe's `caffe.proto` that hold names
and weights. The layer names of other prototxts are replaced by the paper's.
"""

import functools
import math
import re

import numpy as np

PACKAGE = "keras_squeezenet.caffe"
# Name, number and type; "*" for repeated. Packed and unpacked numbers are read
# alike. Nested messages are bytes here, to be parsed one at a time: as objects,
# those of a small file could take hundreds of times its size.
MESSAGES = {
    "NetParameter": [("layers", 2, "bytes*"), ("layer", 100, "bytes*")],
    "V1LayerParameter": [("name", 4, "bytes"), ("blobs", 6, "bytes*")],
    "LayerParameter": [("name", 1, "bytes"), ("blobs", 7, "bytes*")],
    "BlobProto": [
        # Old files give the shape in these four fields.
        ("num", 1, "int32"),
        ("channels", 2, "int32"),
        ("height", 3, "int32"),
        ("width", 4, "int32"),
        ("data", 5, "float*"),
        ("shape", 7, "bytes"),
        ("double_data", 8, "double*"),
    ],
    "BlobShape": [("dim", 1, "int64*")],
}
# The deepest networks have a tenth of these.
MAX_LAYERS = 10_000
MAX_BLOBS = 100
MAX_DIMENSIONS = 32
# The names in Song Han's prototxts, and those in the paper.
RENAMED = {
    "conv1x1_1": "squeeze1x1",
    "conv1x1_2": "expand1x1",
    "conv3x3_2": "expand3x3",
    "conv_final": "conv10",
}
_RENAMED_PATTERN = re.compile(f"({'|'.join(RENAMED)})$")


def read(content: bytes) -> dict[str, tuple[np.ndarray, ...]]:
    """Return `{layer name: (kernel, bias)}`, HWIO and float32.

    A layer without a bias has a tuple of one array. The kernels of inner
    products are transposed too.
    """
    net = _parse("NetParameter", content)
    _require_at_most(MAX_LAYERS, len(net.layers) + len(net.layer), "layers")
    layers = {}
    for kind, encoded in (
        *(("V1LayerParameter", layer) for layer in net.layers),
        *(("LayerParameter", layer) for layer in net.layer),
    ):
        layer = _parse(kind, encoded)
        name = _name(layer.name)
        _require_at_most(MAX_BLOBS, len(layer.blobs), f"blobs of {name!r}")
        if layer.blobs:
            layers[name] = tuple(_array(blob, name) for blob in layer.blobs)
    if not layers:
        raise ValueError("no layer in it has weights")
    return layers


def _name(encoded):
    name = encoded.decode().replace("/", "_")
    return _RENAMED_PATTERN.sub(lambda match: RENAMED[match[0]], name)


def _array(encoded, layer):
    blob = _parse("BlobProto", encoded)
    values = blob.data or blob.double_data
    shape = _shape(blob, layer)
    if min(shape, default=1) < 0 or math.prod(shape) != len(values):
        raise ValueError(
            f"layer {layer!r} must have as many numbers as its shape "
            f"{shape}. Received: {len(values)} numbers"
        )
    array = np.fromiter(values, "float32", len(values)).reshape(shape)
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0))
    return np.ascontiguousarray(array.T)


def _shape(blob, layer):
    if blob.HasField("shape"):
        dims = _parse("BlobShape", blob.shape).dim
        _require_at_most(MAX_DIMENSIONS, len(dims), f"sides of {layer!r}")
        return tuple(dims)
    shape = (blob.num, blob.channels, blob.height, blob.width)
    # Old files have (1, 1, 1, n) for a bias, and (1, 1, out, in).
    if shape[:2] == (1, 1):
        return shape[3:] if shape[2] == 1 else shape[2:]
    return shape


def _require_at_most(limit, count, name):
    if count > limit:
        raise ValueError(
            f"it must have at most {limit:,} {name}. Received: {count:,}"
        )


def _parse(name, content):
    from google.protobuf import message

    try:
        return _message_classes()[name].FromString(content)
    except message.DecodeError as error:
        raise ValueError("it is not a protocol buffer, or damaged") from error


@functools.cache
def _message_classes():
    """Return the classes of `MESSAGES`, from a separate descriptor pool."""
    from google.protobuf import descriptor_pb2
    from google.protobuf import descriptor_pool
    from google.protobuf import message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="keras_squeezenet/caffe.proto", package=PACKAGE, syntax="proto2"
    )
    for name, fields in MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, number, kind in fields:
            added = described.field.add(name=field, number=number)
            repeated = kind.endswith("*")
            added.label = (
                added.LABEL_REPEATED if repeated else added.LABEL_OPTIONAL
            )
            added.type = getattr(added, f"TYPE_{kind.rstrip('*').upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
        )
        for name in MESSAGES
    }
