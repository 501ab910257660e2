"""Keras models in .sqz files."""

import os
from typing import Any

import keras
import numpy as np

from keras_squeezenet import graph
from keras_squeezenet import metadata
from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import headers
from keras_squeezenet.codec import sqz
from keras_squeezenet.utils import files

KERNEL = "/kernel"
# The labels of a network for ImageNet's 1,000 classes.
IMAGENET = "imagenet"


def dump(
    model: keras.Model,
    labels: list[str] | str | None = None,
    provenance: dict | None = None,
    arrays: dict[str, encodings.Array] | None = None,
) -> bytes:
    """Encode a model as the content of a .sqz file.

    Without `arrays` the encoding is lossless: kernels with few distinct values,
    as weight sharing produces them, take few bits a weight, others most of
    their 32 bits.

    Args:
        model: as `graph.describe` takes it.
        labels: the names of the classes in the order of the outputs, or
            `IMAGENET` for its 1,000 classes in the order of their WordNet ids.
            Defaults to those of the model's `metadata`.
        provenance: JSON-compatible values that tell where the weights come
            from.
        arrays: encodings that replace the model's weights, by names such as
            `"conv1/kernel"`.

    Raises:
        ValueError: if `graph.describe` does not support the model, a weight is
            not finite, or the labels do not fit it.
    """
    require_labels(model, labels)
    arrays = arrays or {}
    found = {
        name: arrays.get(name)
        or encodings.lossless(keras.ops.convert_to_numpy(weight))
        for name, weight in _weights(model).items()
    }
    for name, array in found.items():
        if not np.isfinite(array.to_array()).all():
            raise ValueError(
                "the weights of the model must be finite in float32. Received: "
                f"NaN or infinity in {name!r}. Train the network again, or "
                "load an earlier file of it"
            )
    known = metadata.of(model) or metadata.Metadata()
    header: dict[str, Any] = {
        "network": graph.describe(model),
        "input": headers.describe_input(known.normalization),
        "labels": labels or list(known.class_names) or None,
        "provenance": provenance or {},
    }
    if known.thresholds:
        # The files of networks of one label stay as they are.
        header["thresholds"] = list(known.thresholds)
    return sqz.dump(header, found)


def save(
    model: keras.Model,
    path: str | os.PathLike,
    labels: list[str] | str | None = None,
    provenance: dict | None = None,
) -> None:
    """Write a model to a .sqz file, without loss; see `dump` for the arguments.

    The file is written completely or not at all.
    """
    content = dump(model, labels, provenance)
    with files.new_file(path) as temporary:
        temporary.write_bytes(content)


def load(path: str | os.PathLike) -> keras.Model:
    """Load the model in a .sqz file, on any Keras backend.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is damaged.
    """
    return loads(sqz.read_bytes(path), path)


def loads(content: bytes, name: str | os.PathLike = "it") -> keras.Model:
    """Load a model as `load` does; errors refer to the content by `name`."""
    with sqz.explained(name):
        header, encoded = sqz.load(content)
        arrays = {name: array.to_array() for name, array in encoded.items()}
        kernels = {
            name.removesuffix(KERNEL): array.shape
            for name, array in arrays.items()
            if name.endswith(KERNEL)
        }
        graph.require(header["network"], kernels)
        model = graph.build(keras, header["network"])
        _assign(model, arrays)
        metadata.attach(model, headers.parse(header))
    return model


def require_labels(model: keras.Model, labels: list[str] | str | None) -> None:
    """Raise a `ValueError` unless `dump` takes the labels with the model."""
    outputs = model.output_shape[-1]
    is_imagenet = metadata.is_imagenet(None, outputs)
    if labels is None or (labels == IMAGENET and is_imagenet):
        return
    are_names = isinstance(labels, list | tuple) and all(
        isinstance(name, str) for name in labels
    )
    if not are_names or len(labels) != outputs:
        raise ValueError(
            f"the names of the classes must be a list of {outputs} strings, "
            f"one for each output, or {IMAGENET!r} for its 1,000 classes. "
            f"Received: {labels!r:.100}. Name every class, in the order of the "
            "outputs"
        )


def read_labels(path: str | os.PathLike) -> list[str] | str | None:
    """Return the labels that a .sqz file was saved with.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is damaged.
    """
    found = sqz.read_header(path).get("labels")
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return found
    return found if found == IMAGENET else None


def _weights(model):
    """Return `{"conv1/kernel": variable}`."""
    return {
        f"{layer.name}/{weight.name}": weight
        for layer in model.layers
        for weight in layer.weights
    }


def _assign(model, arrays):
    """Assign all arrays, or none if one of them does not fit."""
    weights = _weights(model)
    if set(weights) != set(arrays):
        different = sorted(set(weights) ^ set(arrays))
        raise ValueError(
            "the file must have one array for each weight of the network. "
            f"Received: {', '.join(different)} without a counterpart"
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
