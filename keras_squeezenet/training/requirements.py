"""Checks that a training run makes before it starts."""

import os
import pathlib

import keras
import numpy as np

from keras_squeezenet import metadata
from keras_squeezenet.data import image_values
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import probability_check
from keras_squeezenet.utils import extras
from keras_squeezenet.utils import staging


def require_fit(
    model: keras.Model,
    images: np.ndarray,
    dataset: dict,
    normalization: str | None = None,
    **sets: splits.Split | None,
) -> None:
    """Raise a `ValueError` unless a model fits the images and classes of data.

    `images` is a batch, `dataset` what `splits.describe` returned, and the
    labels of the `sets` must be those of its classes. Their images must have
    the shape of that batch, and the normalization of the model unless the user
    states it.
    """
    expected = images.shape[1:]
    _require_one_shape(expected, sets)
    if model.input_shape[1:] != expected:
        raise ValueError(
            f"the model must take images of shape {expected}, as the data "
            f"{dataset['name']!r} have it. Received: a model for images of "
            f"shape {model.input_shape[1:]}. Build it with this `input_shape`."
        )
    if expected[-1] not in (1, 3):
        raise ValueError(
            "the images must have 1 or 3 channels. Received: images of shape "
            f"{expected} from the data {dataset['name']!r}"
        )
    classes = len(dataset["classes"])
    if model.output_shape != (None, classes):
        raise ValueError(
            f"the model must have outputs of shape {(None, classes)}, a "
            f"probability for each class of {dataset['name']!r}. Received: a "
            f"model with outputs of shape {model.output_shape}. Build it with "
            f"`classes={classes}`; `training.build` takes the weights of a "
            "model for other classes."
        )
    _require_activation(model, *sets.values())
    for name, split in sets.items():
        if split is not None:
            split.labels.require_classes(name, classes)
            image_values.require(
                name,
                split.values,
                dataset["normalization"],
                is_stated=normalization is not None,
            )
    probability_check.require(model, model.predict_on_batch(images))


def _require_one_shape(expected, sets):
    """Raise a `ValueError` unless the images of all sets have one shape."""
    shapes = {
        name: split.image_shape
        for name, split in sets.items()
        if split is not None
    }
    if not all(shape.is_compatible_with(expected) for shape in shapes.values()):
        listed = ", ".join(
            f"{tuple(shape)} in `{name}`" for name, shape in shapes.items()
        )
        raise ValueError(
            "the images of all sets must have one shape. Received: images of "
            f"shape {listed}. Resize them to one size"
        )


def _require_activation(model, first, *others):
    """Raise a `ValueError` unless the last layer is that of the labels."""
    if first.labels.several and not metadata.has_sigmoid(model):
        raise ValueError(
            "for several labels of an image the model must end with a "
            f"sigmoid. Received: one that ends with {model.layers[-1].name!r}. "
            "Build it with `training.build(..., several_labels=True)`"
        )
    if metadata.has_sigmoid(model) and not first.labels.several:
        raise ValueError(
            "a model that ends with a sigmoid takes several labels of an "
            "image, rows of 0 and 1. Received: one label of each image. Build "
            "the model with a softmax"
        )


def require_one_label(model: keras.Model, what: str) -> None:
    """Raise a `ValueError` for a network of several labels."""
    if metadata.has_sigmoid(model):
        raise ValueError(
            f"{what} takes networks of one label for an image, which end with "
            f"a softmax. Received: {model.name!r}, which ends with a sigmoid"
        )


def require_tensorboard(folder: str | os.PathLike) -> None:
    """Raise unless TensorBoard is installed and its folder can be written."""
    with extras.named():
        import tensorboard as _  # noqa: F401
    # TensorFlow can also write to URLs, which are not checked.
    if "://" not in os.fspath(folder):
        staging.require_space(pathlib.Path(folder))
