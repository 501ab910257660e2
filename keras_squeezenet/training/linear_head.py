"""The head of a transferred network: logistic regression on features."""

from collections.abc import Collection

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet.data import splits
from keras_squeezenet.training import objectives
from keras_squeezenet.training import optimizers
from keras_squeezenet.utils.progress import Progress

HEAD = "conv10"
# The regression is a small problem, which allows a high learning rate.
STEPS = 2000
BATCH_SIZE = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.1
# The least standard deviation, so that features that hardly vary are not scaled
# up.
MIN_DEVIATION = 1e-3


def require_linear(model: keras.Model) -> None:
    """Raise a `ValueError` unless the last weights are a linear head's."""
    *_, head = (layer for layer in model.layers if layer.weights)
    activation = getattr(head, "activation", None)
    if head.name != HEAD or activation is not keras.activations.linear:
        raise ValueError(
            f"the last layer with weights must be {HEAD!r} without an "
            f"activation. Received: {head.name!r} with the activation "
            f"{getattr(activation, '__name__', None)}. Build the model "
            "with `training.build`, or with `conv10_activation=None`."
        )


def features(
    model: keras.Model, split: splits.Split, progress: Progress
) -> list[np.ndarray]:
    """Return the pooled input of `conv10` for each image, and the labels.

    Sample weights, if there are any, are the third array.
    """
    backbone = keras.Model(model.input, model.get_layer(HEAD).input)
    found = []
    with progress.task("features", split.steps) as advance:
        for images, *others in split.batches(0):
            pooled = backbone.predict_on_batch(images).mean(axis=(1, 2))
            found.append([pooled, *map(np.asarray, others)])
            advance()
    return [np.concatenate(arrays) for arrays in zip(*found)]


def regress(
    model: keras.Model,
    objective: objectives.Objective,
    arrays: list[np.ndarray],
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel and the bias that fit arrays of `features`."""
    x, *others = arrays
    mean = x.mean(axis=0)
    deviation = np.maximum(x.std(axis=0), MIN_DEVIATION)
    with progress.task("head", STEPS) as advance:
        kernel, bias = _regress_standardized(
            objective,
            ((x - mean) / deviation, *others),
            model.output_shape[-1],
            advance,
        )
    kernel = kernel / deviation[:, np.newaxis]
    return kernel, bias - mean @ kernel


def _regress_standardized(objective, arrays, classes, advance):
    x, labels, *weights = arrays
    inputs = keras.Input(x.shape[1:])
    activation = objective.kind.activation
    outputs = keras.layers.Dense(classes, activation)(inputs)
    regression = keras.Model(inputs, outputs)
    if labels.ndim == 1:
        labels = np.eye(classes, dtype="float32")[labels]
    optimizers.compile_classifier(
        keras,
        regression,
        STEPS,
        LEARNING_RATE,
        WEIGHT_DECAY,
        objective.compiled(keras, classes),
    )
    batches = (
        tf.data.Dataset.from_tensor_slices((x, labels, *weights))
        .cache()
        .shuffle(len(x), seed=0)
        .repeat()
        .batch(BATCH_SIZE)
        .prefetch(tf.data.AUTOTUNE)
    )
    regression.fit(
        batches,
        steps_per_epoch=STEPS,
        shuffle=False,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: advance(**logs)
            )
        ],
    )
    return regression.layers[-1].get_weights()


def assign(model: keras.Model, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Make what `regress` returns the weights of the head."""
    head = model.get_layer(HEAD)
    head.set_weights([kernel[np.newaxis, np.newaxis], bias])


def set_trainable(model: keras.Model, modules: Collection[str] | None) -> None:
    """Make the head and some Fire modules trainable, or all layers (`None`)."""
    for layer in model.layers:
        layer.trainable = (
            modules is None
            or layer.name == HEAD
            or layer.name.partition("_")[0] in modules
        )
