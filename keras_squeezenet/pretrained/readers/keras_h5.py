"""Reader of Keras's weights in HDF5, of Keras 3, and of Keras 2 and before.

HDF5's own library is not safe for damaged files: one wrong byte can make it
loop forever. pyfive reads the same files in Python.
"""

import io
import math
import warnings

import numpy as np

from keras_squeezenet import metadata
from keras_squeezenet.pretrained.readers import imgclsmob
from keras_squeezenet.utils import archive

WEIGHTS_OF_ARCHIVE = "model.weights.h5"
LEGACY_LAYERS = "layer_names"
LEGACY_WEIGHTS = "weight_names"
LEGACY_BACKEND = "backend"
# Keras on MXNet writes kernels in the order OIHW.
MXNET = "mxnet"
NORMALIZATION = "normalization"
BFLOAT16 = "bfloat16"
# The group of the weights where a whole model was saved.
LEGACY_ROOT = "model_weights"
# Keras's files have some hundreds. A file with a cycle has more.
MAX_OBJECTS = 2_000
MAX_DEPTH = 50
# SqueezeNet's files take 1,600, a header that refers to itself 65,535.
MAX_READS = 20_000
# The layout of an array in one piece, and the address of missing data.
CONTIGUOUS = 1
UNDEFINED = 2**64 - 1
# Where a file says how long it is, for each version of the superblock.
END_OF_FILE = {0: 40, 2: 28, 3: 28}


def read(content: bytes) -> dict[str, tuple[np.ndarray, ...]]:
    """Return `{layer name: (kernel, bias)}`, HWIO and float32.

    The content is a `.weights.h5` of Keras 3, or an `.h5` of Keras 2 or older,
    whose `fire2/squeeze1x1` becomes `fire2_squeeze1x1`. Those of imgclsmob are
    renamed too.
    """
    with warnings.catch_warnings():
        # About attributes that are not needed.
        warnings.simplefilter("ignore")
        objects = _objects(_open(content))
        root = LEGACY_ROOT if LEGACY_ROOT in objects else ""
        if root or LEGACY_LAYERS in objects[root].attrs:
            arrays = _arrays(_legacy(objects, root))
            return _to_hwio(arrays) if _is_of_mxnet(objects[root]) else arrays
        return _arrays(_keras_3(objects))


def read_archive(content: bytes) -> dict[str, tuple[np.ndarray, ...]]:
    """Return the weights in a `.keras` file, a zip archive; see `read`."""
    with archive.open_zip(content) as opened:
        if WEIGHTS_OF_ARCHIVE not in opened.namelist():
            raise ValueError(
                f"the archive must have {WEIGHTS_OF_ARCHIVE}. Received: "
                f"{', '.join(opened.namelist()[:9]) or 'nothing'}"
            )
        return read(opened.read(WEIGHTS_OF_ARCHIVE))


def read_normalization(content: bytes) -> str | None:
    """Return the attribute `normalization` of the file, if it has one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attributes = _open(content).attrs
        if NORMALIZATION not in attributes:
            return None
        found = attributes[NORMALIZATION]
    return found.decode() if isinstance(found, bytes) else str(found)


def read_normalization_of_archive(content: bytes) -> str | None:
    """Return the normalization in the metadata of a `.keras` file."""
    found = metadata.parse_archive(content)
    return found.normalization if found else None


class _Content(io.BytesIO):
    """File content that stops a reader in an endless loop."""

    reads = 0

    def read(self, *arguments):
        self.reads += 1
        if self.reads > MAX_READS:
            raise ValueError(f"it must have at most {MAX_READS:,} parts")
        return super().read(*arguments)


def _open(content):
    import pyfive

    opened = pyfive.File(_Content(content))
    # pyfive would fill an array that the file lacks a part of.
    place = END_OF_FILE[content[8]]
    size = int.from_bytes(content[place : place + 8], "little")
    if size > len(content):
        raise ValueError(
            f"it must have {size:,} bytes. Received: {len(content):,} bytes, "
            "a part of the file"
        )
    return opened


def _objects(file):
    import pyfive

    found = {}
    pending = [("", file)]
    for path, opened in pending:
        found[path] = opened
        if len(pending) > MAX_OBJECTS or path.count("/") > MAX_DEPTH:
            raise ValueError(
                f"it must have at most {MAX_OBJECTS:,} objects, in groups "
                f"{MAX_DEPTH} deep"
            )
        if isinstance(opened, pyfive.Group):
            # Lazily, without the index of data sets in chunks.
            pending += [
                (f"{path}/{name}".lstrip("/"), opened.get_lazy_view(name))
                for name in opened
            ]
    return found


def _legacy(objects, root):
    layers = {}
    names = _strings(objects, root, LEGACY_LAYERS)
    renamed = imgclsmob.rename(names)
    for layer in names:
        path = f"{root}/{layer}".lstrip("/")
        weights = _strings(objects, path, LEGACY_WEIGHTS)
        if weights:
            name = renamed.get(layer) or layer.replace("/", "_")
            layers[name] = [
                _dataset(objects, f"{path}/{weight}") for weight in weights
            ]
    return layers


def _is_of_mxnet(group):
    backend = group.attrs.get(LEGACY_BACKEND, "")
    return backend in (MXNET, MXNET.encode())


def _to_hwio(arrays):
    return {
        layer: tuple(
            np.ascontiguousarray(a.transpose(2, 3, 1, 0)) if a.ndim == 4 else a
            for a in weights
        )
        for layer, weights in arrays.items()
    }


def _keras_3(objects):
    layers = {}
    for path, group in objects.items():
        parts = path.split("/")
        if parts[-1] == "vars" and "layers" in parts and len(group):
            (layer,) = _strings(objects, path, "name")
            if layer in layers:
                raise ValueError(f"it has several layers called {layer!r}")
            layers[layer] = [
                _dataset(objects, f"{path}/{index}")
                for index in range(len(group))
            ]
    if not layers:
        raise ValueError(
            "it must have the weights of layers, as Keras writes them. "
            f"Received: {', '.join(list(objects)[1:10]) or 'nothing'}"
        )
    return layers


def _strings(objects, path, attribute):
    attributes = _object(objects, path).attrs
    if attribute not in attributes:
        raise ValueError(
            f"{path or 'the file'} must have the attribute {attribute}, as "
            "Keras 2 and Keras 3.6 and later write it"
        )
    return [
        text.decode() if isinstance(text, bytes) else str(text)
        for text in np.ravel(attributes[attribute])
    ]


def _dataset(objects, path):
    """Return a contiguous data set of floats."""
    import pyfive

    dataset = _object(objects, path)
    if not isinstance(dataset, pyfive.Dataset):
        raise ValueError(f"{path} must be a data set, not a group")
    if dataset.dtype.kind != "f" and not _is_bfloat16(dataset):
        raise ValueError(f"{path} must hold floats. Received: {dataset.dtype}")
    if (
        dataset.id.layout_class != CONTIGUOUS
        or dataset.id.data_offset == UNDEFINED
    ):
        raise ValueError(f"{path} must be one piece of the file")
    return dataset


def _object(objects, path):
    if path not in objects:
        raise ValueError(f"{path} is missing")
    return objects[path]


def _arrays(layers):
    archive.require_size(
        sum(
            math.prod(map(int, dataset.shape)) * dataset.dtype.itemsize
            for datasets in layers.values()
            for dataset in datasets
        ),
        "the data sets",
    )
    return {
        layer: tuple(map(_float32, datasets))
        for layer, datasets in layers.items()
    }


def _float32(dataset):
    array = dataset[()]
    if _is_bfloat16(dataset):
        # They are the upper halves of float32.
        array = (array.view("<u2").astype("<u4") << 16).view("<f4")
    return np.asarray(array, "float32")


def _is_bfloat16(dataset):
    # HDF5 has no such type: Keras writes two bytes, and the name.
    named = dataset.attrs.get("dtype") in (BFLOAT16, BFLOAT16.encode())
    return dataset.dtype == "V2" and named
