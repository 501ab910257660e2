"""Quantization-aware training that keeps zeros and shared values.

TF-MOT's own prune- and cluster-preserving schemes drop both, silently, in
every convolution that feeds a Concatenate: in SqueezeNet's expand layers.
"""

import contextlib

import numpy as np
import tf_keras

from keras_squeezenet.compression import guarantees
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression import twin as twins


def quantize(model, clusters, calibration, fit, steps):
    """Trains a model, in place, with weights and activations of 8 bits.

    Args:
        model: `keras.Model` that has a twin, pruned and clustered.
        clusters: dict of layer name to the size of its codebook.
        calibration: list of batches of images, to set the ranges of the
            activations by.
        fit: function of `(twin, steps, callbacks)` that trains a tf_keras
            model.
        steps: int, the number of training steps.

    Returns:
        A `tf_keras.Model` of quantization wrappers, ready for conversion to
        LiteRT. Its kernels are float32, and those of `model` equal them.

    Raises:
        GuaranteeError: if a kernel has lost a zero, or has more distinct
            values than its codebook. The model is unchanged then.
    """
    before = twins.kernels(model)
    twin = twins.make_twin(model)
    ranges = measure_ranges(twin, calibration)
    with _codebooks_by_layer():
        wrapped = tfmot.quantize_apply(
            tfmot.quantize_annotate_model(twin), _PreservingScheme()
        )
    set_ranges(wrapped, ranges)
    fit(wrapped, steps, [])
    quantized = tfmot.strip_clustering_cqat(wrapped)
    after = twins.kernels(quantized)
    guarantees.require_zeros_kept(before, after, "quantize")
    guarantees.require_distinct(after, clusters, "quantize")
    twins.copy_weights(quantized, model)
    return quantized


def measure_ranges(twin, batches):
    """Returns the mean range over batches of what each layer puts out.

    TF-MOT starts every range at (-6, 6) and moves it by a thousandth of the
    way a step: a network whose activations are hundreds would be clipped to
    noise for its whole training.

    Returns:
        A dict of layer name to `(input range, output range)`, where a range
        is `(min, max)` and takes in 0.
    """
    probe = tf_keras.Model(twin.input, [layer.output for layer in twin.layers])
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
    by_output = {
        id(layer.output): extreme
        for layer, extreme in zip(twin.layers, extremes)
    }
    return {
        layer.name: (
            by_output.get(id(layer.input)),
            by_output[id(layer.output)],
        )
        for layer in twin.layers
    }


def set_ranges(quantized, ranges):
    """Sets the activation ranges of a model of quantization wrappers."""
    for layer in quantized.layers:
        if hasattr(layer, "layer"):
            before, after = ranges[layer.layer.name]
        else:
            # The input, or the QuantizeLayer behind it.
            before = after = ranges[quantized.layers[0].name][1]
        for weight in layer.weights:
            kind, _, end = twins.weight_name(weight).rpartition("_")
            if kind in ("post_activation", "output", "quantize_layer"):
                found = after
            elif kind == "pre_activation":
                found = before
            else:
                continue
            weight.assign(found[("min", "max").index(end)])


class _PreservingScheme(tfmot.Default8BitQuantizeScheme):
    def get_layout_transformer(self):
        return _PreservingLayoutTransform(super().get_layout_transformer())

    def get_quantize_registry(self):
        return _PreservingRegistry()


class _PreservingLayoutTransform(tfmot.QuantizeLayoutTransform):
    """Leaves every convolution's config to the scheme's own registry.

    The layout transform for Concatenate gives the layers in front of it the
    default 8-bit config, which knows neither zeros nor codebooks.
    """

    def __init__(self, inner):
        self.inner = inner

    def apply(self, model, layer_quantize_map):
        model, layer_quantize_map = self.inner.apply(model, layer_quantize_map)
        for layer in model.layers:
            if isinstance(layer, tf_keras.layers.Conv2D):
                layer_quantize_map[layer.name]["quantize_config"] = None
        return model, layer_quantize_map


class _PreservingRegistry(tfmot.Default8BitQuantizeRegistry):
    """Preserves zeros and codebooks, each layer for itself.

    One registry of TF-MOT shares its quantizers among the layers, and the
    first layer without a zero turns the preserving of zeros off for the rest.
    """

    def get_quantize_config(self, layer):
        return tfmot.ClusterPreserveQuantizeRegistry(
            preserve_sparsity=True
        ).get_quantize_config(layer)


@contextlib.contextmanager
def _codebooks_by_layer():
    """Makes TF-MOT look for one codebook a layer while it wraps a model.

    Where every channel happens to use all the shared values it takes them for
    one codebook a channel, which multiplies the distinct values by the number
    of channels, and unrolls every training step over them.
    """
    module = tfmot.cluster_preserve
    original = module.get_centroids

    def get_centroids(layer, weight, data_format):
        del layer, data_format
        centroids, index = module.get_unique(weight)
        return centroids, len(centroids), index, False

    module.get_centroids = get_centroids
    try:
        yield
    finally:
        module.get_centroids = original
