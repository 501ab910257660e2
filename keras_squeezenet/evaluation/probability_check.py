"""The check that a network returns the probabilities of its classes."""

import keras
import numpy as np

from keras_squeezenet import metadata


def require(
    model: keras.Model, outputs: np.ndarray, what: str = "model"
) -> None:
    """Raise a `ValueError` unless a model returns probabilities.

    `outputs` are those for a batch of images; errors call the model `what`.
    """
    for layer in model.layers:
        if not all(np.isfinite(array).all() for array in layer.get_weights()):
            raise ValueError(
                f"the weights of the {what} must be finite. Received: NaN or "
                f"infinity in the layer {layer.name!r}"
            )
    if metadata.has_sigmoid(model):
        return
    if outputs.shape[-1] < 2:
        raise ValueError(
            f"the {what} must have an output for each of at least two classes. "
            f"Received: one output of {model.layers[-1].name!r}. Two classes "
            f"take two outputs: end the {what} with a softmax of them"
        )
    sums = np.sum(outputs, axis=-1)
    # Not `> 0.01`, which NaN would pass.
    wrong = sums[~(np.abs(sums - 1) <= 0.01)]
    if wrong.size:
        raise ValueError(
            f"the outputs of the {what} must be probabilities. Received: "
            f"outputs of {model.layers[-1].name!r} that add up to "
            f"{wrong[0]:.3f} for an image. End the {what} with a softmax."
        )
