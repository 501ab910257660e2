"""The one module that imports TF-MOT.

Importing TF-MOT sets `TF_USE_LEGACY_KERAS=1` for the process and its children,
and where nothing has used `tf.keras` yet, that becomes tf_keras under the
user's feet. Both are undone here.
"""

import os

import tensorflow as tf

_LEGACY_KERAS = "TF_USE_LEGACY_KERAS"

_before = os.environ.get(_LEGACY_KERAS)
_ = tf.keras.Model  # Settles what `tf.keras` is, before TF-MOT can.
try:
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import (  # noqa: E501
        cluster as sparsity_preserving,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (  # noqa: E501
        cluster_preserve_quantize_registry as cluster_preserve,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (  # noqa: E501
        cluster_utils,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (  # noqa: E501
        prune_preserve_quantize_registry as prune_preserve,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (  # noqa: E501
        default_8bit_quantize_registry as default_8bit,
    )
finally:
    if _before is None:
        os.environ.pop(_LEGACY_KERAS, None)
    else:
        os.environ[_LEGACY_KERAS] = _before

ClusterPreserveQuantizeRegistry = (
    cluster_preserve.Default8bitClusterPreserveQuantizeRegistry
)
PrunePreserveQuantizeRegistry = (
    prune_preserve.Default8bitPrunePreserveQuantizeRegistry
)
Default8BitQuantizeRegistry = default_8bit.Default8BitQuantizeRegistry
Default8BitQuantizeScheme = (
    tfmot.quantization.keras.default_8bit.Default8BitQuantizeScheme
)
QuantizeLayoutTransform = tfmot.quantization.keras.QuantizeLayoutTransform
quantize_annotate_model = tfmot.quantization.keras.quantize_annotate_model
quantize_apply = tfmot.quantization.keras.quantize_apply
strip_clustering_cqat = cluster_utils.strip_clustering_cqat

PolynomialDecay = tfmot.sparsity.keras.PolynomialDecay
PruningSchedule = tfmot.sparsity.keras.PruningSchedule
UpdatePruningStep = tfmot.sparsity.keras.UpdatePruningStep
prune_low_magnitude = tfmot.sparsity.keras.prune_low_magnitude
strip_pruning = tfmot.sparsity.keras.strip_pruning

INITIALIZATIONS = {
    "kmeans++": tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
    "linear": tfmot.clustering.keras.CentroidInitialization.LINEAR,
    "density": tfmot.clustering.keras.CentroidInitialization.DENSITY_BASED,
    "random": tfmot.clustering.keras.CentroidInitialization.RANDOM,
}
cluster_weights = sparsity_preserving.cluster_weights
strip_clustering = tfmot.clustering.keras.strip_clustering
