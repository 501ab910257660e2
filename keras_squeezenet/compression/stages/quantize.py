"""Quantization-aware training: 8-bit weights and activations."""

import numpy as np

from keras_squeezenet.compression import checks
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import preserving_scheme
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression.stages.stage import Stage

# The key of the activation range of the input.
INPUT = "input"
# The key of the range of the logits of a layer with weights and a softmax.
LOGITS = "{}/logits"
# TF-MOT's names of the ranges; that of a QuantizeLayer may end in a number.
RANGES = ("post_activation", "pre_activation", "output", "quantize_layer")


class Quantize(Stage):
    """Training through fake quantization of weights and activations.

    Zeros and shared values are kept, unless the recipe has another
    `quantize_preserve`.
    """

    kind = "quantize"
    name = "quantized"
    rate_divisor = 5
    measures_trainee = True

    def wrap(self, steps, calibration):
        ranges = measure_ranges(self.model, calibration)
        return wrap(self.model, ranges, self.recipe.quantize_preserve)

    def finish(self, trainee):
        before = tf_keras_twin.kernels(self.model)
        quantized = tfmot.strip_clustering_cqat(trainee)
        after = tf_keras_twin.kernels(quantized)
        keeps_zeros, keeps_codebooks = compression_recipe.PRESERVED[
            self.recipe.quantize_preserve
        ]
        if keeps_zeros:
            checks.require_zeros_kept(before, after, self.kind)
        if keeps_codebooks:
            sizes = preserving_scheme.codebook_sizes(before)
            checks.require_distinct(after, sizes, self.kind)
        tf_keras_twin.copy_weights(quantized, self.model)
        return read_ranges(trainee)


def wrap(model, ranges, preserve="both"):
    """Return a twin with TF-MOT's quantization wrappers, to train or convert.

    Untrained, it computes with the weights of the model in 8 bits. `ranges` is
    what `measure_ranges` or `read_ranges` returned, and `preserve` a key of
    `compression_recipe.PRESERVED`.
    """
    kernels = tf_keras_twin.kernels(model)
    with tfmot.one_codebook_per_layer(), tf_keras_twin.generators():
        wrapped = tfmot.quantize_apply(
            tfmot.quantize_annotate_model(tf_keras_twin.make_twin(model)),
            preserving_scheme.PreservingScheme(kernels, preserve),
        )
    _set_ranges(wrapped, ranges, kernels)
    return wrapped


def measure_ranges(model, batches):
    """Return `{layer name: [min, max]}` of the outputs, 0 included.

    A layer with weights and a softmax has a second range, that of its logits,
    under the key `LOGITS`.

    The ranges are means over batches. TF-MOT starts every range at (-6, 6) and
    moves it by a thousandth of the difference in each step: activations of
    several hundred would be clipped to noise for the whole training.
    """
    outputs = {layer.name: layer.output for layer in model.layers[1:]}
    for layer in model.layers:
        if layer.weights and _ends_with_softmax(layer):
            outputs[LOGITS.format(layer.name)] = _logits(layer)
    outputs = {INPUT: model.input, **outputs}
    probe = type(model)(model.input, list(outputs.values()))
    extremes = np.mean(
        [
            [
                (min(0, np.min(output)), max(0, np.max(output)))
                for output in probe.predict_on_batch(batch)
            ]
            for batch in batches
        ],
        axis=0,
    )
    return dict(zip(outputs, extremes.tolist()))


def _ends_with_softmax(layer):
    return layer.get_config().get("activation") == "softmax"


def _logits(layer):
    """Return a layer's output without its activation."""
    config = {**layer.get_config(), "activation": "linear"}
    linear = type(layer).from_config({**config, "name": f"{layer.name}_logits"})
    logits = linear(layer.input)
    linear.set_weights(layer.get_weights())
    return logits


def read_ranges(wrapped):
    """Return the trained ranges of a wrapped model, as `measure_ranges` does.

    It leaves out layers whose outputs TF-MOT does not quantize.
    """
    ranges = {}
    inputs = _inputs(wrapped)
    for name, kind, end, weight in _range_weights(wrapped):
        key = _range_key(name, kind, inputs)
        # The input of an activation layer has the range of the previous layer.
        if kind != "pre_activation" or key == LOGITS.format(name):
            ranges.setdefault(key, [0.0, 0.0])
            ranges[key][end] = float(weight.numpy())
    return ranges


def _set_ranges(wrapped, ranges, kernels):
    inputs = _inputs(wrapped)
    for name, kind, end, weight in _range_weights(wrapped):
        key = _range_key(name, kind, inputs)
        if key in ranges:
            weight.assign(ranges[key][end])
    signs = {"kernel_min": -1, "kernel_max": 1}
    for layer in wrapped.layers:
        for weight in layer.weights:
            sign = signs.get(tf_keras_twin.weight_name(weight))
            if sign:
                # TF-MOT quantizes each output channel symmetrically.
                kernel = np.abs(kernels[layer.layer.name])
                channels = tuple(range(kernel.ndim - 1))
                axes = channels if weight.shape.rank else None
                weight.assign(sign * kernel.max(axis=axes))


def _range_weights(wrapped):
    """Yield `(layer name, kind, end, weight)`; the end is 0 or 1."""
    for layer in wrapped.layers:
        # Only the input and the QuantizeLayer after it have no wrapper.
        name = layer.layer.name if hasattr(layer, "layer") else INPUT
        for weight in layer.weights:
            kind, _, end = tf_keras_twin.weight_name(weight).rpartition("_")
            if kind.startswith(RANGES):
                yield name, kind, ("min", "max").index(end), weight


def _range_key(name, kind, inputs):
    """Return the key in `ranges` for a range that a wrapper keeps as weights.

    The kind `pre_activation` is the input of a softmax: the logits of the layer
    itself, or the output of the layer before an activation layer.
    """
    if kind != "pre_activation":
        return name
    return inputs.get(name, LOGITS.format(name))


def _inputs(wrapped):
    """Return `{activation layer: name of the layer before it}`."""
    names = {
        id(layer.output): layer.layer.name if hasattr(layer, "layer") else INPUT
        for layer in wrapped.layers
    }
    return {
        layer.layer.name: names.get(id(layer.input))
        for layer in wrapped.layers
        if hasattr(layer, "layer") and not hasattr(layer.layer, "kernel")
    }
