"""Load a Keras model from any argument that names one."""

import os

import keras

from keras_squeezenet import architecture
from keras_squeezenet import codec
from keras_squeezenet import pretrained
from keras_squeezenet import squeezenet
from keras_squeezenet.pretrained import packaged
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained import sources
from keras_squeezenet.utils import suggestions


def load(
    model: "keras.Model | str | os.PathLike",
    *,
    config: "architecture.SqueezeNetConfig | str | None" = None,
    image_size: int | None = None,
) -> keras.Model:
    """Load the Keras model that a `model` argument stands for.

    Args:
        model: a `keras.Model`, of which a copy with the same weights is
            returned; the path of a `.keras` model, a `.sqz` file or a weights
            file; or the name of pretrained weights such as `"imagenet"`.
        config: `SqueezeNetConfig` or the name of a variant, for weights.
            Defaults to the variant that the weights fit.
        image_size: int, the side of the input images in pixels, for weights.
            Defaults to the size that the weights were trained for, `227` for
            ImageNet.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        OSError: if there is no such file, or it cannot be downloaded.
        ValueError: if the file is damaged or has no classifier, or `model` is
            of another type.
    """
    if isinstance(model, keras.Model):
        return copy(model)
    if not isinstance(model, str | os.PathLike):
        raise ValueError(
            "`model` must be a `keras.Model`, a path, or the name of "
            f"pretrained weights. Received: model={model!r}"
        )
    path = packaged.locate(model)
    if path.endswith(".keras"):
        return _load_keras(path)
    if path.endswith(".sqz"):
        _require_file(path)
        return codec.load(path)
    return _load_weights(path, config, image_size)


def copy(model: keras.Model) -> keras.Model:
    """Return a model with the same layers, names and weights, not compiled."""
    # `clone_model` would give the input layer another name.
    copied = type(model).from_config(model.get_config())
    copied.set_weights(model.get_weights())
    return copied


def _load_weights(path, config, image_size):
    if path in sources.NAMES:
        config, classes = config or sources.named(path).variant, 1000
    else:
        _require_file(path)
        arrays = readers.read(path)
        config = config or pretrained.identify_network(path, arrays)[0]
        classes = arrays["conv10"][-1].size if "conv10" in arrays else None
    if classes is None:
        raise ValueError(
            f"{path} must have the weights of a classifier. It has those of "
            "the features only."
        )
    side = image_size or squeezenet.DEFAULT_SIDE
    return squeezenet.SqueezeNet(
        weights=path,
        config=config,
        classes=classes,
        input_shape=(side, side, 3),
    )


def _load_keras(path):
    _require_file(path)
    try:
        model = keras.models.load_model(path, compile=False)
        # It raises where the model was never built.
        _ = model.input_shape
        return model
    # Keras has many exceptions for a damaged file.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be loaded as a Keras model: {error}"
        ) from error


def _require_file(path):
    if not os.path.isfile(path):
        names = [*sources.NAMES, *packaged.WEIGHTS]
        raise FileNotFoundError(
            "the model must be the path of a file or the name of pretrained "
            f"weights ({', '.join(names)}). Received: {path}."
            f"{suggestions.did_you_mean(path, names)}"
        )
