"""What every SavedModel of this package has in common: how it is asked."""

import keras
import tensorflow as tf

SERVING = "serving_default"


def write(module, path, options=None):
    """Writes a SavedModel folder with the signature `serving_default`.

    Args:
        module: `tf.Module`. Its `serve` is a `tf.function` of `images`, with
            an input signature.
        path: the folder to write, which should not exist.
        options: `tf.saved_model.SaveOptions`. Defaults to TensorFlow's own.
    """
    tf.saved_model.save(
        module, str(path), signatures={SERVING: module.serve}, options=options
    )


def require_tensorflow(what="A SavedModel"):
    """Raises a `RuntimeError` unless Keras runs on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"{what} can be written on the TensorFlow backend only. Set "
            "KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND="
            f"{keras.backend.backend()}"
        )
