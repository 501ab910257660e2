"""How much each weight matters to what a network says, from images alone.

The Fisher information of a layer's weights: gradients of the loss with labels
that are drawn from the network's own output, summed over the positions of an
image before they are squared. By estimates of each position the last layers
matter up to 23 times less than they do.
"""

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import graph
from keras_squeezenet.packing import rate_distortion

# Labels drawn for each image.
DRAWS = 2
# Of the second moment of the inputs, which few images estimate well, beside
# the Fisher information, which they estimate roughly.
MOMENT_SHARE = 0.5
# Of the outputs' own importance; the rest is the same for all.
ROW_SHARE = 0.7


def measure(model, batches, seed=0, advance=lambda **metrics: None):
    """Measures the importance of the weights of each layer that has a kernel.

    Args:
        model: `keras.Model`, as `graph.describe` takes it, from images to
            probabilities.
        batches: iterable of batches of preprocessed images, of 10 or so: an
            image takes some 50 MB.
        seed: int, of the labels that are drawn. Defaults to `0`.
        advance: function called after each batch. Defaults to one that does
            nothing.

    Returns:
        `{layer name: rate_distortion.Importance}`. That of the last layer with
        a kernel is the same for all its outputs: classes that are not among
        the images matter too.
    """
    description = graph.describe(model)
    step = tf.function(
        lambda images, seed: _sums(model, description, images, seed),
        reduce_retracing=True,
    )
    totals, count = {}, 0
    for number, images in enumerate(batches):
        found = step(tf.convert_to_tensor(images), tf.constant([seed, number]))
        for name, parts in found.items():
            before = totals.get(name, (0, 0, 0))
            totals[name] = [
                total + part.numpy().astype("float64")
                for total, part in zip(before, parts)
            ]
        count += len(images)
        advance()
    *_, last = totals
    return {
        name: _importance(*(total / count for total in parts), name == last)
        for name, parts in totals.items()
    }


def columns(layer, x):
    """Returns what a layer's kernel is multiplied with.

    Args:
        layer: `Conv2D` or `Dense`.
        x: its input.

    Returns:
        A tensor of shape `(batch, positions, inputs)`, the inputs in the order
        of the kernel.
    """
    if isinstance(layer, keras.layers.Dense):
        return x[:, tf.newaxis]
    patches = tf.image.extract_patches(
        x,
        (1, *layer.kernel_size, 1),
        (1, *layer.strides, 1),
        (1, 1, 1, 1),
        layer.padding.upper(),
    )
    return tf.reshape(
        patches, (tf.shape(x)[0], -1, np.prod(layer.kernel.shape[:-1]))
    )


def linear(layer, x, kernel=None, bias=None):
    """Returns the output of a layer before its activation.

    Args:
        layer: `Conv2D` or `Dense`.
        x: its input.
        kernel, bias: in the place of the layer's own. Default to these.
    """
    kernel = layer.kernel if kernel is None else kernel
    bias = layer.bias if bias is None else bias
    if isinstance(layer, keras.layers.Dense):
        y = keras.ops.matmul(x, kernel)
    else:
        y = keras.ops.conv(
            x, kernel, strides=layer.strides, padding=layer.padding
        )
    return y if bias is None else y + bias


def _sums(model, description, images, seed):
    """Returns, summed over images, of each layer with a kernel

    the Fisher information of its inputs, their second moment, and the Fisher
    information of its outputs.
    """
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        outputs, taps = _run(model, description, images)
        log = tf.math.log(outputs + 1e-12)
        labels = tf.random.stateless_categorical(log, DRAWS, seed)
        losses = [
            -tf.reduce_sum(tf.gather(log, labels[:, draw], batch_dims=1))
            for draw in range(DRAWS)
        ]
    inputs = {name: _with_ones(columns(*tap[:2])) for name, tap in taps.items()}
    fisher, rows = dict.fromkeys(taps, 0.0), dict.fromkeys(taps, 0.0)
    for loss in losses:
        gradients = tape.gradient(loss, {n: tap[2] for n, tap in taps.items()})
        for name, gradient in gradients.items():
            gradient = tf.reshape(
                gradient, (tf.shape(images)[0], -1, gradient.shape[-1])
            )
            weights = tf.einsum("bpi,bpo->boi", inputs[name], gradient)
            rows[name] += tf.reduce_sum(weights[..., :-1] ** 2, (0, 2)) / DRAWS
            weights = tf.reshape(weights, (-1, weights.shape[-1]))
            fisher[name] += tf.matmul(weights, weights, True) / DRAWS
    return {
        name: (fisher[name], _moment(inputs[name]), rows[name]) for name in taps
    }


def _run(model, description, images):
    """Returns the output, and of each layer with a kernel

    itself, its input, and its output before the activation.
    """
    taps = {}

    def call(described, *received):
        layer = model.get_layer(described["name"])
        if not layer.weights:
            return layer(graph.only(received))
        output = linear(layer, *received)
        taps[layer.name] = layer, *received, output
        return layer.activation(output)

    return graph.run(description, images, call), taps


def _with_ones(x):
    return tf.concat([x, tf.ones_like(x[..., :1])], -1)


def _moment(inputs):
    positions = tf.cast(tf.shape(inputs)[1], inputs.dtype)
    flat = tf.reshape(inputs, (-1, inputs.shape[-1]))
    return tf.matmul(flat, flat, True) / positions


def _importance(fisher, moment, rows, uniform):
    scale = np.trace(fisher) / max(np.trace(moment), 1e-300)
    share = 0 if uniform or not rows.any() else ROW_SHARE
    return rate_distortion.Importance(
        fisher + MOMENT_SHARE * scale * moment,
        share * rows / max(rows.sum(), 1e-300) + (1 - share) / len(rows),
    )
