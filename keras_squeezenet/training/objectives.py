"""What a network learns from labels: the loss, and the weights of classes.

Reference:
- [Focal Loss for Dense Object Detection](
    https://arxiv.org/abs/1708.02002) (Lin et al., 2017)
"""

import dataclasses
import logging
import math
import types
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


@dataclasses.dataclass(frozen=True)
class Kind:
    """What differs between one label of an image and several.

    Args:
        activation: of the last layer.
        metric: what `accuracy` is in a report.
        loss: a function of labels, outputs, label smoothing, the exponent of
            the focal loss, and the weights of the classes or `None`.
        weigh: a function of given weights of the classes, to those of `loss`.
        balance: a function of the images of each class and of all images, to
            the weights by which each class has the same part in the loss.
        guess: a function of the same, to loss and accuracy of a random guess.
        measure: a function of the namespace, the number of classes, and a
            function that takes the labels, to the metric `accuracy`.
    """

    activation: str
    metric: str
    loss: Callable[..., tf.Tensor]
    weigh: Callable[[np.ndarray], np.ndarray]
    balance: Callable[[np.ndarray, int], np.ndarray]
    guess: Callable[[np.ndarray, int], tuple[float, float]]
    measure: Callable[..., Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """The loss of labels, and what is measured beside it.

    With the labels `y`, smoothed, the probabilities `p`, and the weights `w` of
    the classes, the loss of an image with one label is

        -sum(w * y * (1 - p)**focal * log(p))

    and with several labels the mean of

        -w * y * (1 - p)**focal * log(p) - (1 - y) * p**focal * log(1 - p)

    Args:
        label_smoothing: the share of a label that is spread over all classes,
            or over 0 and 1.
        focal: the exponent of the focal loss; 0 for the cross-entropy.
        weights: float32 array, the weights of the classes, and with several
            labels also those of their absence; `None`: all are 1.
        has_sample_weights: whether the images have weights too.
        kind: a value of `KINDS`.
    """

    label_smoothing: float = 0.0
    focal: float = 0.0
    weights: np.ndarray | None = None
    has_sample_weights: bool = False
    kind: Kind = dataclasses.field(default_factory=lambda: KINDS[False])

    @property
    def is_weighted(self) -> bool:
        """Whether the loss is not the mean cross-entropy of the images."""
        return bool(
            self.focal or self.weights is not None or self.has_sample_weights
        )

    def loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Return the loss of each image.

        Args:
            labels, outputs: of shape `(batch, classes)`.
        """
        return self.kind.loss(
            labels, outputs, self.label_smoothing, self.focal, self.weights
        )

    def cross_entropy(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the cross-entropy of each image, in nats."""
        return self.kind.loss(y_true, y_pred)

    def compiled(
        self, namespace: types.ModuleType, classes: int
    ) -> dict[str, Any]:
        """Return `loss` and `metrics` for `compile`.

        If the loss is weighted, `cross_entropy`, the mean of all images, is a
        metric beside `accuracy`.

        Args:
            namespace: the module `keras` or `tf_keras`.
            classes: the number of classes.
        """
        beside = [self.cross_entropy] if self.is_weighted else []
        accuracy = self.kind.measure(namespace, classes)
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
        ValueError: if the weights are for unknown classes; or if they are to be
            balanced, or there are several labels, and a class has no training
            images.
    """
    kind = KINDS[train.labels.several]
    weights = None
    if recipe.class_weight == BALANCED or train.labels.several:
        counts = train.labels.count(len(class_names))
        _require_all(counts, class_names, train.labels.several)
        if recipe.class_weight == BALANCED:
            weights = kind.balance(counts, train.size).astype("float32")
            _say(weights, class_names)
    if weights is None and recipe.class_weight is not None:
        weights = kind.weigh(_by_name(recipe.class_weight, class_names))
    return Objective(
        recipe.label_smoothing, recipe.focal, weights, train.is_weighted, kind
    )


def accuracy(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Return whether the most probable class of each image is the label's."""
    return keras.metrics.categorical_accuracy(y_true, y_pred)


def _loss_of_one(labels, outputs, smoothing=0.0, focal=0.0, weights=None):
    if weights is None and not focal:
        return keras.losses.categorical_crossentropy(
            labels, outputs, label_smoothing=smoothing
        )
    labels = tf.cast(labels, tf.float32) * (1 - smoothing)
    labels = labels + smoothing / labels.shape[-1]
    if weights is not None:
        labels = labels * weights
    if focal:
        outputs = tf.cast(outputs, tf.float32)
        terms = labels * _power(1 - outputs, focal) * _log(outputs)
        return -tf.reduce_sum(terms, axis=-1)
    # The gradient that TensorFlow has for logits is only that of labels whose
    # sum is 1.
    total = tf.reduce_sum(labels, axis=-1, keepdims=True)
    return total[..., 0] * keras.losses.categorical_crossentropy(
        labels / total, outputs
    )


def _loss_of_several(labels, outputs, smoothing=0.0, focal=0.0, weights=None):
    labels = tf.cast(labels, tf.float32)
    outputs = tf.cast(outputs, tf.float32)
    # Keras takes the logits of a sigmoid, whose logarithms are exact.
    losses = keras.ops.binary_crossentropy(
        labels * (1 - smoothing) + smoothing / 2, outputs
    )
    if focal:
        losses *= _power(labels + outputs - 2 * labels * outputs, focal)
    if weights is not None:
        present, absent = weights
        losses *= labels * present + (1 - labels) * absent
    return tf.reduce_mean(losses, axis=-1)


def _power(base, exponent):
    return tf.maximum(base, EPSILON) ** exponent


def _log(probabilities):
    return tf.math.log(tf.maximum(probabilities, EPSILON))


def _balance_one(counts, size):
    return counts.sum() / (len(counts) * counts)


def _balance_several(counts, size):
    absent = np.maximum(size - counts, 1)
    return np.stack([size / (2 * counts), size / (2 * absent)])


def _guess_of_one(counts, size):
    return math.log(len(counts)), 1 / len(counts)


def _guess_of_several(counts, size):
    """Return those of a network that knows how often each label is."""
    shares = np.clip(counts / size, 1e-6, 1 - 1e-6)
    entropies = -shares * np.log(shares) - (1 - shares) * np.log1p(-shares)
    return float(entropies.mean()), float(shares.mean())


def _measure_one(namespace, classes):
    return accuracy


def _measure_several(namespace, classes):
    """Return the area under the precision-recall curve, by class."""
    return namespace.metrics.AUC(
        curve="PR", multi_label=True, num_labels=classes, name="accuracy"
    )


# By whether an image may have several labels.
KINDS: dict[bool, Kind] = {
    False: Kind(
        activation="softmax",
        metric="accuracy",
        loss=_loss_of_one,
        weigh=np.asarray,
        balance=_balance_one,
        guess=_guess_of_one,
        measure=_measure_one,
    ),
    True: Kind(
        activation="sigmoid",
        metric="mean average precision",
        loss=_loss_of_several,
        weigh=lambda weights: np.stack([weights, np.ones_like(weights)]),
        balance=_balance_several,
        guess=_guess_of_several,
        measure=_measure_several,
    ),
}


def _require_all(counts, class_names, several):
    missing = [name for name, count in zip(class_names, counts) if not count]
    if missing:
        needs = "several labels of an image need"
        if not several:
            needs = "`class_weight='balanced'` (--class_weight=balanced) needs"
        raise ValueError(
            f"{needs} training images of every class. Received: none of "
            f"{', '.join(map(repr, missing[:5]))}. Add some, or leave these "
            "classes out"
        )


def _say(weights, class_names):
    first = weights[0] if weights.ndim == 2 else weights
    logger.info(
        "Weights of the classes: %s.",
        ", ".join(
            f"{name} {weight:.3g}"
            for name, weight in zip(class_names[:20], first)
        ),
    )


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
