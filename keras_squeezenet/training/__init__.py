"""Training: recipes as data, whole runs, and their epochs one by one."""

import importlib

from keras_squeezenet.training.loop import (
    NonFiniteLossError as NonFiniteLossError,
)
from keras_squeezenet.training.loop import accuracy as accuracy
from keras_squeezenet.training.loop import averaged as averaged
from keras_squeezenet.training.loop import (
    compile_classifier as compile_classifier,
)
from keras_squeezenet.training.loop import epochs as epochs
from keras_squeezenet.training.loop import restore as restore
from keras_squeezenet.training.loop import variables as variables
from keras_squeezenet.training.network import build as build
from keras_squeezenet.training.network import for_images as for_images
from keras_squeezenet.training.recipes import RECIPES as RECIPES
from keras_squeezenet.training.requirements import require_fit as require_fit
from keras_squeezenet.training.requirements import (
    require_tensorboard as require_tensorboard,
)
from keras_squeezenet.training.training_recipe import Recipe as Recipe

# They take TensorFlow along; the epochs alone run on every backend.
_NEED_TENSORFLOW = {
    "PHASES": "transfer",
    "Phase": "transfer",
    "WorkerLostError": "distributed",
    "distribute": "distributed",
    "finetune": "transfer",
    "train": "trainer",
}


def __getattr__(name):
    if name not in _NEED_TENSORFLOW:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = f"keras_squeezenet.training.{_NEED_TENSORFLOW[name]}"
    return getattr(importlib.import_module(module), name)
