"""Load a Keras model from any argument that names one."""

import os

import keras

from keras_squeezenet import architecture
from keras_squeezenet import codec
from keras_squeezenet import pretrained
from keras_squeezenet import squeezenet
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import files
from keras_squeezenet.utils import suggestions


def load(
    model: "keras.Model | str | os.PathLike",
    *,
    config: "architecture.SqueezeNetConfig | str | None" = None,
    image_size: int | None = None,
) -> keras.Model:
    """Load the Keras model that a `model` argument names.

    Args:
        model: a `keras.Model`, which is copied; the path of a `.keras`, `.sqz`
            or weights file; or the name of pretrained weights, such as
            `"imagenet"`. All take the output of `preprocess_input`.
        config: `SqueezeNetConfig` or the name of a variant, for weights.
            Defaults to the variant that the weights fit.
        image_size: int, the side of the input images in pixels, for weights.
            Defaults to the side that the weights were trained for, `227` for
            ImageNet.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        OSError: if the file is missing or cannot be downloaded.
        ValueError: if the file is damaged or is not a classifier, or `model` is
            of another type.

    Example:

    >>> model = models.load("cifar10")
    >>> model.output_shape
    (None, 10)
    """
    if isinstance(model, keras.Model):
        return copy(model)
    if not isinstance(model, str | os.PathLike):
        raise ValueError(
            "`model` must be a `keras.Model`, a path, or the name of "
            f"pretrained weights. Received: model={model!r}"
        )
    path = os.fspath(model)
    if path in registry.NAMES:
        file = registry.find(path, config).file
        if file.name.endswith(".sqz"):
            return codec.load(download.fetch(file))
    else:
        require_file(path)
    if path.endswith(".keras"):
        with files.as_value_error(f"{path} cannot be loaded as a Keras model"):
            loaded = keras.models.load_model(path, compile=False)
            # It raises if the model was never built.
            _ = loaded.input_shape
            return loaded
    if path.endswith(".sqz"):
        return codec.load(path)
    return _load_weights(path, config, image_size)


def copy(model: keras.Model) -> keras.Model:
    """Return an uncompiled copy of a model, with its names and weights."""
    # `clone_model` would give the input layer another name.
    copied = type(model).from_config(model.get_config())
    copied.set_weights(model.get_weights())
    return copied


def require_file(path: str) -> None:
    """Raise a `FileNotFoundError` unless `path` is a file."""
    if not os.path.isfile(path):
        raise FileNotFoundError(
            "the model must be the path of a file or of a SavedModel folder, "
            f"or the name of pretrained weights ({', '.join(registry.NAMES)}). "
            f"Received: {path}."
            f"{suggestions.did_you_mean(path, registry.NAMES)}"
        )


def _load_weights(path, config, image_size):
    weights = pretrained.open_weights(path, config)
    if weights.classes is None:
        raise ValueError(
            f"{path} must have the weights of a classifier. Received: weights "
            "without `conv10`"
        )
    side = image_size or weights.image_size
    model = squeezenet.SqueezeNet(
        weights=None,
        config=weights.config(config),
        classes=weights.classes,
        input_shape=(side, side, 3),
    )
    weights.assign_to(model)
    return model
