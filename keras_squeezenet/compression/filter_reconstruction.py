"""Layer-wise reconstruction of a network after filters are removed.

Layer after layer, the weights and biases are fitted by least squares to the
outputs that the layer had in the original network, from the inputs that it has
in the smaller one.
"""

from collections.abc import Collection

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import graph
from keras_squeezenet.compression.channels import Channels
from keras_squeezenet.packing import linear_layers
from keras_squeezenet.packing import reconstruction

# As `reconstruction.fit` takes it.
DAMPING = 0.01


def fit(
    original: keras.Model,
    smaller: keras.Model,
    channels: Channels,
    kept: np.ndarray,
    images: np.ndarray,
    frozen: Collection[str] = (),
) -> None:
    """Fit the weights of the smaller network, from its input to its output.

    Args:
        original: it is not changed.
        smaller: the same network with the `kept` channels.
        channels: of the original.
        kept: bool array of shape `(channels,)`.
        images: float32 array of normalized images.
        frozen: the names of layers whose weights stay as they are. All of
            their channels must be kept. Defaults to `()`: none.
    """

    def call(description, *received):
        name = description["name"]
        layers = original.get_layer(name), smaller.get_layer(name)
        before, after = map(graph.only, zip(*received))
        if not layers[0].weights:
            return layers[0](before), layers[1](after)
        y0 = linear_layers.linear_output(layers[0], before)
        if name not in frozen:
            columns = np.flatnonzero(kept[channels.outputs[name]])
            _fit(layers[1], after, tf.gather(y0, columns, axis=-1))
        y1 = linear_layers.linear_output(layers[1], after)
        return layers[0].activation(y0), layers[1].activation(y1)

    images = tf.convert_to_tensor(images)
    graph.run(graph.describe(original), (images, images), call)


def _fit(layer, x, targets):
    """Fit a layer, so that its outputs before activation are the targets."""
    weights = [array.astype("float64") for array in layer.get_weights()]
    start = weights[0].reshape(-1, weights[0].shape[-1])
    columns = linear_layers.sample(linear_layers.input_columns(layer, x))
    targets = linear_layers.sample_outputs(targets)
    if len(weights) > 1:
        columns = tf.concat([columns, tf.ones_like(columns[:, :1])], 1)
        start = np.vstack([start, weights[1]])
    moment, cross = (
        tf.matmul(columns, array, True).numpy().astype("float64")
        for array in (columns, targets)
    )
    fitted = reconstruction.fit(moment, cross, start, DAMPING)
    kernel, bias = np.split(fitted, [weights[0][..., 0].size])
    layer.set_weights([kernel.reshape(weights[0].shape), *bias])
