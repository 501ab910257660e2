"""The Keras backend that a part of this package needs."""

import keras


def require_tensorflow(what: str = "A SavedModel") -> None:
    """Raise unless Keras runs on TensorFlow.

    Args:
        what: what needs TensorFlow, the subject of the error message. Defaults
            to `"A SavedModel"`.

    Raises:
        RuntimeError: on another backend.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise RuntimeError(
            f"{what} needs the TensorFlow backend. Set "
            f"KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND={backend}"
        )
