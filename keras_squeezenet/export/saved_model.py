"""Plain SavedModel folders."""

import keras
import numpy as np
import tensorflow as tf


def save(model, path):
    """Writes a SavedModel folder with an endpoint named `serve`.

    `Model.export` of Keras 3.15 writes every weight twice; this does not.

    Args:
        model: `keras.Model` on the TensorFlow backend, with one input and
            one output. The batch may have any size.
        path: the folder to write, which should not exist.

    Raises:
        RuntimeError: on another backend.
    """
    require_tensorflow()
    signature = tf.TensorSpec(model.input_shape, tf.float32, name="images")
    servable = tf.Module()
    servable.variables_of_model = [weight.value for weight in model.weights]
    servable.serve = tf.function(
        lambda images: model(images, training=False),
        input_signature=[signature],
    )
    tf.saved_model.save(
        servable,
        str(path),
        signatures={"serving_default": servable.serve},
    )


def require_tensorflow():
    """Raises a `RuntimeError` unless Keras runs on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "A SavedModel can be written on the TensorFlow backend only. Set "
            "KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND="
            f"{keras.backend.backend()}"
        )


def load(path):
    """Returns a function from a batch of images to outputs, both NumPy."""
    loaded = tf.saved_model.load(str(path))

    def predict(images):
        # `loaded` lives as long as this function: it owns the variables.
        return np.asarray(loaded.serve(images))

    return predict
