"""Weights from files: one reader a format, assignment by layer name."""

import os

from keras_squeezenet.pretrained import deep_compression
from keras_squeezenet.pretrained import npz

# A reader turns a file into {layer name: (kernel in HWIO, bias)}, float32.
READERS = {".net": deep_compression.read, ".npz": npz.read}
KERAS_SUFFIXES = (".weights.h5", ".keras")


def load_weights(model, source):
    """Loads a weights file into a model, layer by layer.

    A file with a classifier also serves a model without one; a model's layer
    that the file lacks is an error, and nothing is assigned then.

    Args:
        model: `keras.Model` made by a builder of this package.
        source: path of a `.weights.h5` or `.keras` file that Keras wrote, an
            `.npz` of HWIO kernels named `fire2/squeeze1x1/kernel`, or the
            `.net` that Deep Compression's authors released for v1.0.

    Raises:
        ValueError: if the format is not known, or a layer's weights are
            missing or of another shape than the model's.
    """
    source = os.fspath(source)
    if source == "imagenet":
        raise ValueError(
            "`weights='imagenet'` cannot be downloaded by this version yet. "
            "Pass the path of a weights file "
            f"({_known_suffixes()}), or `weights=None`."
        )
    if source.endswith(KERAS_SUFFIXES):
        _load_keras_weights(model, source)
        return
    reader = READERS.get(os.path.splitext(source)[1])
    if reader is None:
        raise ValueError(
            f"The weights file should be one of {_known_suffixes()}. "
            f"Received: weights={source}"
        )
    assign(model, reader(source), source)


def assign(model, arrays, source):
    """Assigns `{layer name: (kernel, bias)}` to a model, all or nothing."""
    found = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        if layer.name not in arrays:
            raise ValueError(
                f"{source} has no weights for layer {layer.name!r}. It has: "
                f"{', '.join(sorted(arrays))}"
            )
        expected = [tuple(weight.shape) for weight in layer.weights]
        received = [array.shape for array in arrays[layer.name]]
        if expected != received:
            raise ValueError(
                f"Layer {layer.name!r} expects weights of shapes {expected}. "
                f"Received: {received} from {source}"
            )
        found[layer] = arrays[layer.name]
    for layer, weights in found.items():
        layer.set_weights(weights)


def _load_keras_weights(model, path):
    before = model.get_weights()
    try:
        model.load_weights(path)
    # Keras and HDF5 have many exceptions for a file that does not fit.
    except Exception as error:
        model.set_weights(before)
        raise ValueError(
            f"{path} should hold the weights of the same network as "
            f"{model.name!r}. Keras says: {error}"
        ) from error


def _known_suffixes():
    return ", ".join((*KERAS_SUFFIXES, *READERS))
