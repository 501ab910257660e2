"""The one module that imports TF-MOT, and that uses non-public interfaces.

Importing TF-MOT sets `TF_USE_LEGACY_KERAS=1` for the process and its children.
If nothing has used `tf.keras` before, this also makes it tf_keras in the user's
own code. Both are prevented here.
"""

import contextlib
import functools
import os
from collections.abc import Collection
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

_LEGACY_KERAS = "TF_USE_LEGACY_KERAS"

_before = os.environ.get(_LEGACY_KERAS)
_ = tf.keras.Model  # Fixes what `tf.keras` is before TF-MOT can change it.
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

CENTROID_INITIALIZATIONS = {
    "kmeans++": tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
    "linear": tfmot.clustering.keras.CentroidInitialization.LINEAR,
    "density": tfmot.clustering.keras.CentroidInitialization.DENSITY_BASED,
    "random": tfmot.clustering.keras.CentroidInitialization.RANDOM,
}
cluster_weights = sparsity_preserving.cluster_weights
strip_clustering = tfmot.clustering.keras.strip_clustering


@contextlib.contextmanager
def one_codebook_per_layer() -> Iterator[None]:
    """Make TF-MOT look for one codebook per layer while it wraps a model.

    Where every channel happens to use all the shared values, TF-MOT assumes
    one codebook per channel, which multiplies the distinct values by the
    number of channels and unrolls every training step over them.
    """
    original = cluster_preserve.get_centroids

    def get_centroids(layer, weight, data_format):
        del layer, data_format
        centroids, index = cluster_preserve.get_unique(weight)
        return centroids, len(centroids), index, False

    cluster_preserve.get_centroids = get_centroids
    try:
        yield
    finally:
        cluster_preserve.get_centroids = original


def break_ties(wrapped: Any) -> None:
    """Make the pruning wrappers of a model keep no more weights than asked for.

    Of the weights that are as large as the smallest one to keep TF-MOT keeps
    all: in a network with a codebook, or with more zeros than asked for, many.
    """
    for layer in wrapped.layers:
        pruning = getattr(layer, "pruning_obj", None)
        if pruning is not None:
            pruning._update_mask = functools.partial(
                _update_mask, pruning._update_mask
            )


def _update_mask(update, weights):
    """Call TF-MOT's function with ranks instead of magnitudes."""
    magnitudes = tf.reshape(tf.abs(weights), [-1])
    # Equal magnitudes get their ranks in a random order, which is always the
    # same: they may not all be at one end of the kernel.
    order = tf.random.experimental.stateless_shuffle(
        tf.range(tf.size(magnitudes)), seed=(0, 0)
    )
    order = tf.gather(order, tf.argsort(tf.gather(magnitudes, order)))
    ranks = tf.reshape(tf.argsort(order), weights.shape)
    return update(tf.cast(ranks, weights.dtype))


def freeze(wrapped: Any, names: Collection[str]) -> None:
    """Freeze the named layers inside the wrappers of a model.

    TF-MOT's quantization wrapper trains the weights of its layer even if that
    is not trainable.
    """
    for layer in wrapped.layers:
        if getattr(layer, "layer", layer).name in names:
            layer.trainable = False
            if layer.trainable_weights:
                layer._non_trainable_weights.extend(layer._trainable_weights)
                layer._trainable_weights.clear()


def reseed(wrapped: Any, seed: int) -> list[Any]:
    """Reset the dropout of a tf_keras model to the first mask of a seed.

    Its layers must have been made in `tf_keras_twin.generators`.

    Returns:
        The variables that choose the masks.
    """
    states = []
    for layer in wrapped.layers:
        layer = getattr(layer, "layer", layer)
        random = getattr(layer, "_random_generator", None)
        generator = getattr(random, "_generator", None)
        if generator is not None:
            generator.reset_from_seed(seed)
            states.append(generator.state)
    return states
