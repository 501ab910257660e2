"""The Keras backend and the defaults that a part of this package needs."""

import contextlib
from collections.abc import Iterator

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


@contextlib.contextmanager
def channels_last() -> Iterator[None]:
    """Run with Keras's usual image format and float type.

    This is a context manager and a decorator. Users may have set other
    defaults, also in `keras.json`. A dtype policy, such as `"mixed_float16"`,
    stays.
    """
    data_format = keras.config.image_data_format()
    floatx = keras.config.floatx()
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    try:
        yield
    finally:
        keras.config.set_image_data_format(data_format)
        keras.config.set_floatx(floatx)


@contextlib.contextmanager
def float32() -> Iterator[None]:
    """Run with float32 as the dtype policy of new layers.

    This is a context manager and a decorator.
    """
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
