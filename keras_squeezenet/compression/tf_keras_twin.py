"""The tf_keras twin of a Keras 3 model: same layers, names and weights.

TF-MOT knows tf_keras only, and tf_keras cannot read the config of a Keras 3
model.
"""

import contextlib

import keras
import tf_keras

from keras_squeezenet import architecture
from keras_squeezenet import graph


def make_twin(model):
    """Rebuilds a flat Functional Keras 3 model in tf_keras.

    Args:
        model: `keras.Model`, as `graph.describe` takes it.

    Returns:
        A `tf_keras.Model` with copies of the weights.

    Raises:
        ValueError: if the model is not Functional, is nested, or has a layer
            that has no twin.
    """
    twin = graph.build(tf_keras, graph.describe(model))
    copy_weights(model, twin)
    return twin


@contextlib.contextmanager
def generators():
    """Has layers of tf_keras made here draw from generators of their own.

    Those can be set back, so that training goes on after a restart as it
    would have without one; what TensorFlow draws from by default cannot.
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


def clone(model, wrap_layer):
    """Returns a twin of a model whose layers are wrapped.

    Args:
        model: as `make_twin` takes it.
        wrap_layer: function from each layer of the twin to a layer.
    """
    with generators():
        # Once only: a wrapper takes the layers of the twin for itself.
        return tf_keras.models.clone_model(
            make_twin(model), clone_function=wrap_layer
        )


def copy_weights(source, target):
    """Copies every layer's kernel and bias to the layer of the same name.

    Either model may be of either Keras; the source may have quantization
    wrappers, and the target further layers.
    """
    targets = _weights(target)
    for key, weight in _weights(source).items():
        targets[key].assign(weight)


def kernels(model):
    """Returns `{layer name: kernel}` of the layers that have one, as NumPy."""
    return {
        layer: keras.ops.convert_to_numpy(weight)
        for (layer, name), weight in _weights(model).items()
        if name == "kernel"
    }


def weight_name(weight):
    """Returns `"kernel"` for a variable named `"conv1/kernel:0"`."""
    return weight.name.rpartition("/")[2].partition(":")[0]


def _weights(model):
    # A wrapped layer's own `kernel` is a symbolic tensor: ask the wrapper.
    return {
        (getattr(layer, "layer", layer).name, weight_name(weight)): weight
        for layer in model.layers
        for weight in layer.weights
        if weight_name(weight) in ("kernel", "bias")
    }


def require_squeezenet(model):
    """Raises a `ValueError` unless the model has SqueezeNet's Fire modules."""
    names = {layer.name for layer in getattr(model, "layers", ())}
    expected = {"conv1"} | {
        f"fire{index}_{part}"
        for index in architecture.FIRE_INDICES
        for part in ("squeeze1x1", "expand1x1", "expand3x3")
    }
    missing = sorted(expected - names)
    if missing:
        raise ValueError(
            "a SqueezeNet of this package is expected. Received: "
            f"{getattr(model, 'name', model)!r}, which has no layer "
            f"{missing[0]!r} ({len(missing)} of {len(expected)} are missing)"
        )
