"""Pretrained weights: public sources by name, files by path."""

import dataclasses
import os

import numpy as np

from keras_squeezenet import architecture
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import normalizations
from keras_squeezenet.pretrained import packaged
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained import sources
from keras_squeezenet.pretrained.readers import archive

FIRST_LAYER = "conv1"


@dataclasses.dataclass(frozen=True)
class Resolved:
    """What a builder needs to know of its `weights`.

    Args:
        path: `str`, the weights' file.
        normalization: a key of `normalization.NORMALIZATIONS`, or `None`
            where the file's format decides.
        config: `SqueezeNetConfig` of the network that they fit.
    """

    path: str
    normalization: str | None
    config: architecture.SqueezeNetConfig


def resolve(weights, config, include_top=True):
    """Finds the file of a builder's `weights`, downloading it if need be.

    A path of a public source's file is taken as the source's name is.

    Args:
        weights: a name of `sources.NAMES` or `packaged.WEIGHTS`, or the path
            of a file.
        config: `SqueezeNetConfig` of the network to load them into.
        include_top: whether the classifier's weights are needed. Defaults to
            `True`.

    Returns:
        A `Resolved`. Its `config` is the given one but for the padding of
        `conv10`, where the weights were trained with another.

    Raises:
        ValueError: if there are no such weights for this network.
        OSError: if they cannot be had.
    """
    own = packaged.find(weights)
    if own:
        return Resolved(own.path, None, own.fitting(config))
    if weights in sources.NAMES:
        source = sources.find(weights, config)
        path = download.fetch(_choose(source, include_top))
    else:
        path = os.fspath(weights)
        source = sources.identify(archive.read_file(path))
    if source is None:
        return Resolved(path, None, config)
    if source.conv10_padding is not None:
        config = dataclasses.replace(
            config, conv10_padding=source.conv10_padding
        )
    return Resolved(path, source.normalization, config)


def load_weights(model, path, normalization=None):
    """Loads a weights file into a model, layer by layer.

    A file with a classifier also serves a model without one. If a layer of
    the model is not in the file, or has another shape there, it is an error,
    and nothing is assigned.

    Args:
        model: `keras.Model` made by a builder of this package.
        path: path of a file in a format of `readers.FORMATS`.
        normalization: a key of `normalization.NORMALIZATIONS`, the input
            that the weights were trained on; it is folded into `conv1`, so
            that the model takes what `preprocess_input` gives. Defaults to
            the one of the file's format.

    Raises:
        OSError: if there is no such file.
        ValueError: if the format is not known, the file is damaged, or does
            not fit the model.
    """
    path = os.fspath(path)
    arrays = readers.read(path)
    trained_on = normalization or readers.get_format(path).normalization
    assign(model, fold(arrays, trained_on), path)


def fold(arrays, trained_on):
    """Folds an input normalization into the first of the layers' weights.

    Args:
        arrays: `{layer name: (kernel, bias)}`.
        trained_on: a key of `normalization.NORMALIZATIONS`.

    Returns:
        A dict like `arrays`, for input that `preprocess_input` made.
    """
    normalization = normalizations.get(trained_on)
    if len(arrays.get(FIRST_LAYER, ())) != 2:
        return arrays
    folded = normalizations.fold(*arrays[FIRST_LAYER], normalization)
    return {**arrays, FIRST_LAYER: folded}


def assign(model, arrays, source):
    """Assigns `{layer name: (kernel, bias)}` to a model, all or nothing.

    Args:
        model: `keras.Model`.
        arrays: dict of layer name to the layer's arrays.
        source: what to call the arrays in errors.

    Raises:
        ValueError: if a layer is missing, or its arrays have other shapes
            or values that are not finite.
    """
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
        if not all(np.isfinite(array).all() for array in arrays[layer.name]):
            raise ValueError(
                f"Layer {layer.name!r} expects finite weights. Received: NaN "
                f"or infinity from {source}"
            )
        found[layer] = arrays[layer.name]
    for layer, weights in found.items():
        layer.set_weights(weights)


def infer_network(arrays):
    """Returns `(variant, classes)` of the network that weights are of.

    Args:
        arrays: `{layer name: (kernel, bias)}`.

    Returns:
        A key of `architecture.VARIANTS`, and the number of classes, or `None`
        without the classifier. The simple bypass has the weights of v1.0 and
        is called that.

    Raises:
        ValueError: if they are of no variant.
    """
    received = {
        name: [array.shape for array in weights]
        for name, weights in arrays.items()
    }
    conv10 = received.get("conv10")
    classes = conv10[-1][-1] if conv10 and conv10[-1] else None
    for variant, config in architecture.VARIANTS.items():
        convolutions = architecture.convolutions(
            config, classes=classes, include_top=classes is not None
        )
        if received == {
            convolution.name: [convolution.kernel_shape, (convolution.filters,)]
            for convolution in convolutions
        }:
            return variant, classes
    raise ValueError(
        "The weights should be of one of the networks "
        f"{', '.join(architecture.VARIANTS)}. Received: "
        + ", ".join(f"{name} {shapes}" for name, shapes in received.items())
    )


def identify_network(path, arrays):
    """Does what `infer_network` does for the weights of a file.

    Of a public source's file the source tells the variant: the simple bypass
    has the weights of v1.0.

    Args:
        path: path of the file.
        arrays: what `readers.read` made of it.
    """
    variant, classes = infer_network(arrays)
    source = sources.identify(archive.read_file(path))
    return source.variant if source else variant, classes


def _choose(source, include_top):
    """The file without the classifier, if it would be a download less."""
    if include_top or not source.no_top or download.is_cached(source.file):
        return source.file
    return source.no_top
