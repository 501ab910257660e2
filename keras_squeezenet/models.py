"""Load a Keras model from any argument that names one."""

import os

import keras

from keras_squeezenet import architecture
from keras_squeezenet import codec
from keras_squeezenet import pretrained
from keras_squeezenet import squeezenet
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import suggestions


def load(
    model: "keras.Model | str | os.PathLike",
    *,
    config: "architecture.SqueezeNetConfig | str | None" = None,
    image_size: int | None = None,
) -> keras.Model:
    """Load the Keras model that a `model` argument stands for.

    Args:
        model: a `keras.Model`, of which a copy is returned, so that the
            original stays unchanged; the path of a `.keras` model, a `.sqz`
            file or a weights file; or the name of pretrained weights, such as
            `"imagenet"`. All files take what `preprocess_input` makes.
        config: `SqueezeNetConfig` or the name of a variant, for weights.
            Defaults to the variant that the weights fit.
        image_size: int, the side of the input images in pixels, for weights.
            Defaults to the side that the weights were trained for, `227` for
            ImageNet.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        OSError: if there is no such file, or it cannot be downloaded.
        ValueError: if the file is damaged or has no classifier, or `model` is
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
        return _load_keras(path)
    if path.endswith(".sqz"):
        return codec.load(path)
    return _load_weights(path, config, image_size)


def copy(model: keras.Model) -> keras.Model:
    """Return a model with the same layers, names and weights, not compiled."""
    # `clone_model` would give the input layer another name.
    copied = type(model).from_config(model.get_config())
    copied.set_weights(model.get_weights())
    return copied


def require_file(path: str) -> None:
    """Raise a `FileNotFoundError` unless there is a file at a path."""
    if not os.path.isfile(path):
        raise FileNotFoundError(
            "the model must be the path of a file or of a SavedModel folder, "
            f"or the name of pretrained weights ({', '.join(registry.NAMES)}). "
            f"Received: {path}."
            f"{suggestions.did_you_mean(path, registry.NAMES)}"
        )


def _load_keras(path):
    try:
        model = keras.models.load_model(path, compile=False)
        # It raises if the model was never built.
        _ = model.input_shape
        return model
    # Keras has many exceptions for a damaged file.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be loaded as a Keras model: {error}"
        ) from error


def _load_weights(path, config, image_size):
    weights = pretrained.open_weights(path, config)
    if weights.classes is None:
        raise ValueError(
            f"{path} must have the weights of a classifier. It has those of "
            "the features only."
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
