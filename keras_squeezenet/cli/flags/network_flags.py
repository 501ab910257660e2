"""The flags that say which trained network is used."""

import os

from keras_squeezenet import architecture
from keras_squeezenet.pretrained import hub
from keras_squeezenet.utils import files

_WEIGHTS = (
    "pretrained weights by name (see `keras-squeezenet weights list`) or by "
    "file, or an address on the Hugging Face hub, "
    "hf://owner/name[/file][@revision]"
)
MODEL = f"a trained network: a .keras or .sqz file, {_WEIGHTS}"
ARTIFACT = (
    "a trained network: a .keras, .sqz, .tflite or .onnx file, a folder of a "
    "SavedModel or for OpenVINO, " + _WEIGHTS
)
# Files that have the architecture as well as the weights.
COMPLETE_SUFFIXES = (".keras", ".onnx", ".sqz", ".tflite")
NETWORK_SUFFIXES = (*COMPLETE_SUFFIXES, *hub.SUFFIXES)
# Files for runtimes, which show only the outputs of a network.
WITHOUT_LAYERS = (".tflite", ".onnx", ".xml")
# The keys of `normalizations.NORMALIZATIONS`, which loads NumPy.
NORMALIZATIONS = (
    *("caffe", "squeezenet", "tf", "torch", "gluon", "raw", "unit"),
)


def define_model(flag_values, what=MODEL, default=None):
    """Define `--model`, which may also be the positional argument."""
    flag_values.define(str, "model", default, what)


def take_model(flag_values, positional, is_needed=True):
    """Return the one model that the flag or a positional argument names."""
    models = [*positional, flag_values["model"].value]
    models = [model for model in models if model is not None]
    if len(models) > 1 or (is_needed and not models):
        raise ValueError(
            "one model must be given, as MODEL or --model=MODEL. Received: "
            f"{', '.join(models) or 'none'}"
        )
    return models[0] if models else None


def define_variant(flag_values):
    flag_values.define(
        list(architecture.VARIANTS),
        "config",
        None,
        "the architecture of pretrained weights (default: 1.1 if there are "
        "such weights for it, else the one that has them)",
    )


def define_normalization(flag_values):
    flag_values.define(
        NORMALIZATIONS,
        "normalization",
        None,
        "the normalization of the images that the network was trained on: "
        "caffe (that of preprocess_input), raw (RGB from 0 to 255), unit (from "
        "0 to 1), ... (default: that of the file, or caffe)",
    )


def require_config_used(flag_values, model):
    """Raise a `ValueError` for `--config` of a model that has its own."""
    is_address = hub.is_address(model)
    file = hub.Address.parse(model).file or "" if is_address else model
    has_its_own = file.endswith(COMPLETE_SUFFIXES) or os.path.isdir(file)
    if flag_values["config"].value and has_its_own:
        raise ValueError(
            "--config is for pretrained weights, and the model has an "
            f"architecture of its own. Received: {model}, --config="
            f"{flag_values['config'].value}"
        )


def require_layers(model, what):
    """Raise a `ValueError` for a file of a network without its layers."""
    if model.endswith(WITHOUT_LAYERS) or os.path.isdir(model):
        raise ValueError(
            f"{what} needs a network with its layers: a .keras or .sqz file, "
            f"or weights by name or by file. Received: {model}"
        )


def define_images(flag_values):
    """Define what images an architecture of weights takes."""
    define_variant(flag_values)
    define_normalization(flag_values)
    flag_values.define(
        int,
        "image_size",
        None,
        "side of the square images in pixels, where the network takes any "
        "(default: the size that it was trained for)",
        1,
    )


def define(flag_values):
    """Define the flags beside the model that `load` reads."""
    define_images(flag_values)
    flag_values.define(
        str,
        "labels",
        None,
        "a text file with the name of a class on each line (default: the names "
        "saved with the network, or those of ImageNet)",
    )


def load(flag_values, model):
    """Return the `classifier.Classifier` of a model and the flags."""
    require_config_used(flag_values, model)
    labels = read_labels(flag_values["labels"].value)
    from keras_squeezenet import classifier

    return classifier.load(
        model,
        flag_values["config"].value,
        flag_values["image_size"].value,
        labels,
        flag_values["normalization"].value,
    )


def read_labels(path):
    """Return the names in the file of `--labels`, or `None` without one."""
    if path is None:
        return None
    lines = files.read_text(path).splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise ValueError(
            "--labels must be a file with the name of a class on each line. "
            f"Received: --labels={path}, which has none"
        )
    return names
