"""Fisher information of the weights, estimated from unlabeled images.

Labels are drawn from the network's own outputs. Gradients are summed over the
positions of an image before they are squared: squaring them at each position
gives estimates up to 23 times too small for the last layers.
"""

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import graph
from keras_squeezenet.packing import image_sets
from keras_squeezenet.packing import linear_layers
from keras_squeezenet.packing import rate_distortion
from keras_squeezenet.utils.progress import Progress

# Labels drawn for each image.
DRAWS = 2
# An image takes 50 MB.
BATCH_SIZE = 10
# Weight of the second moment of the inputs relative to the Fisher information:
# a few images suffice for the former, and give the latter only roughly.
MOMENT_WEIGHT = 0.5
# Weight of the estimate for each output; the rest is uniform over the outputs.
OUTPUT_WEIGHT = 0.7


def measure(
    model: keras.Model,
    images: np.ndarray,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, rate_distortion.Hessian]:
    """Estimate the Fisher information of each layer that has a kernel.

    The last of these layers gets uniform weights for its outputs, because
    classes that do not occur in the images matter too.

    Args:
        model: from images to probabilities.
        images: float32 array of preprocessed images.
        seed: the seed of the sampled labels.
        progress: what shows the progress. Defaults to `None`: nothing does.
    """
    batches = image_sets.in_batches(images, BATCH_SIZE)
    description = graph.describe(model)
    step = tf.function(
        lambda images, seed: _sums(model, description, images, seed),
        reduce_retracing=True,
    )
    totals = {}
    progress = progress or Progress()
    with progress.task("Fisher information", len(batches)) as advance:
        for number, batch in enumerate(batches):
            found = step(
                tf.convert_to_tensor(batch), tf.constant([seed, number])
            )
            for name, parts in found.items():
                before = totals.get(name, (0, 0, 0))
                totals[name] = [
                    total + part.numpy().astype("float64")
                    for total, part in zip(before, parts)
                ]
            advance()
    *_, last = totals
    return {
        name: _hessian([total / len(images) for total in parts], name == last)
        for name, parts in totals.items()
    }


def _sums(model, description, images, seed):
    """Return three sums over the images for each layer with a kernel.

    They are the Fisher information by input, the second moment of the inputs,
    and the Fisher information by output.
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
    inputs = {
        name: _with_ones(linear_layers.input_columns(*tap[:2]))
        for name, tap in taps.items()
    }
    by_input, by_output = dict.fromkeys(taps, 0.0), dict.fromkeys(taps, 0.0)
    for loss in losses:
        gradients = tape.gradient(loss, {n: tap[2] for n, tap in taps.items()})
        for name, gradient in gradients.items():
            gradient = tf.reshape(
                gradient, (tf.shape(images)[0], -1, gradient.shape[-1])
            )
            weights = tf.einsum("bpi,bpo->boi", inputs[name], gradient)
            squares = tf.reduce_sum(weights[..., :-1] ** 2, (0, 2))
            by_output[name] += squares / DRAWS
            weights = tf.reshape(weights, (-1, weights.shape[-1]))
            by_input[name] += tf.matmul(weights, weights, True) / DRAWS
    return {
        name: (by_input[name], _moment(inputs[name]), by_output[name])
        for name in taps
    }


def _run(model, description, images):
    """Return the output of a model, and `{name: (layer, input, output)}`.

    The dict has the layers with a kernel; its outputs precede the activation.
    """
    taps = {}

    def call(described, *received):
        layer = model.get_layer(described["name"])
        if not layer.weights:
            return layer(graph.only(received))
        output = linear_layers.linear_output(layer, *received)
        taps[layer.name] = layer, *received, output
        return layer.activation(output)

    return graph.run(description, images, call), taps


def _with_ones(x):
    return tf.concat([x, tf.ones_like(x[..., :1])], -1)


def _moment(inputs):
    sampled = linear_layers.sample(inputs)
    positions = tf.shape(sampled)[0] // tf.shape(inputs)[0]
    moment = tf.matmul(sampled, sampled, True)
    return moment / tf.cast(positions, moment.dtype)


def _hessian(means, uniform):
    by_input, moment, by_output = means
    scale = np.trace(by_input) / max(np.trace(moment), 1e-300)
    weight = 0 if uniform or not by_output.any() else OUTPUT_WEIGHT
    return rate_distortion.Hessian(
        by_input + MOMENT_WEIGHT * scale * moment,
        weight * by_output / max(by_output.sum(), 1e-300)
        + (1 - weight) / len(by_output),
    )
