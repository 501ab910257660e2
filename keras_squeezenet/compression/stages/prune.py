"""Pruning with retraining, by magnitude.

References:
- [Learning both Weights and Connections for Efficient Neural
  Networks](https://arxiv.org/abs/1506.02626) (Han et al., 2015): rounds of
  pruning and retraining
- [To prune, or not to prune](https://arxiv.org/abs/1710.01878) (Zhu and Gupta,
  2017): the polynomial schedule
"""

import logging

import tensorflow as tf

from keras_squeezenet.compression import allocation
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression.stages.stage import Stage

# The share of the steps in which the polynomial density falls. In the rest the
# remaining weights recover.
PRUNING_SHARE = 0.6
MASK_UPDATES = 20
# The nonzero weights in each group of neighboring input channels, and its size.
M_BY_N = {"2:4": (2, 4)}
# The share of the zeros that remains each time that the stage is relaxed.
RELAXED_SPARSITY = 0.75

logger = logging.getLogger(__name__)


class Prune(Stage):
    """Pruning: the smallest weights become zero during training.

    Attributes:
        densities: dict of layer name to the share of weights to keep, in
            (0, 1]. Layers without an entry are not pruned.
        left_out: the layers that the pattern of the recipe does not fit.
    """

    kind = "prune"
    name = "pruned"

    def __init__(self, model, recipe, scan=None):
        super().__init__(model, recipe, scan)
        self.left_out: list[str] = []
        self.densities = self._targets()
        self.callbacks = (tfmot.UpdatePruningStep(),)

    def _targets(self):
        recipe, kernels = self.recipe, self.kernels
        asked = allocation.match(recipe.densities, list(kernels))
        if recipe.prune_pattern:
            pruned = [name for name, density in asked.items() if density < 1]
            self.left_out = [
                name
                for name in pruned
                if not fits_pattern(kernels[name], recipe.prune_pattern)
            ]
            _require_some_fit(pruned, self.left_out, recipe.prune_pattern)
            return {name: 0.5 for name in pruned if name not in self.left_out}
        overall = recipe.overall_density
        if overall is None:
            return asked
        if recipe.density_split == "proportional":
            return allocation.scale(asked, kernels, overall)
        fixed = [name for name, density in asked.items() if density == 1]
        if recipe.density_split == "threshold":
            return allocation.global_threshold(kernels, overall, fixed)
        return allocation.split_density(self.layer_scans, overall, fixed)

    @classmethod
    def require_possible(cls, model, recipe, progress):
        if recipe.stages[0] != cls.kind:
            return
        if cls.needs_scan(recipe):
            # The least density is the same, and needs no scan.
            recipe = recipe.replace(density_split="threshold")
        cls(model, recipe)

    @classmethod
    def needs_scan(cls, recipe):
        by_scan = recipe.density_split == "sensitivity"
        return by_scan and recipe.overall_density is not None

    @classmethod
    def can_relax(cls, recipe):
        return recipe.prune_pattern is None

    @classmethod
    def relax(cls, recipe, attempt):
        """Return a recipe with a quarter fewer zeros for each attempt."""
        share = RELAXED_SPARSITY**attempt
        overall = recipe.overall_density
        return recipe.replace(
            densities={
                pattern: 1 - (1 - density) * share
                for pattern, density in recipe.densities.items()
            },
            overall_density=overall and 1 - (1 - overall) * share,
        )

    def wrap(self, steps, calibration):
        if self.left_out:
            logger.info(
                "Layers whose input channels are not a multiple of %d stay "
                "dense (%d, such as %r): the pattern %s does not fit them.",
                M_BY_N[self.recipe.prune_pattern][1],
                len(self.left_out),
                self.left_out[0],
                self.recipe.prune_pattern,
            )
        recipe, options = self.recipe, {}
        if recipe.prune_pattern is not None:
            options["sparsity_m_by_n"] = M_BY_N[recipe.prune_pattern]

        def wrap_layer(layer):
            density = self.densities.get(layer.name, 1)
            if density == 1:
                return layer
            schedule = make_schedule(
                self._schedule, density, steps, recipe.prune_rounds
            )
            return tfmot.prune_low_magnitude(layer, schedule, **options)

        trainee = tf_keras_twin.clone(self.model, wrap_layer)
        tfmot.break_ties(trainee)
        return trainee

    @property
    def _schedule(self):
        recipe = self.recipe
        return "constant" if recipe.prune_pattern else recipe.prune_schedule

    def settled_after(self, steps):
        return settled_after(self._schedule, steps, self.recipe.prune_rounds)

    def finish(self, trainee):
        pruned = tfmot.strip_pruning(trainee)
        before = tf_keras_twin.kernels(self.model)
        after = tf_keras_twin.kernels(pruned)
        checks.require_density(before, after, self.densities, self.kind)
        pattern = self.recipe.prune_pattern
        if pattern is not None:
            checks.require_pattern(
                after, self.densities, *M_BY_N[pattern], self.kind
            )
        tf_keras_twin.copy_weights(pruned, self.model)


def fits_pattern(kernel, pattern):
    """Return whether the input channels of a kernel fill whole groups."""
    return kernel.shape[-2] % M_BY_N[pattern][1] == 0


def _require_some_fit(pruned, left_out, pattern):
    if pruned and pruned == left_out:
        raise checks.TargetError(
            "a pruned layer must have a multiple of "
            f"{M_BY_N[pattern][1]} input channels. Received: "
            f"prune_pattern={pattern!r}, and layers that it does not fit: "
            f"{', '.join(left_out)}. Leave `prune_pattern` out"
        )


def settled_after(schedule, steps, rounds=4):
    """Return the number of training steps after which the density is final."""
    if schedule == "polynomial":
        return _polynomial(steps)[0] or 1
    rounds = min(rounds, steps) if schedule == "iterative" else 1
    return (rounds - 1) * (steps // rounds) + 1


def make_schedule(name, density, steps, rounds=4):
    """Return the TF-MOT pruning schedule of a stage.

    By default TF-MOT updates the masks every 100 steps, so that a shorter stage
    silently prunes nothing. Here the last update is always within the stage.
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
    """Return the step of the last update, and the steps between updates."""
    decay = int(steps * PRUNING_SHARE)
    frequency = -(-decay // MASK_UPDATES) or 1
    return decay // frequency * frequency, frequency


class IterativeSchedule(tfmot.PruningSchedule):
    """Rounds of equal length, each of which starts with pruning.

    Each round keeps the same share of the weights that the previous one kept,
    so that the last one keeps `density`. `length` is in steps, which TF-MOT
    counts from 1.
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
            "config": vars(self).copy(),
        }
