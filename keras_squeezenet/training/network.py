"""Build the networks that are trained, for images of any size."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_squeezenet import architecture
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet import squeezenet
from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import text

# Images up to this side, in pixels, get a first convolution with stride 1.
SMALL_IMAGE_SIZE = 64


@backend.channels_last()
def build(
    image_size: int,
    classes: int,
    config: architecture.SqueezeNetConfig | str = "1.1",
    weights: str | os.PathLike | None = None,
    several_labels: bool = False,
) -> keras.Model:
    """Build a SqueezeNet for a data set, from scratch or pretrained.

    Args:
        image_size: the side of the images in pixels.
        classes: the number of classes.
        config: the network, which is adapted to the size of the images.
        weights: weights of all layers but `conv10`, as `SqueezeNet` takes them.
        several_labels: whether an image may have several labels: a sigmoid for
            each class then takes the place of the softmax.

    Returns:
        A `keras.Model` from preprocessed images to probabilities.
    """
    config = architecture.get_config(config)
    if weights in registry.NAMES:
        entry = registry.find(weights, config, include_top=False)
        config = entry.adapt(config)
    config = for_images(image_size, config)
    shape = (image_size, image_size, 3)
    model = squeezenet.SqueezeNet(
        weights=None,
        input_shape=shape,
        classes=classes,
        config=config,
        classifier_activation="sigmoid" if several_labels else "softmax",
    )
    if weights:
        backbone = squeezenet.SqueezeNet(
            include_top=False,
            weights=weights,
            input_shape=shape,
            config=config,
        )
        for layer in backbone.layers:
            if layer.weights:
                model.get_layer(layer.name).set_weights(layer.get_weights())
    return model


def load(
    model: keras.Model | str | os.PathLike | None,
    image_size: int,
    classes: int | None,
    normalization: str | None = None,
    several_labels: bool = False,
) -> keras.Model:
    """Return the network that the `model` argument of `train` stands for.

    A `keras.Model` or a `.keras` file is copied. For anything else a network is
    built, with these weights, for images of `image_size` pixels and so many
    classes, `None` where their number is unknown, and perhaps for
    `several_labels`. Its `metadata` have the `normalization`. Layers with
    another dtype policy become float32.
    """
    if _is_network(model):
        loaded = models.load(model, normalization=normalization)
        return models.copy(loaded, "float32")
    if classes is None:
        raise ValueError(
            "`model` must be a `keras.Model` or a `.keras` file, unless `data` "
            "is an `ImageDataset` or `class_names` is given. Received: "
            f"model={model!r}, class_names=None"
        )
    options: dict[str, Any] = {"weights": model}
    if several_labels:
        options["several_labels"] = True
    built = build(image_size, classes, **options)
    known = normalization_of(model, normalization)
    metadata.attach(built, metadata.describe(built, known))
    return built


def normalization_of(
    model: keras.Model | str | os.PathLike | None, stated: str | None
) -> str:
    """Return the normalization of the images that the model of `load` takes.

    It is the one that the user has `stated`, or else that of a trained model.
    """
    found = models.read_metadata(model) if _is_network(model) else None
    return metadata.resolve(found, stated)


def class_names_of(
    model: keras.Model | str | os.PathLike | None,
) -> tuple[str, ...]:
    """Return the names of the classes of a trained model; empty if unknown."""
    found = models.read_metadata(model) if _is_network(model) else None
    return found.class_names if found else ()


def takes_several(model: keras.Model | str | os.PathLike | None) -> bool | None:
    """Return whether a network is for several labels; `None` if not built."""
    if isinstance(model, keras.Model):
        return metadata.has_sigmoid(model)
    if not _is_network(model):
        return None
    found = models.read_metadata(model)
    # A file without metadata tells when it is loaded.
    return bool(found.thresholds) if found else None


def _is_network(model):
    return isinstance(model, keras.Model) or str(model).endswith(".keras")


def name_classes(
    model: keras.Model, class_names: Sequence[str] | None
) -> metadata.Metadata:
    """Attach the class names of the data, if any, to a model.

    Returns:
        The model's `metadata`.

    Raises:
        ValueError: if the model has the same names in another order.
    """
    found = models.read_metadata(model) or metadata.describe(model)
    if class_names:
        names = tuple(text.well_formed(str(name)) for name in class_names)
        metadata.require_order(found, names, "the data")
        found = dataclasses.replace(found, class_names=names)
    thresholds = metadata.thresholds_of(found, model)
    found = dataclasses.replace(found, thresholds=thresholds)
    metadata.attach(model, found)
    return found


def for_images(
    image_size: int, config: architecture.SqueezeNetConfig | str = "1.1"
) -> architecture.SqueezeNetConfig:
    """Return a config adapted to training on images of `image_size` pixels.

    `conv10` gets no ReLU, which could keep the output of a class at 0. Small
    images get the config's `for_small_images`.
    """
    config = architecture.get_config(config)
    if image_size <= SMALL_IMAGE_SIZE:
        config = config.for_small_images()
    return dataclasses.replace(config, conv10_activation=None)
