"""The tf_keras twin of a Keras 3 model: same layers, names and weights.

TF-MOT needs tf_keras, which cannot read the config of a Keras 3 model.
"""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tf_keras

from keras_squeezenet import architecture
from keras_squeezenet import graph


def make_twin(model: keras.Model) -> tf_keras.Model:
    """Rebuild in tf_keras a model that `graph.describe` takes.

    It must be Functional and flat, of layers that have a twin.
    """
    twin = graph.build(tf_keras, graph.describe(model))
    copy_weights(model, twin)
    return twin


@contextlib.contextmanager
def generators() -> Iterator[None]:
    """Give the tf_keras layers made in the block their own random generators.

    Unlike TensorFlow's default generator these can be reset, so that a resumed
    fit continues with the same numbers.
    """
    random = tf_keras.backend.experimental
    was_enabled = random.is_tf_random_generator_enabled()
    random.enable_tf_random_generator()
    try:
        yield
    finally:
        if not was_enabled:
            random.disable_tf_random_generator()


def clone(model: keras.Model, wrap_layer: Callable) -> tf_keras.Model:
    """Return a twin whose layers are replaced by `wrap_layer` of each."""
    with generators():
        # A new twin each time, because wrappers take over its layers.
        return tf_keras.models.clone_model(
            make_twin(model), clone_function=wrap_layer
        )


def copy_weights(source: Any, target: Any) -> None:
    """Copy every kernel and bias to the layer of the same name.

    Either model may be of Keras 3 or tf_keras. The source may have quantization
    wrappers, and the target may have more layers.
    """
    targets = _weights(target)
    for key, weight in _weights(source).items():
        targets[key].assign(weight)


def kernels(model: Any) -> dict[str, np.ndarray]:
    """Return `{layer name: kernel}` of the layers that have one."""
    return {
        layer: keras.ops.convert_to_numpy(weight)
        for (layer, name), weight in _weights(model).items()
        if name == "kernel"
    }


def weight_name(weight: Any) -> str:
    """Return `"kernel"` for a variable named `"conv1/kernel:0"`."""
    return weight.name.rpartition("/")[2].partition(":")[0]


def _weights(model):
    # The wrapper has the variables; a wrapped `kernel` may be symbolic.
    return {
        (getattr(layer, "layer", layer).name, weight_name(weight)): weight
        for layer in model.layers
        for weight in layer.weights
        if weight_name(weight) in ("kernel", "bias")
    }


def require_squeezenet(model: Any) -> None:
    """Raise a `ValueError` unless the model has Fire modules of this package.

    The network may be truncated after any of them, and have another head.
    """
    names = {layer.name for layer in getattr(model, "layers", ())}
    parts = ("squeeze1x1", "expand1x1", "expand3x3")
    if not any(
        all(f"fire{index}_{part}" in names for part in parts)
        for index in architecture.FIRE_INDICES
    ):
        raise ValueError(
            "the model must be a SqueezeNet of this package, with layers such "
            "as 'fire2_squeeze1x1', 'fire2_expand1x1' and 'fire2_expand3x3'. "
            f"Received: {getattr(model, 'name', model)!r}, without them"
        )
