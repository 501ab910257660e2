"""Load .keras files as data: nothing in them is imported or called.

Keras's own loader builds the layers that a file names, and its checks for
dangerous ones have had gaps. Here the network is rebuilt from the layers that
`layers.LAYERS` lists, as that of a .sqz file is.
"""

import os

import keras

from keras_squeezenet import graph
from keras_squeezenet import pretrained
from keras_squeezenet.pretrained import loader
from keras_squeezenet.utils import archive
from keras_squeezenet.utils import files
from keras_squeezenet.utils import strict_json

CONFIG = "config.json"


def load(path: str | os.PathLike) -> keras.Model:
    """Load the Functional or Sequential model in a `.keras` file of Keras 3.

    The model is in float32, not compiled, and without the regularizers and
    constraints of its layers.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is damaged, has layers that `layers.LAYERS` does not
            list, or exceeds the limits of `layers`.
    """
    weights = pretrained.open_weights(path)
    with files.as_value_error(f"{path} cannot be loaded as a Keras model"):
        description, is_trainable = _read_config(weights.content)
    kernels = {
        layer: arrays[0].shape
        for layer, arrays in weights.stored.items()
        if arrays
    }
    with files.as_value_error(f"{path} cannot be loaded as a Keras model"):
        graph.require(description, kernels)
        model = graph.build(keras, description)
        for name, value in is_trainable.items():
            model.get_layer(name).trainable = value
    # Not folded: the network still takes the images that it was trained on.
    loader.assign(weights.stored, model, weights.source)
    return model


def _read_config(content):
    """Return the description of a network, and which layers are trainable."""
    with archive.open_zip(content) as opened:
        if CONFIG not in opened.namelist():
            raise ValueError(f"the archive must have {CONFIG}")
        config = strict_json.loads(opened.read(CONFIG))
    try:
        description = graph.from_config(config["config"])
        arguments = [layer["config"] for layer in config["config"]["layers"]]
        return description, {
            each["name"]: each.get("trainable") is not False
            for each in arguments
        }
    except ValueError as error:
        reason = str(error).rstrip(".")
        raise ValueError(
            f"{reason}. If you trust the file, load it in Python with "
            "`keras.models.load_model`, and pass the model."
        ) from error
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(
            f"its {CONFIG} is not as Keras 3 writes it for a Functional model "
            f"({type(error).__name__}: {error})"
        ) from error
