"""Distillation: a network also learns the outputs of another, its teacher.

Reference:
- [Distilling the Knowledge in a Neural Network](
    https://arxiv.org/abs/1503.02531) (Hinton et al., 2015)
"""

import copy
import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import probability_check
from keras_squeezenet.training import objectives
from keras_squeezenet.training import requirements

# The least probability: the gradient of its logarithm is still finite, even
# times a temperature and the loss scale of float16.
EPSILON = objectives.EPSILON


class Teacher:
    """A network whose outputs another one learns.

    It computes on the CPU, as a part of the input of a training.

    Args:
        model: `keras.Model` from normalized images to probabilities.
        name: the name in the report.
        normalization: the normalization of the images that it is given.

    Attributes:
        labeled: the sets of a run whose labels are the classes that it finds:
            some of `"train"`, `"validation"` and `"test"`.
    """

    labeled: tuple[str, ...] = ()

    def __init__(
        self, model: keras.Model, name: str, normalization: str
    ) -> None:
        self.model = model
        self.name = name
        self.normalization = normalization
        self._metadata = metadata.of(model) or metadata.describe(model)
        self._outputs = tf.function(self._call, autograph=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its classes; empty if they are unknown."""
        return self._metadata.class_names

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of its classes, or their numbers."""
        return self.names or (*map(str, range(self.model.output_shape[-1])),)

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 digest of the layers' types and of the weights."""
        found = hashlib.sha256()
        for layer in self.model.layers:
            found.update(type(layer).__name__.encode())
            for array in layer.get_weights():
                found.update(array.tobytes())
        return found.hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return `name` and `digest`, for the report."""
        return {"name": self.name, "digest": self.digest}

    def outputs(self, images: tf.Tensor) -> tf.Tensor:
        """Return the probabilities for a batch of images, float32.

        The images have the `normalization` and any size: they are resized to
        the one that the teacher takes.
        """
        return self._outputs(images)

    def classify(self, images: tf.Tensor) -> tf.Tensor:
        """Return the most probable class of each image, int64."""
        outputs = self.outputs(tf.cast(images, tf.float32))
        return tf.argmax(outputs, axis=-1)

    def having_labeled(self, names: Iterable[str]) -> "Teacher":
        """Return the teacher with the sets that it `labeled`."""
        found = copy.copy(self)
        found.labeled = tuple(names)
        return found

    def teach(
        self, split: splits.Split, dtype: str | None = None
    ) -> splits.Split:
        """Return a training set with the labels that `objective` takes.

        They have the shape `(batch, 2 * classes)`: the probabilities of the
        labels, and those of the teacher for the same images. The labels of the
        given batches are integers or probabilities.

        Args:
            split: the training set.
            dtype: the dtype policy that the layers of the teacher compute in.
                Defaults to `None`: their own.
        """
        teacher = self
        if dtype is not None and _is_of_keras(self.model):
            with tf.device("CPU:0"):
                model = models.copy(self.model, dtype)
            teacher = Teacher(model, self.name, self.normalization)

        def pack(images, labels, *weights):
            outputs = teacher.outputs(images)
            both = tf.concat([labels, outputs], axis=-1)
            return images, both, *weights

        rows = split.in_rows(self.model.output_shape[-1])
        return dataclasses.replace(
            split,
            batches=lambda epoch, start=0: (
                rows.batches(epoch, start).map(pack).prefetch(tf.data.AUTOTUNE)
            ),
        )

    def require_fit(self, images: np.ndarray, dataset: dict) -> None:
        """Raise a `ValueError` unless the teacher fits a batch and its classes.

        `dataset` is what `splits.describe` returned.
        """
        classes = dataset["classes"]
        if self.model.output_shape != (None, len(classes)):
            raise ValueError(
                f"the teacher must have outputs of shape "
                f"{(None, len(classes))}, a probability for each class of "
                f"{dataset['name']!r}. Received: teacher={self.name!r} with "
                f"outputs of shape {self.model.output_shape}"
            )
        names = self.names
        # Without names the classes of the data are numbered.
        numbers = [*map(str, range(len(classes)))]
        if names and classes not in ([*names], numbers):
            raise ValueError(
                "the teacher must have the classes of "
                f"{dataset['name']!r}, in their order: "
                f"{metadata.listed(classes)}. Received: teacher={self.name!r} "
                f"with the classes {metadata.listed(names)}"
            )
        self.require_channels(images.shape[-1], dataset["name"])
        probability_check.require(
            self.model, self.outputs(images).numpy(), "teacher"
        )

    def require_channels(self, channels: int, name: str) -> None:
        """Raise a `ValueError` unless it takes images of so many channels.

        `name` is that of the data.
        """
        if self.model.input_shape[-1] != channels:
            raise ValueError(
                f"the teacher must take images of {channels} channels, "
                f"as the data {name!r} have them. Received: "
                f"teacher={self.name!r} for images of shape "
                f"{self.model.input_shape[1:]}"
            )

    def _call(self, images):
        images = image_ops.renormalize(
            images, self.normalization, self._metadata.normalization
        )
        size = self.model.input_shape[1:3]
        if images.shape[1:3] != size:
            images = tf.image.resize(images, size, antialias=True)
        return tf.cast(self.model(images, training=False), tf.float32)


def _is_of_keras(layer):
    """Return whether no layer is custom: those might not take another dtype."""
    module = type(layer).__module__
    return module.startswith(("keras.", "keras_squeezenet.")) and all(
        map(_is_of_keras, getattr(layer, "layers", ()))
    )


def load(
    teacher: keras.Model | str | os.PathLike | Teacher,
    normalization: str,
    image_size: int | None = None,
) -> Teacher:
    """Load the teacher that an argument of `train` or `compress` names.

    Args:
        teacher: as `models.load` takes it; a `Teacher` is returned as it is.
        normalization: the normalization of the images of the training, also of
            a teacher whose file does not say another.
        image_size: the side of the images, for weights alone.

    Raises:
        ValueError: if it is a network of several labels.
    """
    if isinstance(teacher, Teacher):
        return teacher
    stated, name = None, str(teacher)
    if isinstance(teacher, keras.Model):
        stated = None if metadata.of(teacher) else normalization
        name = teacher.name
    # `tf.data` computes on the CPU.
    with tf.device("CPU:0"):
        model = models.load(
            teacher, image_size=image_size, normalization=stated
        )
    requirements.require_one_label(model, "distillation")
    return Teacher(model, name, normalization)


def objective(
    share: float,
    temperature: float,
    loss_of_labels: objectives.Loss | None = None,
) -> dict[str, Any]:
    """Return `loss` and `metrics` for `compile`, of Keras 3 or tf_keras.

    With the probabilities `p` of the model, `q` of the teacher, and those to
    the power `1 / temperature`, normalized, as `p_T` and `q_T`, the loss is

        (1 - share) * loss_of_labels(labels, p)
        + share * temperature**2 * KL(q_T || p_T)

    Temperature squared keeps the size of the gradients (section 2 of the
    paper). The metrics are `accuracy` and `cross_entropy`, both of the labels
    alone.

    Args:
        share: the share of the teacher's part, from 0 to 1.
        temperature: what the logits are divided by.
        loss_of_labels: that of an `objectives.Objective`. Defaults to the
            cross-entropy.
    """

    plain = objectives.Objective()
    loss_of_labels = loss_of_labels or plain.loss

    def loss(y_true, y_pred):
        labels, taught = tf.split(y_true, 2, axis=-1)
        expected, received = (
            soften(each, temperature) for each in (taught, y_pred)
        )
        divergence = tf.reduce_sum(
            tf.exp(expected) * (expected - received), axis=-1
        )
        of_labels = loss_of_labels(labels, y_pred)
        return (1 - share) * of_labels + share * temperature**2 * divergence

    def accuracy(y_true, y_pred):
        labels, _ = tf.split(y_true, 2, axis=-1)
        return objectives.accuracy(labels, y_pred)

    def cross_entropy(y_true, y_pred):
        labels, _ = tf.split(y_true, 2, axis=-1)
        return plain.loss(labels, y_pred)

    return {"loss": loss, "metrics": [accuracy, cross_entropy]}


def soften(probabilities: tf.Tensor, temperature: float) -> tf.Tensor:
    """Return the logarithms of probabilities at a temperature, float32."""
    probabilities = tf.cast(probabilities, tf.float32)
    logits = tf.math.log(tf.maximum(probabilities, EPSILON))
    return tf.nn.log_softmax(logits / temperature)
