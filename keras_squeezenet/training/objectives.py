"""What a network learns from labels: the loss, and the weights of classes.

Reference:
- [Focal Loss for Dense Object Detection](
    https://arxiv.org/abs/1708.02002) (Lin et al., 2017)
"""

import dataclasses
import logging
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import metadata
from keras_squeezenet.data import splits
from keras_squeezenet.utils import suggestions

# `class_weight` of a recipe: every class has the same part in the loss.
BALANCED = "balanced"
# The least probability: the gradient of its logarithm is still finite.
EPSILON = 1e-30

# From labels and outputs, both of shape `(batch, classes)`, to the loss of each
# image.
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """The loss of labels, and what is measured beside it.

    With the labels `y`, smoothed, the probabilities `p`, and the weights `w` of
    the classes, the loss of an image is

        -sum(w * y * (1 - p)**focal * log(p))

    Args:
        label_smoothing: the share of a label that is spread over all classes.
        focal: the exponent of the focal loss; 0 for the cross-entropy.
        weights: float32 array, the weights of the classes; `None`: all are 1.
        has_sample_weights: whether the images have weights too.
    """

    label_smoothing: float = 0.0
    focal: float = 0.0
    weights: np.ndarray | None = None
    has_sample_weights: bool = False

    @property
    def is_weighted(self) -> bool:
        """Whether the loss is not the mean cross-entropy of the images."""
        return bool(
            self.focal or self.weights is not None or self.has_sample_weights
        )

    def loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Return the loss of each image.

        Args:
            labels, outputs: probabilities of shape `(batch, classes)`.
        """
        if self.weights is None and not self.focal:
            return cross_entropy(labels, outputs, self.label_smoothing)
        spread = self.label_smoothing / labels.shape[-1]
        labels = tf.cast(labels, tf.float32) * (1 - self.label_smoothing)
        labels = labels + spread
        if self.weights is not None:
            labels = labels * self.weights
        if self.focal:
            return _focal_loss(labels, outputs, self.focal)
        # The gradient that TensorFlow has for logits is only that of labels
        # whose sum is 1.
        total = tf.reduce_sum(labels, axis=-1, keepdims=True)
        return total[..., 0] * cross_entropy(labels / total, outputs)

    def compiled(self) -> dict[str, Any]:
        """Return `loss` and `metrics` for `compile`, of Keras 3 or tf_keras.

        If the loss is weighted, `cross_entropy`, the mean of all images, is a
        metric beside `accuracy`.
        """
        beside = [cross_entropy] if self.is_weighted else []
        return {"loss": self.loss, "metrics": [accuracy, *beside]}


def of(
    recipe: Any, train: splits.Split, class_names: Sequence[str]
) -> Objective:
    """Return the objective of a recipe for a training set.

    Args:
        recipe: has the fields `label_smoothing`, `focal` and `class_weight`.
        train: the training set.
        class_names: the names of the classes, in the order of the outputs.

    Raises:
        ValueError: if the weights are for unknown classes, or are to be
            balanced and a class has no training images.
    """
    weights = None
    if recipe.class_weight == BALANCED:
        weights = _balanced(train.labels.count(len(class_names)), class_names)
    elif recipe.class_weight is not None:
        weights = _by_name(recipe.class_weight, class_names)
    return Objective(
        recipe.label_smoothing, recipe.focal, weights, train.is_weighted
    )


def accuracy(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Return whether the most probable class of each image is the label's."""
    return keras.metrics.categorical_accuracy(y_true, y_pred)


def cross_entropy(
    y_true: tf.Tensor, y_pred: tf.Tensor, label_smoothing: float = 0.0
) -> tf.Tensor:
    """Return the cross-entropy of each image, in nats."""
    return keras.losses.categorical_crossentropy(
        y_true, y_pred, label_smoothing=label_smoothing
    )


def _focal_loss(labels, outputs, exponent):
    outputs = tf.cast(outputs, tf.float32)
    likely, unlikely = (
        tf.maximum(each, EPSILON) for each in (outputs, 1 - outputs)
    )
    terms = labels * unlikely**exponent * tf.math.log(likely)
    return -tf.reduce_sum(terms, axis=-1)


def _balanced(counts, class_names):
    missing = [name for name, count in zip(class_names, counts) if not count]
    if missing:
        raise ValueError(
            "`class_weight='balanced'` (--class_weight=balanced) needs "
            "training images of every class. Received: none of "
            f"{', '.join(map(repr, missing[:5]))}. Add some, or leave these "
            "classes out"
        )
    weights = counts.sum() / (len(counts) * counts)
    logger.info(
        "Weights of the classes: %s.",
        ", ".join(
            f"{name} {weight:.3g}"
            for name, weight in zip(class_names, weights[:20])
        ),
    )
    return weights.astype("float32")


def _by_name(
    given: Mapping[str, float], class_names: Sequence[str]
) -> np.ndarray:
    unknown = sorted(set(given) - set(class_names))
    if unknown:
        raise ValueError(
            "`class_weight` must be for classes of the data: "
            f"{metadata.listed(class_names)}. Received: a weight for "
            f"{unknown[0]!r}."
            f"{suggestions.did_you_mean(unknown[0], class_names)}"
        )
    return np.array([given.get(name, 1) for name in class_names], "float32")
