"""8-bit weights and activations that keep zeros and shared values.

TF-MOT's own prune- and cluster-preserving schemes drop both, silently, in
every convolution that feeds a Concatenate: in SqueezeNet's expand layers.
"""

import contextlib

import numpy as np
import tf_keras

from keras_squeezenet.compression import checks
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot

# More values than that are no codebook: 8 bits have no more.
MAX_CODEBOOK = 256
# What the ranges call the input, whatever its layer is called.
INPUT = "input"
# What is preserved of a kernel, by its name in a recipe: zeros, shared values.
PRESERVED = {
    "both": (True, True),
    "sparsity": (True, False),
    "clusters": (False, True),
    "none": (False, False),
}


def wrap(model, ranges, preserve="both"):
    """Returns a twin with fake quantization, to be trained or converted.

    As it is, it computes with the model's weights in 8 bits.

    Args:
        model: `keras.Model` that has a twin.
        ranges: what `measure_ranges` or `read_ranges` returned.
        preserve: `"both"`, `"sparsity"`, `"clusters"` or `"none"`, what
            training shall keep of each kernel that has it. Defaults to
            `"both"`.

    Returns:
        A `tf_keras.Model` of TF-MOT's quantization wrappers.
    """
    kernels = tf_keras_twin.kernels(model)
    with _codebooks_by_layer(), tf_keras_twin.generators():
        wrapped = tfmot.quantize_apply(
            tfmot.quantize_annotate_model(tf_keras_twin.make_twin(model)),
            _PreservingScheme(kernels, preserve),
        )
    _set_ranges(wrapped, ranges, kernels)
    return wrapped


def finish(wrapped, model, preserve="both"):
    """Copies what a wrapped twin has become to its model.

    Returns:
        The ranges of its activations, as `wrap` takes them.

    Raises:
        CheckError: if a kernel has lost a zero or has more distinct values
            than before, and should have kept them. The model is unchanged
            then.
    """
    before = tf_keras_twin.kernels(model)
    quantized = tfmot.strip_clustering_cqat(wrapped)
    after = tf_keras_twin.kernels(quantized)
    keeps_zeros, keeps_codebooks = PRESERVED[preserve]
    if keeps_zeros:
        checks.require_zeros_kept(before, after, "quantize")
    if keeps_codebooks:
        checks.require_distinct(after, codebook_sizes(before), "quantize")
    tf_keras_twin.copy_weights(quantized, model)
    return read_ranges(wrapped)


def codebook_sizes(kernels):
    """Returns `{layer name: distinct values}` of the kernels that share some.

    Args:
        kernels: dict of layer name to array.
    """
    sizes = {name: len(np.unique(kernel)) for name, kernel in kernels.items()}
    return {
        name: size
        for name, size in sizes.items()
        if size <= MAX_CODEBOOK and size < kernels[name].size
    }


def measure_ranges(model, batches):
    """Returns the mean range over batches of what each layer puts out.

    TF-MOT starts every range at (-6, 6) and moves it by a thousandth of the
    way a step: a network whose activations are hundreds would be clipped to
    noise for its whole training.

    Args:
        model: flat Functional model of either Keras.
        batches: list of batches of images.

    Returns:
        A dict of layer name to `[min, max]`, which take in 0.
    """
    names = [INPUT, *(layer.name for layer in model.layers[1:])]
    probe = type(model)(model.input, [layer.output for layer in model.layers])
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
    return dict(zip(names, extremes.tolist()))


def read_ranges(wrapped):
    """Returns what training has made of the ranges, as `measure_ranges` does.

    Layers whose output TF-MOT does not quantize are not in it.
    """
    ranges = {}
    for name, kind, end, weight in _range_weights(wrapped):
        # That of the layer before; a layer that it is not named after.
        if kind != "pre_activation":
            ranges.setdefault(name, [0.0, 0.0])
            ranges[name][end] = float(weight.numpy())
    return ranges


def _set_ranges(wrapped, ranges, kernels):
    inputs = _inputs(wrapped)
    for name, kind, end, weight in _range_weights(wrapped):
        source = inputs[name] if kind == "pre_activation" else name
        if source in ranges:
            weight.assign(ranges[source][end])
    for layer in wrapped.layers:
        for weight in layer.weights:
            sign = {"kernel_min": -1, "kernel_max": 1}.get(
                tf_keras_twin.weight_name(weight)
            )
            if sign:
                # Symmetric, of each output channel, as TF-MOT quantizes.
                kernel = np.abs(kernels[layer.layer.name])
                limit = kernel.max(axis=tuple(range(kernel.ndim - 1)))
                if not weight.shape.rank:
                    limit = limit.max()
                weight.assign(sign * limit)


def _range_weights(wrapped):
    """Yields `(layer name, kind, end, weight)`; an end is 0 or 1."""
    for layer in wrapped.layers:
        # Else it is the input, or the QuantizeLayer behind it.
        name = layer.layer.name if hasattr(layer, "layer") else INPUT
        for weight in layer.weights:
            kind, _, end = tf_keras_twin.weight_name(weight).rpartition("_")
            # The last one is numbered where a process has several.
            if kind in (
                "post_activation",
                "pre_activation",
                "output",
            ) or kind.startswith("quantize_layer"):
                yield name, kind, ("min", "max").index(end), weight


def _inputs(wrapped):
    """Returns `{layer name: name of the layer before it}`."""
    names = {
        id(layer.output): layer.layer.name if hasattr(layer, "layer") else INPUT
        for layer in wrapped.layers
    }
    return {
        layer.layer.name: names.get(id(layer.input))
        for layer in wrapped.layers
        if hasattr(layer, "layer")
    }


class _PreservingScheme(tfmot.Default8BitQuantizeScheme):
    def __init__(self, kernels, preserve):
        super().__init__()
        self.kernels = kernels
        self.preserve = preserve

    def get_layout_transformer(self):
        return _PreservingLayoutTransform(super().get_layout_transformer())

    def get_quantize_registry(self):
        return _PreservingRegistry(self.kernels, self.preserve)


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
    """Preserves zeros and codebooks, of each layer what it has.

    One registry of TF-MOT shares its quantizers among the layers, and the
    first layer without a zero turns the preserving of zeros off for the rest.
    """

    def __init__(self, kernels, preserve):
        super().__init__()
        self.preserve = preserve
        self.sparse = {
            name for name, kernel in kernels.items() if np.any(kernel == 0)
        }
        self.clustered = codebook_sizes(kernels)

    def get_quantize_config(self, layer):
        keeps_zeros, keeps_codebooks = PRESERVED[self.preserve]
        sparsity = keeps_zeros and layer.name in self.sparse
        if keeps_codebooks and layer.name in self.clustered:
            registry = tfmot.ClusterPreserveQuantizeRegistry(
                preserve_sparsity=sparsity
            )
        elif sparsity:
            registry = tfmot.PrunePreserveQuantizeRegistry()
        else:
            return super().get_quantize_config(layer)
        return registry.get_quantize_config(layer)


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
