"""TF-MOT's 8-bit scheme, changed to keep zeros and shared values everywhere.

TF-MOT's own prune- and cluster-preserving schemes silently lose both in every
convolution before a Concatenate: in the expand layers of SqueezeNet.
"""

import numpy as np
import tf_keras

from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import tfmot

# 8 bits have as many values: a kernel with more has no codebook.
MAX_CODEBOOK = 256


def codebook_sizes(kernels: dict[str, np.ndarray]) -> dict[str, int]:
    """Return the numbers of distinct values of kernels that share values."""
    sizes = {name: len(np.unique(kernel)) for name, kernel in kernels.items()}
    return {
        name: size
        for name, size in sizes.items()
        if size <= MAX_CODEBOOK and size < kernels[name].size
    }


class PreservingScheme(tfmot.Default8BitQuantizeScheme):
    """The default 8-bit scheme, with a registry that preserves.

    `kernels` are the kernels to preserve, by layer name, and `preserve` is a
    key of `compression_recipe.PRESERVED`.
    """

    def __init__(self, kernels, preserve):
        super().__init__()
        self.kernels = kernels
        self.preserve = preserve

    def get_layout_transformer(self):
        return _PreservingLayoutTransform(super().get_layout_transformer())

    def get_quantize_registry(self):
        return _PreservingRegistry(self.kernels, self.preserve)


class _PreservingLayoutTransform(tfmot.QuantizeLayoutTransform):
    """Leaves the config of every convolution to the scheme's own registry.

    TF-MOT's layout transform for Concatenate gives the layers before it the
    default 8-bit config, which preserves neither zeros nor codebooks.
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
    """Preserves the zeros and the codebook of each layer that has them.

    A registry of TF-MOT shares its quantizers among all layers: the first layer
    without a zero would turn off the preserving of zeros in all later ones.
    """

    def __init__(self, kernels, preserve):
        super().__init__()
        self.preserve = preserve
        self.sparse = {
            name for name, kernel in kernels.items() if np.any(kernel == 0)
        }
        self.clustered = codebook_sizes(kernels)

    def get_quantize_config(self, layer):
        keeps_zeros, keeps_codebooks = compression_recipe.PRESERVED[
            self.preserve
        ]
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
