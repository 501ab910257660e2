"""Magnitude pruning with retraining, on a polynomial schedule.

Reference:
- [Learning both Weights and Connections for Efficient Neural
  Networks](https://arxiv.org/abs/1506.02626) (Han et al., 2015)
- [To prune, or not to prune](https://arxiv.org/abs/1710.01878) (Zhu and Gupta,
  2017): the schedule
"""

import tf_keras

from keras_squeezenet.compression import guarantees
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression import twin as twins

# The share of the steps in which the density falls; in the rest of them the
# weights that are left recover.
PRUNING_SHARE = 0.6
MASK_UPDATES = 20


def prune(model, densities, fit, steps):
    """Prunes the kernels of a model, in place, while training it.

    Args:
        model: `keras.Model` that has a twin.
        densities: dict of layer name to the share of weights to keep, in
            (0, 1].
        fit: function of `(twin, steps, callbacks)` that trains a tf_keras
            model.
        steps: int, the number of training steps.

    Raises:
        GuaranteeError: if a kernel's density is another one in the end. The
            model is unchanged then.
    """

    def wrap(layer):
        density = densities.get(layer.name, 1)
        if density == 1:
            return layer
        return tfmot.prune_low_magnitude(layer, schedule(density, steps))

    wrapped = tf_keras.models.clone_model(
        twins.make_twin(model), clone_function=wrap
    )
    fit(wrapped, steps, [tfmot.UpdatePruningStep()])
    pruned = tfmot.strip_pruning(wrapped)
    guarantees.require_density(twins.kernels(pruned), densities, "prune")
    twins.copy_weights(pruned, model)


def schedule(density, steps):
    """Returns the pruning schedule of a stage with `steps` training steps.

    TF-MOT's default updates the masks every 100 steps, and silently prunes
    nothing in a shorter stage; the last update here falls on the end of the
    decay, inside the stage.
    """
    decay = int(steps * PRUNING_SHARE)
    if decay < 1:
        return tfmot.ConstantSparsity(1 - density, begin_step=0, frequency=1)
    frequency = -(-decay // MASK_UPDATES)
    return tfmot.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=1 - density,
        begin_step=0,
        end_step=decay // frequency * frequency,
        frequency=frequency,
    )
