"""What a model, its images and the machine should be for a training run."""

import keras
import numpy as np

from keras_squeezenet.utils import extras


def require_fit(model, images, dataset):
    """Raises a `ValueError` unless a model classifies the images of a data set.

    Args:
        model: `keras.Model`.
        images: array, a batch of preprocessed images.
        dataset: dict of the data set's `name` and its `classes`, a list.
    """
    expected = images.shape[1:]
    if model.input_shape[1:] != expected:
        raise ValueError(
            f"the model should take images of shape {expected}, as "
            f"{dataset['name']!r} has them. Received: a model that takes "
            f"{model.input_shape[1:]}"
        )
    classes = len(dataset["classes"])
    if model.output_shape != (None, classes):
        raise ValueError(
            f"the model should put out the shape {(None, classes)}: one "
            f"probability for each class of {dataset['name']!r}. Received: a "
            f"model that puts out {model.output_shape}"
        )
    _require_probabilities(model, images)


def _require_probabilities(model, images):
    sums = np.sum(model.predict_on_batch(images), axis=-1)
    # A network that is NaN already is left to the first step to report.
    if np.any(np.abs(sums - 1) > 0.01):
        raise ValueError(
            "the model should put out probabilities: end it with a softmax. "
            f"Received: outputs of {model.layers[-1].name!r} that add up to "
            f"{sums[0]:.3f} for an image"
        )


def require_tensorboard():
    """TensorFlow writes its logs, and does not bring it along any more."""
    with extras.named():
        import tensorboard as _  # noqa: F401


def require_tensorflow():
    """Raises a `RuntimeError` unless Keras runs on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "a training run needs the TensorFlow backend; `Model.fit` trains "
            "on the others too. Set KERAS_BACKEND=tensorflow. Received: "
            f"KERAS_BACKEND={keras.backend.backend()}"
        )
