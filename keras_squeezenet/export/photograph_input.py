"""Networks that take photographs as they are: RGB from 0 to 255."""

import dataclasses

import keras
import numpy as np

from keras_squeezenet import flattening
from keras_squeezenet import graph
from keras_squeezenet import metadata
from keras_squeezenet import normalizations

# The layer that normalizes where the first convolutions cannot.
NORMALIZE = "normalize_photographs"


def photograph_input(model: keras.Model) -> keras.Model:
    """Return a copy of a model that takes photographs, not normalized images.

    The normalization becomes part of the weights of the first convolution. A
    convolution that pads its input with zeros, as those of networks for small
    images do, stays as it is, behind a 1x1 convolution that normalizes: zeros
    are another color in a photograph than in a normalized image.

    Args:
        model: as `flattening.flatten` takes it, which is left unchanged. Its
            `metadata` state its normalization. Defaults to that of
            `preprocess_input`.

    Returns:
        A flat Functional `keras.Model`. It maps float32 numbers from 0 to 255,
        of shape `(batch, height, width, 3)` in the order RGB, or `(batch,
        height, width, 1)` for a network of gray images, to what `model` returns
        for the normalized images: probabilities are equal within 1e-5. Its
        `metadata` have the normalization `"raw"`.

    Raises:
        ValueError: as `flattening.flatten` raises it, or if the network takes
            gray images with a normalization that has several means.
    """
    flat = flattening.flatten(model)
    found = metadata.of(model) or metadata.describe(flat)
    description = graph.describe(flat)
    weights = {layer.name: layer.get_weights() for layer in flat.layers}
    shape = description["layers"][0]["shape"]
    matrix, offset = _linear_map(found.normalization, shape)
    if found.normalization != normalizations.RAW:
        _prepend(description["layers"], weights, matrix, offset)
    taking = graph.build(keras, description)
    for layer in taking.layers:
        layer.set_weights(weights[layer.name])
    metadata.attach(
        taking, dataclasses.replace(found, normalization=normalizations.RAW)
    )
    return taking


def _linear_map(normalization, shape):
    """Return the matrix and the offset with which a pixel is normalized."""
    found = normalizations.get(normalization)
    mean, std = np.array(found.mean), np.array(found.std)
    channels = shape[-1] if len(shape) == 3 else None
    if channels == 1 and len(set(zip(mean, std))) == 1:
        mean, std = mean[:1], std[:1]
    elif channels != 3:
        raise ValueError(
            "a network that is to take photographs must take RGB images, or "
            "gray ones with the same normalization of R, G and B. Received: "
            f"inputs of shape {tuple(shape)} and normalization="
            f"{normalization!r}. Export it with preprocessed images as its "
            "input, or state another normalization"
        )
    matrix, offset = np.diag(1 / std), -mean / std
    if found.order == "BGR":
        matrix, offset = matrix[:, ::-1], offset[::-1]
    return matrix, offset


def _prepend(layers, weights, matrix, offset):
    """Normalize in the layers that take the input, or else before them."""
    source = layers[0]["name"]
    users = [each for each in layers[1:] if source in each["inputs"]]
    if all(
        each["type"] == "Conv2D"
        and (each["padding"] == "valid" or not offset.any())
        for each in users
    ):
        for each in users:
            each["use_bias"] = True
            weights[each["name"]] = _fold(
                matrix, offset, *weights[each["name"]]
            )
        return
    for each in users:
        each["inputs"] = [
            NORMALIZE if name == source else name for name in each["inputs"]
        ]
    convolution = {
        "type": "Conv2D",
        "name": NORMALIZE,
        "inputs": [source],
        "filters": len(offset),
        "kernel_size": [1, 1],
        "strides": [1, 1],
        "padding": "valid",
        "activation": "linear",
        "use_bias": True,
    }
    layers.insert(1, convolution)
    weights[NORMALIZE] = [matrix[None, None], offset]


def _fold(matrix, offset, kernel, bias=0):
    """Return the weights of a convolution of normalized images, for others."""
    kernel = kernel.astype("float64")
    return [
        np.einsum("rc,yxcf->yxrf", matrix, kernel),
        np.einsum("yxcf,c->f", kernel, offset) + bias,
    ]
