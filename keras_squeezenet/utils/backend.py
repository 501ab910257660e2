"""The Keras backend that a part of this package needs."""

import keras


def require_tensorflow(what: str = "A SavedModel") -> None:
    """Raise a `RuntimeError` unless Keras runs on TensorFlow.

    `what` needs it, and is the subject of the message.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise RuntimeError(
            f"{what} needs the TensorFlow backend. Set "
            f"KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND={backend}"
        )
