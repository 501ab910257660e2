"""SqueezeNet for Keras: networks, weights, and the smallest files of them."""

import importlib

__version__ = "0.1.0"

# Where each public name lives. It is imported on first use, so that the
# command line answers at once, and can quiet TensorFlow before it loads.
_MODULES = {
    "SqueezeNet": "squeezenet",
    "SqueezeNet1_0": "squeezenet",
    "SqueezeNet1_1": "squeezenet",
    "SqueezeNetComplexBypass": "squeezenet",
    "SqueezeNetConfig": "architecture",
    "SqueezeNetSimpleBypass": "squeezenet",
    "Stem": "architecture",
    "decode_predictions": "squeezenet",
    "preprocess_input": "squeezenet",
}

__all__ = list(_MODULES)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)


def __dir__():
    return sorted({*globals(), *__all__})
