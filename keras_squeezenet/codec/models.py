"""Keras models in .sqz files."""

import os
import pathlib

import keras
import numpy as np

from keras_squeezenet import graph
from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import sqz
from keras_squeezenet.utils import files

# The normalization of RGB images from 0 to 255 by `preprocess_input`.
INPUT = {"channels": "BGR", "mean": [103.939, 116.779, 123.68], "scale": 1}
KERNEL = "/kernel"
# Stands for the names of its 1,000 classes.
IMAGENET = "imagenet"


def dump(
    model: keras.Model,
    labels: list[str] | str | None = None,
    provenance: dict | None = None,
    arrays: dict[str, encodings.Array] | None = None,
) -> bytes:
    """Encode a model as the content of a .sqz file.

    Without `arrays` it is lossless: kernels with few distinct values, as
    weight sharing produces them, take few bits a weight, others most of their
    32 bits.

    Args:
        model: `keras.Model`, as `graph.describe` takes it.
        labels: list of str, the names of the classes in the order of the
            outputs, or `IMAGENET` for its 1,000 classes in the order of their
            WordNet ids. Defaults to `None`: unknown.
        provenance: dict of JSON-compatible values, where the weights come
            from. Defaults to `None`.
        arrays: dict of names such as `"conv1/kernel"` to encodings of
            `codec.encodings`, which replace the model's weights. Defaults to
            `None`.

    Raises:
        ValueError: if the model is not as `graph.describe` takes it.
    """
    arrays = arrays or {}
    found = {
        name: arrays.get(name)
        or encodings.lossless(keras.ops.convert_to_numpy(weight))
        for name, weight in _weights(model).items()
    }
    header = {
        "network": graph.describe(model),
        "input": INPUT,
        "labels": labels,
        "provenance": provenance or {},
    }
    return sqz.dump(header, found)


def save(
    model: keras.Model,
    path: str | os.PathLike,
    labels: list[str] | str | None = None,
    provenance: dict | None = None,
) -> None:
    """Write a model to a .sqz file, without loss.

    Args:
        model: as `dump` takes it.
        path: path of the file, which is written whole or not at all.
        labels: as `dump` takes it. Defaults to `None`.
        provenance: as `dump` takes it. Defaults to `None`.

    Raises:
        ValueError: if the model is not as `graph.describe` takes it.
    """
    content = dump(model, labels, provenance)
    with files.new_file(path) as temporary:
        pathlib.Path(temporary).write_bytes(content)


def load(path: str | os.PathLike) -> keras.Model:
    """Load the model of a .sqz file, on any Keras backend.

    Args:
        path: path of the file.

    Returns:
        A `keras.Model` that takes images as `preprocess_input` returns them.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is damaged.
    """
    return loads(sqz.read_bytes(path), path)


def loads(content: bytes, name: str | os.PathLike = "it") -> keras.Model:
    """Load a model from the content of a .sqz file.

    Args:
        content: bytes of the file.
        name: what the file is called in errors. Defaults to `"it"`.

    Returns:
        A `keras.Model`, as `load` returns it.

    Raises:
        ValueError: if the content is damaged.
    """
    with sqz.explained(name):
        header, encoded = sqz.load(content)
        arrays = {name: array.to_array() for name, array in encoded.items()}
        kernels = {
            name.removesuffix(KERNEL): array.shape
            for name, array in arrays.items()
            if name.endswith(KERNEL)
        }
        model = graph.build(keras, header["network"], kernels)
        _assign(model, arrays)
    return model


def read_labels(path: str | os.PathLike) -> list[str] | str | None:
    """Return the labels in a .sqz file, as `save` took them.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is damaged.
    """
    found = sqz.read_header(path).get("labels")
    is_list = isinstance(found, list) and all(
        isinstance(name, str) for name in found
    )
    return found if is_list or found == IMAGENET else None


def _weights(model):
    """Return `{"conv1/kernel": variable}`."""
    return {
        f"{layer.name}/{weight.name}": weight
        for layer in model.layers
        for weight in layer.weights
    }


def _assign(model, arrays):
    """Assign all arrays, or raise a `ValueError` and assign none."""
    weights = _weights(model)
    if set(weights) != set(arrays):
        different = sorted(set(weights) ^ set(arrays))
        raise ValueError(
            "the file must have one array for each weight of the network. "
            f"Received: {', '.join(different)} in one of them only"
        )
    for name, weight in weights.items():
        if weight.shape != arrays[name].shape:
            raise ValueError(
                f"{name} must have the shape {tuple(weight.shape)}. "
                f"Received: {arrays[name].shape}"
            )
        if not np.isfinite(arrays[name]).all():
            raise ValueError(
                f"{name} must be finite. Received: NaN or infinity"
            )
    for name, weight in weights.items():
        weight.assign(arrays[name])
