"""Readers of weights files, one module for each format.

No reader executes anything from a file, follows a link out of it, or unpacks
more than `archive.MAX_BYTES` of it.
"""

import dataclasses
import os
from collections.abc import Callable

from keras_squeezenet.pretrained.readers import caffemodel
from keras_squeezenet.pretrained.readers import deep_compression
from keras_squeezenet.pretrained.readers import keras_h5
from keras_squeezenet.pretrained.readers import npz
from keras_squeezenet.pretrained.readers import sqz
from keras_squeezenet.pretrained.readers import torchvision
from keras_squeezenet.utils import archive


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of weights files.

    Args:
        title: the name of the format in messages.
        read: returns the `{layer name: (kernel, bias)}` in the content of a
            file: float32, kernels in HWIO, with this package's layer names.
        normalization: a key of `normalizations.NORMALIZATIONS`, the usual
            training input of such weights.
        read_normalization: returns the normalization that the content of a
            file names, or `None`. Defaults to `None`: no file of this format
            names one, and the usual one is assumed.
        conv10_padding: the zeros around the input of `conv10` in the networks
            of such weights. Defaults to `None`: those of the variant.
    """

    title: str
    read: Callable[[bytes], dict[str, tuple]]
    normalization: str
    read_normalization: Callable[[bytes], str | None] | None = None
    conv10_padding: int | None = None


# By suffix; the first match counts.
FORMATS = {
    ".weights.h5": Format(
        "Keras weights", keras_h5.read, "caffe", keras_h5.read_normalization
    ),
    ".keras": Format(
        "a Keras model",
        keras_h5.read_archive,
        "caffe",
        keras_h5.read_normalization_of_archive,
    ),
    ".sqz": Format("a .sqz file", sqz.read, "caffe", sqz.read_normalization),
    ".h5": Format(
        "legacy Keras weights",
        keras_h5.read,
        "caffe",
        keras_h5.read_normalization,
    ),
    ".npz": Format(
        "a NumPy archive", npz.read, "caffe", npz.read_normalization
    ),
    ".caffemodel": Format("a Caffe model", caffemodel.read, "squeezenet"),
    ".net": Format(
        "Deep Compression's SqueezeNet v1.0",
        deep_compression.read,
        "squeezenet",
    ),
    **dict.fromkeys(
        (".pth", ".pt"),
        Format(
            "a PyTorch state dict", torchvision.read, "torch", conv10_padding=0
        ),
    ),
}


def get_format(path: "str | os.PathLike") -> Format:
    """Return the format of a file by its suffix, or raise a `ValueError`."""
    for suffix, found in FORMATS.items():
        if os.fspath(path).endswith(suffix):
            return found
    raise ValueError(
        f"The weights file must end with one of {', '.join(FORMATS)}. "
        f"Received: weights={path}"
    )


def read(path: "str | os.PathLike") -> dict[str, tuple]:
    """Return `{layer name: (kernel, bias)}` of a weights file.

    Raises:
        OSError: if there is no such file.
        ValueError: if the format is unknown, or the file is damaged.
    """
    get_format(path)
    return parse(path, archive.read_file(path))


def parse(path: "str | os.PathLike", content: bytes) -> dict[str, tuple]:
    """Parse the content of a weights file, like `read`."""
    return _call(path, get_format(path).read, content)


def parse_normalization(
    path: "str | os.PathLike", content: bytes
) -> str | None:
    """Return the normalization that the content of a file names, if any."""
    read_normalization = get_format(path).read_normalization
    if read_normalization is None:
        return None
    return _call(path, read_normalization, content)


def _call(path, function, content):
    try:
        return function(content)
    # The libraries that parse have many exceptions for damaged content.
    except Exception as error:
        reason = str(error)
        if not isinstance(error, ValueError):
            reason = f"it is damaged ({type(error).__name__} {reason})"
        raise ValueError(
            f"{path} cannot be read as {get_format(path).title}: {reason}"
        ) from error
