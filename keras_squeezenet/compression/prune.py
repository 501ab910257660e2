"""Magnitude pruning with retraining.

Reference:
- [Learning both Weights and Connections for Efficient Neural
  Networks](https://arxiv.org/abs/1506.02626) (Han et al., 2015): rounds of
  pruning and retraining
- [To prune, or not to prune](https://arxiv.org/abs/1710.01878) (Zhu and Gupta,
  2017): the polynomial schedule
"""

import tensorflow as tf

from keras_squeezenet.compression import checks
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot

# The share of the steps in which the density falls by the polynomial; in the
# rest of them the weights that are left recover.
PRUNING_SHARE = 0.6
MASK_UPDATES = 20
# Weights of every group of neighbouring input channels, kept and in all.
M_BY_N = {"2:4": (2, 4)}


def wrap(
    model, densities, steps, schedule="polynomial", rounds=4, pattern=None
):
    """Returns a tf_keras twin that is pruned while it is trained.

    Args:
        model: `keras.Model` that has a twin.
        densities: dict of layer name to the share of weights to keep, in
            (0, 1]; the other layers stay as they are.
        steps: int, the number of training steps.
        schedule: `"polynomial"`, `"constant"` or `"iterative"`. Defaults to
            `"polynomial"`.
        rounds: int, of an iterative schedule. Defaults to `4`.
        pattern: `None`, or `"2:4"`, for layers whose density is 1/2. Defaults
            to `None`.

    Returns:
        `(twin, callbacks)`, to train it with.
    """

    def wrap_layer(layer):
        density = densities.get(layer.name, 1)
        if density == 1:
            return layer
        if pattern is None:
            return tfmot.prune_low_magnitude(
                layer, make_schedule(schedule, density, steps, rounds)
            )
        return tfmot.prune_low_magnitude(
            layer,
            make_schedule("constant", density, steps),
            sparsity_m_by_n=M_BY_N[pattern],
        )

    wrapped = tf_keras_twin.clone(model, wrap_layer)
    return wrapped, [tfmot.UpdatePruningStep()]


def finish(wrapped, densities, model, pattern=None):
    """Copies what a wrapped twin has become to its model.

    Raises:
        CheckError: if a kernel's density is another one than promised, or
            its zeros do not follow the pattern. The model is unchanged then.
    """
    pruned = tfmot.strip_pruning(wrapped)
    kernels = tf_keras_twin.kernels(pruned)
    before = tf_keras_twin.kernels(model)
    checks.require_density(before, kernels, densities, "prune")
    if pattern is not None:
        sparse = [name for name, share in densities.items() if share != 1]
        checks.require_pattern(kernels, sparse, *M_BY_N[pattern], "prune")
    tf_keras_twin.copy_weights(pruned, model)


def fits_pattern(kernel, pattern):
    """Whether a kernel's input channels come in groups of the pattern's."""
    return kernel.shape[-2] % M_BY_N[pattern][1] == 0


def settled_after(schedule, steps, rounds=4):
    """Returns the number of training steps after which the density holds."""
    if schedule == "polynomial":
        return _polynomial(steps)[0] or 1
    rounds = min(rounds, steps) if schedule == "iterative" else 1
    return (rounds - 1) * (steps // rounds) + 1


def make_schedule(name, density, steps, rounds=4):
    """Returns the TF-MOT pruning schedule of a stage.

    TF-MOT's default updates the masks every 100 steps, and silently prunes
    nothing in a shorter stage; the last update here falls inside the stage.
    """
    end, frequency = _polynomial(steps)
    if name == "polynomial" and end:
        return tfmot.PolynomialDecay(
            initial_sparsity=0.0,
            final_sparsity=1 - density,
            begin_step=0,
            end_step=end,
            frequency=frequency,
        )
    rounds = min(rounds, steps) if name == "iterative" else 1
    return IterativeSchedule(density, rounds, max(1, steps // rounds))


def _polynomial(steps):
    """Returns the step of the last update, and the steps between two."""
    decay = int(steps * PRUNING_SHARE)
    frequency = -(-decay // MASK_UPDATES) or 1
    return decay // frequency * frequency, frequency


class IterativeSchedule(tfmot.PruningSchedule):
    """Rounds of equal length, each of which begins with a pruning.

    Every round keeps the same share of what the one before it has left.
    TF-MOT counts steps from 1.

    Args:
        density: float, the share of weights that the last round keeps.
        rounds: int.
        length: int, of a round, in steps.
    """

    def __init__(self, density, rounds, length):
        self.density = density
        self.rounds = rounds
        self.length = length

    def __call__(self, step):
        before = tf.cast(step, tf.int32) - 1
        done = before // self.length
        is_turn = tf.equal(before % self.length, 0)
        share = tf.cast(done + 1, tf.float32) / self.rounds
        sparsity = 1 - self.density ** tf.minimum(share, 1.0)
        return tf.logical_and(is_turn, done < self.rounds), sparsity

    def get_config(self):
        return {
            "class_name": type(self).__name__,
            "config": {
                "density": self.density,
                "rounds": self.rounds,
                "length": self.length,
            },
        }
