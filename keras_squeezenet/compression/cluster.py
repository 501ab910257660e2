"""Weight sharing: k-means codebooks a layer, trained further.

Reference:
- [Deep Compression](https://arxiv.org/abs/1510.00149) (Han et al., 2016),
  section 3
"""

import numpy as np

from keras_squeezenet.compression import checks
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot


def wrap(model, clusters, initialization="kmeans++"):
    """Returns a tf_keras twin whose kernels share values that are trained.

    Zero stays one of the values of a kernel that has zeros, and every zero
    weight stays zero.

    Args:
        model: `keras.Model` that has a twin.
        clusters: dict of layer name to the size of its codebook, zero
            included; the other layers stay as they are.
        initialization: of the codebooks, a key of `tfmot.INITIALIZATIONS`.
            Defaults to `"kmeans++"`.
    """
    kernels = tf_keras_twin.kernels(model)

    def wrap_layer(layer):
        size = clusters.get(layer.name)
        # A codebook that is no smaller than the kernel shares nothing.
        if size is None or kernels[layer.name].size <= size:
            return layer
        return tfmot.cluster_weights(
            layer,
            number_of_clusters=size,
            cluster_centroids_init=tfmot.INITIALIZATIONS[initialization],
            preserve_sparsity=bool(np.any(kernels[layer.name] == 0)),
        )

    return tf_keras_twin.clone(model, wrap_layer)


def finish(wrapped, clusters, model):
    """Copies what a wrapped twin has become to its model.

    Raises:
        CheckError: if a kernel has more distinct values than its codebook,
            or has lost a zero. The model is unchanged then.
    """
    before = tf_keras_twin.kernels(model)
    clustered = tfmot.strip_clustering(wrapped)
    after = tf_keras_twin.kernels(clustered)
    checks.require_distinct(after, clusters, "cluster")
    checks.require_zeros_kept(before, after, "cluster")
    tf_keras_twin.copy_weights(clustered, model)
