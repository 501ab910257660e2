"""Requirements of a training run: a model that fits, and TensorBoard."""

import keras
import numpy as np

from keras_squeezenet.utils import extras


def require_fit(model: keras.Model, images: np.ndarray, dataset: dict) -> None:
    """Raise a `ValueError` unless a model classifies the images of a data set.

    Args:
        model: `keras.Model`.
        images: array, a batch of preprocessed images.
        dataset: dict of the data set's `name` and its `classes`, a list.
    """
    expected = images.shape[1:]
    if model.input_shape[1:] != expected:
        raise ValueError(
            f"the model must take images of shape {expected}, the shape of "
            f"those of {dataset['name']!r}. Received: a model that takes "
            f"{model.input_shape[1:]}"
        )
    classes = len(dataset["classes"])
    if model.output_shape != (None, classes):
        raise ValueError(
            f"the model must have outputs of shape {(None, classes)}: one "
            f"probability for each class of {dataset['name']!r}. Received: a "
            f"model with outputs of shape {model.output_shape}"
        )
    for layer in model.layers:
        if not all(np.isfinite(array).all() for array in layer.get_weights()):
            raise ValueError(
                "the weights of the model must be finite. Received: NaN or "
                f"infinity in the layer {layer.name!r}"
            )
    _require_probabilities(model, images)


def _require_probabilities(model, images):
    sums = np.sum(model.predict_on_batch(images), axis=-1)
    # Where the images make NaN of them, the first step reports it.
    if np.any(np.abs(sums - 1) > 0.01):
        raise ValueError(
            "the outputs of the model must be probabilities: end it with a "
            f"softmax. Received: outputs of {model.layers[-1].name!r} that add "
            f"up to {sums[0]:.3f} for an image"
        )


def require_tensorboard():
    """Raise an `ImportError` unless TensorBoard is installed.

    TensorFlow writes the logs, and no longer installs it.
    """
    with extras.named():
        import tensorboard as _  # noqa: F401
