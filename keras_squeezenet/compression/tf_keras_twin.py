"""The tf_keras twin of a Keras 3 model: same layers, names and weights.

TF-MOT needs tf_keras, and tf_keras cannot read the config of a Keras 3 model.
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
    """Rebuild a flat Functional Keras 3 model in tf_keras.

    Args:
        model: `keras.Model`, as `graph.describe` takes it.

    Returns:
        A `tf_keras.Model` with copies of the weights.

    Raises:
        ValueError: if the model is not Functional, is nested, or has a layer
            without a twin.
    """
    twin = graph.build(tf_keras, graph.describe(model))
    copy_weights(model, twin)
    return twin


@contextlib.contextmanager
def generators() -> Iterator[None]:
    """Give the tf_keras layers that are made here generators of their own.

    These can be reset, so that a resumed fit continues as if it had not been
    stopped. The generator that TensorFlow uses by default cannot.
    """
    random = tf_keras.backend.experimental
    if random.is_tf_random_generator_enabled():
        yield
        return
    random.enable_tf_random_generator()
    try:
        yield
    finally:
        random.disable_tf_random_generator()


def clone(model: keras.Model, wrap_layer: Callable) -> tf_keras.Model:
    """Return a twin of a model whose layers are wrapped.

    Args:
        model: as `make_twin` takes it.
        wrap_layer: function from each layer of the twin to a layer.
    """
    with generators():
        # A new twin each time: a wrapper takes its layers for itself.
        return tf_keras.models.clone_model(
            make_twin(model), clone_function=wrap_layer
        )


def copy_weights(source: Any, target: Any) -> None:
    """Copy every layer's kernel and bias to the layer of the same name.

    Either model may be of Keras 3 or of tf_keras. The source may have
    quantization wrappers, and the target may have more layers.
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
    # A wrapped layer's own `kernel` is a symbolic tensor: ask the wrapper.
    return {
        (getattr(layer, "layer", layer).name, weight_name(weight)): weight
        for layer in model.layers
        for weight in layer.weights
        if weight_name(weight) in ("kernel", "bias")
    }


def require_squeezenet(model: Any) -> None:
    """Raise a `ValueError` unless the model has SqueezeNet's Fire modules."""
    names = {layer.name for layer in getattr(model, "layers", ())}
    expected = {"conv1"} | {
        f"fire{index}_{part}"
        for index in architecture.FIRE_INDICES
        for part in ("squeeze1x1", "expand1x1", "expand3x3")
    }
    missing = sorted(expected - names)
    if missing:
        raise ValueError(
            "the model must be a SqueezeNet of this package. Received: "
            f"{getattr(model, 'name', model)!r}, which has no layer "
            f"{missing[0]!r} ({len(missing)} of {len(expected)} are missing)"
        )
