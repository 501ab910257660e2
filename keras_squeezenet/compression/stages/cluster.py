"""Weight sharing: the values of a k-means codebook in each layer are trained.

Reference:
- [Deep Compression](https://arxiv.org/abs/1510.00149) (Han et al., 2016),
  section 3
"""

import numpy as np

from keras_squeezenet.compression import allocation
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression.compression_recipe import BITS
from keras_squeezenet.compression.stages.stage import Stage


class Cluster(Stage):
    """Weight sharing: each kernel has few distinct values, which are trained.

    Zero weights stay zero, and zero stays one of the shared values.

    Attributes:
        codebooks: dict of layer name to the size of its codebook, zero
            included.
    """

    kind = "cluster"
    name = "clustered"
    rate_divisor = 2

    def __init__(self, model, recipe, scan=None):
        super().__init__(model, recipe, scan)
        if recipe.average_bits is None:
            bits = allocation.match(recipe.bits, list(self.kernels))
        else:
            bits = allocation.split_bits(
                self.layer_scans, recipe.average_bits, choices=BITS
            )
        self.codebooks = {name: 2**count for name, count in bits.items()}

    @classmethod
    def needs_scan(cls, recipe):
        return recipe.average_bits is not None

    @classmethod
    def relax(cls, recipe, attempt):
        """Return a recipe with one more bit for each attempt, at most 8."""
        average = recipe.average_bits
        return recipe.replace(
            bits={
                pattern: min(max(BITS), bits + attempt)
                for pattern, bits in recipe.bits.items()
            },
            average_bits=average and min(max(BITS), average + attempt),
        )

    def wrap(self, steps, calibration):
        kernels = tf_keras_twin.kernels(self.model)
        initialization = self.recipe.cluster_initialization

        def wrap_layer(layer):
            size = self.codebooks.get(layer.name)
            if size is None:
                return layer
            kernel = kernels[layer.name]
            kept = int(np.count_nonzero(kernel))
            is_sparse = kept < kernel.size
            # A codebook that is not smaller than the kernel shares nothing.
            if not is_sparse and kernel.size <= size:
                return layer
            # TF-MOT needs at least two values besides zero.
            if kept < 2:
                layer.trainable = False
                return layer
            return tfmot.cluster_weights(
                layer,
                # TF-MOT's k-means cannot make more clusters than weights.
                number_of_clusters=min(size, kept + is_sparse),
                cluster_centroids_init=tfmot.CENTROID_INITIALIZATIONS[
                    initialization
                ],
                preserve_sparsity=is_sparse,
            )

        return tf_keras_twin.clone(self.model, wrap_layer)

    def finish(self, trainee):
        before = tf_keras_twin.kernels(self.model)
        clustered = tfmot.strip_clustering(trainee)
        after = tf_keras_twin.kernels(clustered)
        checks.require_distinct(after, self.codebooks, self.kind)
        checks.require_zeros_kept(before, after, self.kind)
        tf_keras_twin.copy_weights(clustered, self.model)
