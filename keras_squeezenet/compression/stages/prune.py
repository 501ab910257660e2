"""Pruning with retraining, by magnitude or to a size.

To a size, packing chooses the weights that become zero: those whose bits cost
more than the distortion without them. They stay zero while the others are
trained.

References:
- [Learning both Weights and Connections for Efficient Neural
  Networks](https://arxiv.org/abs/1506.02626) (Han et al., 2015): rounds of
  pruning and retraining
- [To prune, or not to prune](https://arxiv.org/abs/1710.01878) (Zhu and Gupta,
  2017): the polynomial schedule
"""

import base64

import numpy as np
import tensorflow as tf

from keras_squeezenet import codec
from keras_squeezenet import models
from keras_squeezenet.compression import allocation
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression.stages import pack
from keras_squeezenet.compression.stages.stage import Stage
from keras_squeezenet.packing import bounds

# The share of the steps in which the polynomial density falls. In the rest the
# remaining weights recover.
PRUNING_SHARE = 0.6
MASK_UPDATES = 20
# The nonzero weights in each group of neighboring input channels, and its size.
M_BY_N = {"2:4": (2, 4)}
# The size of each round of pruning relative to that of the next one, and of the
# last round relative to the file. That one is smaller: training makes up for
# what pruning loses, and not for what packing loses after it.
ROUND_FACTOR, LAST_FACTOR = 2**0.5, 2**-0.25
# The share of the zeros that remains each time that the stage is relaxed.
RELAXED_SPARSITY = 0.75


class Prune(Stage):
    """Pruning: weights become zero during training, or before it to a size.

    Attributes:
        densities: dict of layer name to the share of weights to keep, in
            (0, 1]. Layers without an entry are not pruned.
    """

    kind = "prune"
    name = "pruned"

    def __init__(self, model, recipe, scan=None):
        super().__init__(model, recipe, scan)
        self.is_by_packing = recipe.density_split == compression_recipe.PACKING
        self.densities = {} if self.is_by_packing else self._targets()
        self.callbacks = (tfmot.UpdatePruningStep(),)

    def _targets(self):
        recipe, kernels = self.recipe, self.kernels
        asked = allocation.match(recipe.densities, list(kernels))
        if recipe.prune_pattern:
            return {
                name: 0.5
                for name, density in asked.items()
                if density < 1
                and fits_pattern(kernels[name], recipe.prune_pattern)
            }
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
    def needs_scan(cls, recipe):
        by_scan = recipe.density_split == "sensitivity"
        return by_scan and recipe.overall_density is not None

    @classmethod
    def rounds(cls, recipe):
        """Return a recipe for each size on the way to `target_bytes`."""
        if recipe.density_split != compression_recipe.PACKING:
            return [recipe]
        last = recipe.target_bytes * LAST_FACTOR
        return [
            recipe.replace(
                target_bytes=round(last * ROUND_FACTOR**left),
                prune_epochs=recipe.prune_epochs / recipe.prune_rounds,
            )
            for left in reversed(range(recipe.prune_rounds))
        ]

    @classmethod
    def can_relax(cls, recipe):
        return recipe.prune_pattern is None

    @classmethod
    def relax(cls, recipe, attempt):
        """Return a recipe with a quarter fewer zeros, or more bytes."""
        if recipe.density_split == compression_recipe.PACKING:
            return pack.Pack.relax(recipe, attempt)
        share = RELAXED_SPARSITY**attempt
        overall = recipe.overall_density
        return recipe.replace(
            densities={
                pattern: 1 - (1 - density) * share
                for pattern, density in recipe.densities.items()
            },
            overall_density=overall and 1 - (1 - overall) * share,
        )

    def choose(self, calibration, progress):
        """Return the packed file, in base64, whose zeros stay zero."""
        if not self.is_by_packing:
            return None
        _, content = pack.make_packer(
            self.model, self.recipe, self.context
        ).find(bounds.Bound(target_bytes=self.recipe.target_bytes))
        return base64.b64encode(content).decode()

    def _packed(self):
        """Return the model with the weights of that file, and its densities."""
        chosen = codec.loads(base64.b64decode(self.chosen))
        model, densities = models.copy(self.model), {}
        for name in self.kernels:
            weights = chosen.get_layer(name).get_weights()
            model.get_layer(name).set_weights(weights)
            kept = max(np.count_nonzero(weights[0]), 1)
            densities[name] = kept / weights[0].size
        return model, densities

    def wrap(self, steps, calibration):
        recipe, options, model = self.recipe, {}, self.model
        if self.is_by_packing:
            model, self.densities = self._packed()
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

        trainee = tf_keras_twin.clone(model, wrap_layer)
        tfmot.break_ties(trainee)
        return trainee

    @property
    def _schedule(self):
        recipe = self.recipe
        at_once = recipe.prune_pattern or self.is_by_packing
        return "constant" if at_once else recipe.prune_schedule

    def settled_after(self, steps):
        if self.is_by_packing:
            # The accuracy recovers until the last epoch. An earlier one is
            # better only by the chance of a small validation set.
            return steps
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
