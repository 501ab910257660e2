"""Load a Keras model from any argument that names one, save and copy it."""

import dataclasses
import os
import zipfile
from typing import Any

import keras

from keras_squeezenet import architecture
from keras_squeezenet import codec
from keras_squeezenet import flattening
from keras_squeezenet import graph
from keras_squeezenet import inspection
from keras_squeezenet import keras_file
from keras_squeezenet import metadata
from keras_squeezenet import pretrained
from keras_squeezenet import squeezenet
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import hub
from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import files
from keras_squeezenet.utils import staging


@backend.channels_last()
def load(
    model: "keras.Model | str | os.PathLike",
    *,
    config: "architecture.SqueezeNetConfig | str | None" = None,
    image_size: int | None = None,
    normalization: str | None = None,
) -> keras.Model:
    """Load the Keras model that a `model` argument names.

    Args:
        model: a `keras.Model`, which is copied; the path of a `.keras`, `.sqz`
            or weights file; the name of pretrained weights, such as
            `"imagenet"`; or an address on the hub, `"hf://owner/name"`, as
            `pretrained.hub.locate` takes it.
        config: `SqueezeNetConfig` or the name of a variant, for weights.
            Defaults to the variant that the weights fit.
        image_size: int, the side of the input images in pixels, for weights.
            Defaults to the side that the weights were trained for, `227` for
            ImageNet.
        normalization: the normalization of the images that the network was
            trained on, a key of `normalizations.NORMALIZATIONS`. Defaults to
            that in the file, or else to that of `preprocess_input`. Weights are
            folded, so that they take the output of `preprocess_input`.

    Returns:
        A `keras.Model`, not compiled, with its `metadata`.

    Raises:
        OSError: if the file is missing or cannot be downloaded.
        ValueError: if the file is damaged or is not a classifier, `model` is
            of another type, or the file has another normalization.

    Example:

    >>> model = models.load("cifar10")
    >>> model.output_shape
    (None, 10)
    """
    if isinstance(model, keras.Model):
        return _with_metadata(copy(model), metadata.of(model), normalization)
    registry.require_name(model)
    path = hub.locate(model).path
    if path in registry.NAMES:
        file = registry.find(path, config).file
        if file.name.endswith(".sqz"):
            path = str(download.fetch(file))
    else:
        registry.require_file(path)
    if path.endswith(".keras"):
        loaded = keras_file.load(path)
    elif path.endswith(".sqz"):
        loaded = codec.load(path)
    else:
        return _load_weights(path, config, image_size, normalization)
    return _with_metadata(loaded, read_metadata(path), normalization, path)


def save(model: keras.Model, path: str | os.PathLike) -> None:
    """Write a model and its metadata to a `.keras` file.

    Keras can load the file without this package. It is written whole or not at
    all.
    """
    with files.new_file(path) as temporary:
        folder = temporary.with_name("unzipped")
        model.save(folder, zipped=False)
        with zipfile.ZipFile(temporary, "w") as archive:
            for file in staging.files_in(folder):
                name = file.relative_to(folder).as_posix()
                # Without the time: zip files have none before 1980.
                archive.writestr(zipfile.ZipInfo(name), file.read_bytes())
        metadata.write(temporary, metadata.of(model))


def read_metadata(model: Any) -> "metadata.Metadata | None":
    """Return the metadata of a model or a file, if it has any.

    Raises:
        ValueError: if they are damaged.
    """
    if isinstance(model, keras.Model):
        return metadata.of(model)
    if not isinstance(model, str | os.PathLike):
        return None
    path = hub.locate(model).path
    return inspection.read_metadata(path) if os.path.exists(path) else None


def copy(model: keras.Model, dtype: str | None = None) -> keras.Model:
    """Return an uncompiled copy of a model, with its names and weights.

    Its layers have the dtype policy `dtype`, but for the output layers, which
    have `"float32"`. By default they have those of the model.
    """
    config = model.get_config()
    if dtype is not None:
        # A Sequential model has no names of outputs.
        outputs = getattr(model, "output_names", [model.layers[-1].name])
        config = _with_policy(config, dtype, outputs)
    # `clone_model` would give the input layer another name.
    copied = type(model).from_config(config)
    copied.set_weights(model.get_weights())
    found = metadata.of(model)
    if found:
        metadata.attach(copied, found)
    return copied


def _with_policy(config, dtype, outputs):
    """Return a configuration with another dtype policy in every layer.

    Those that have a name in `outputs` get float32.
    """
    if isinstance(config, list | tuple):
        return type(config)(
            _with_policy(each, dtype, outputs) for each in config
        )
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return dtype
    if config.get("name") in outputs:
        dtype = "float32"
    return {
        key: _with_policy(each, dtype, outputs) for key, each in config.items()
    }


def frozen_layers(model: keras.Model) -> set[str]:
    """Return the names of the layers that are not trainable."""
    return {layer.name for layer in model.layers if not layer.trainable}


def rebuild(model: keras.Model, description: dict) -> keras.Model:
    """Build the layers of a description, with new weights.

    The metadata, and which layers are frozen, are those of a model with layers
    of the same names.
    """
    built = graph.build(keras, description)
    metadata.attach(built, metadata.of(model) or metadata.describe(model))
    frozen = frozen_layers(model)
    for layer in built.layers:
        layer.trainable = layer.name not in frozen
    return built


def resize(model: keras.Model, image_size: int) -> keras.Model:
    """Return a copy of a network for images of another size.

    It has the same weights, which in a SqueezeNet do not depend on the size,
    and the same frozen layers. The weights have to be trained again: what they
    know is the size that they were trained on.

    Args:
        model: `keras.Model` for square images, as `flattening.flatten` takes
            it.
        image_size: the new side of the images in pixels.

    Raises:
        ValueError: if the images are too small for the network.

    Example:

    >>> model = models.resize(models.load("cifar10"), 48)
    >>> model.input_shape
    (None, 48, 48, 3)
    """
    flat = flattening.flatten(model)
    description = graph.describe(flat)
    first, *others = description["layers"]
    first = {**first, "shape": [image_size, image_size, first["shape"][-1]]}
    try:
        resized = rebuild(flat, {**description, "layers": [first, *others]})
    except ValueError as error:
        raise ValueError(
            f"the images are too small for {model.name!r}. Received: "
            f"image_size={image_size!r}: {error}"
        ) from error
    resized.set_weights(flat.get_weights())
    found = metadata.of(resized) or metadata.describe(resized)
    metadata.attach(resized, dataclasses.replace(found, image_size=image_size))
    return resized


def _with_metadata(model, found, stated, path=None):
    """Return a model with the metadata of its file, or else the usual."""
    normalization = metadata.resolve(found, stated, path or "the model")
    if found is None:
        if path and stated is None:
            metadata.say_assumed(path)
        found = metadata.describe(model, normalization)
    metadata.attach(model, found)
    return model


def _load_weights(path, config, image_size, normalization):
    weights = pretrained.open_weights(path, config, normalization=normalization)
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
    entry = weights.entry
    names = entry.class_names if entry else ()
    trained_on = entry.image_size if entry else side
    found = metadata.Metadata(image_size=trained_on, class_names=names)
    metadata.attach(model, found)
    return model
