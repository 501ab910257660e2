"""Weight sharing: k-means codebooks a layer, trained further.

Reference:
- [Deep Compression](https://arxiv.org/abs/1510.00149) (Han et al., 2016),
  section 3
"""

import numpy as np
import tf_keras

from keras_squeezenet.compression import guarantees
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression import twin as twins


def cluster(model, clusters, fit, steps):
    """Gives every kernel a codebook of shared values, in place, and trains it.

    Zero stays one of the values of a kernel that has zeros, and every zero
    weight stays zero.

    Args:
        model: `keras.Model` that has a twin.
        clusters: dict of layer name to the size of its codebook, zero
            included.
        fit: function of `(twin, steps, callbacks)` that trains a tf_keras
            model.
        steps: int, the number of training steps.

    Raises:
        GuaranteeError: if a kernel has more distinct values than its codebook,
            or has lost a zero. The model is unchanged then.
    """
    before = twins.kernels(model)

    def wrap(layer):
        size = clusters.get(layer.name)
        # A codebook that is no smaller than the kernel shares nothing.
        if size is None or before[layer.name].size <= size:
            return layer
        return tfmot.cluster_weights(
            layer,
            number_of_clusters=size,
            cluster_centroids_init=tfmot.KMEANS_PLUS_PLUS,
            preserve_sparsity=bool(np.any(before[layer.name] == 0)),
        )

    wrapped = tf_keras.models.clone_model(
        twins.make_twin(model), clone_function=wrap
    )
    fit(wrapped, steps, [])
    clustered = tfmot.strip_clustering(wrapped)
    after = twins.kernels(clustered)
    guarantees.require_distinct(after, clusters, "cluster")
    guarantees.require_zeros_kept(before, after, "cluster")
    twins.copy_weights(clustered, model)
