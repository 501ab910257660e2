"""Readers of weights files, one module a format.

None of them executes anything from a file, follows a link out of it, or
unpacks more than `archive.MAX_BYTES` of it.
"""

import dataclasses
import os
from collections.abc import Callable

from keras_squeezenet.pretrained.readers import archive
from keras_squeezenet.pretrained.readers import caffemodel
from keras_squeezenet.pretrained.readers import deep_compression
from keras_squeezenet.pretrained.readers import keras_h5
from keras_squeezenet.pretrained.readers import npz
from keras_squeezenet.pretrained.readers import sqz
from keras_squeezenet.pretrained.readers import torchvision


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of weights files.

    Args:
        title: what a person calls it.
        read: function from the content of a file, bytes, to
            `{layer name: (kernel, bias)}`: float32, kernels in HWIO, the
            layers named as in this package.
        normalization: a key of `normalization.NORMALIZATIONS`, the input
            that such weights usually were trained on.
    """

    title: str
    read: Callable
    normalization: str


# By suffix; the first that fits decides.
FORMATS = {
    ".weights.h5": Format("Keras weights", keras_h5.read, "caffe"),
    ".keras": Format("a Keras model", keras_h5.read_archive, "caffe"),
    ".sqz": Format("a .sqz file", sqz.read, "caffe"),
    ".h5": Format("legacy Keras weights", keras_h5.read, "caffe"),
    ".npz": Format("a NumPy archive", npz.read, "caffe"),
    ".caffemodel": Format("a Caffe model", caffemodel.read, "squeezenet"),
    ".net": Format(
        "Deep Compression's SqueezeNet v1.0",
        deep_compression.read,
        "squeezenet",
    ),
    ".pth": Format("a PyTorch state dict", torchvision.read, "torch"),
    ".pt": Format("a PyTorch state dict", torchvision.read, "torch"),
}


def get_format(path):
    """Returns the `Format` of a file by its suffix.

    Raises:
        ValueError: if no reader knows it.
    """
    for suffix, found in FORMATS.items():
        if os.fspath(path).endswith(suffix):
            return found
    raise ValueError(
        f"The weights file should be one of {', '.join(FORMATS)}. "
        f"Received: weights={path}"
    )


def read(path):
    """Reads a weights file of any known format.

    Args:
        path: path of the file; its suffix tells the format.

    Returns:
        `{layer name: (kernel, bias)}`, float32 arrays, kernels in HWIO.

    Raises:
        OSError: if there is no such file.
        ValueError: if its format is not known, or it is damaged.
    """
    found = get_format(path)
    content = archive.read_file(path)
    try:
        return found.read(content)
    # The libraries that parse have many exceptions for damaged content.
    except Exception as error:
        reason = str(error)
        if not isinstance(error, ValueError):
            reason = f"it is damaged ({type(error).__name__} {reason})"
        raise ValueError(
            f"{path} cannot be read as {found.title}: {reason}"
        ) from error
