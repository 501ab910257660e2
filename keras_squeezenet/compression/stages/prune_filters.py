"""Filter pruning: whole filters are removed, and the rest is trained again.

Unlike zeros in a kernel, fewer filters make a network faster in every runtime.
The result is a smaller network of ordinary layers.

References:
- [Pruning Filters for Efficient ConvNets](https://arxiv.org/abs/1608.08710)
  (Li et al., 2017)
- [ZipLM](https://arxiv.org/abs/2302.04089) (Kurtic et al., 2023)
"""

import logging

import numpy as np

from keras_squeezenet import graph
from keras_squeezenet import models
from keras_squeezenet.compression import channels
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import filter_costs
from keras_squeezenet.compression import filter_reconstruction
from keras_squeezenet.compression import filter_selection
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.compression_recipe import Recipe
from keras_squeezenet.compression.stages.stage import Stage
from keras_squeezenet.evaluation import layer_latencies
from keras_squeezenet.evaluation import layer_trials
from keras_squeezenet.packing import fisher
from keras_squeezenet.utils.progress import Progress

# The share of the multiply-accumulates to keep without a target.
DEFAULT_SHARE = 0.5
# The share of the removed cost that is removed when the stage is relaxed.
RELAXED_REMOVAL = 0.75
# More images hardly change the choice and the fit.
FISHER_IMAGES, RECONSTRUCTION_IMAGES = 160, 128
# How often filters are chosen for a latency, each time with what was measured
# of the choice before.
SELECTIONS = 5
# The share of a target latency that is close enough to it.
CLOSE = 0.96
COSTS = {
    "target_macs": filter_costs.macs,
    "target_parameters": filter_costs.parameters,
}

logger = logging.getLogger(__name__)


class PruneFilters(Stage):
    """The removal of whole filters, down to a share of the network's cost.

    With `keep_frozen`, frozen layers keep their weights: none of their input
    and output channels is removed, and they are not fitted.
    """

    kind = "prune_filters"
    name = "narrowed"
    may_stay_untrained = True

    def __init__(self, model, recipe, scan=None):
        super().__init__(model, recipe, scan)
        self.channels = channels.trace(graph.describe(model))
        channels.keep(self.channels, self.frozen)
        self.smaller = None

    @classmethod
    def require_possible(cls, model, recipe, progress):
        stage = cls(model, recipe)
        name, value = target(recipe)
        cost, budget = stage.cost_and_budget(progress)
        least = filter_selection.least_cost(stage.channels, cost)
        full = stage.full_cost(cost)
        if not least <= budget < full:
            scale = value / budget
            unit = " ms" if name == "target_latency" else ""
            raise checks.TargetError(
                f"`{name}` must be at least {least * scale:.3g}{unit}, with "
                "one filter in each layer that may lose some, and less than "
                f"{full * scale:.3g}{unit}, the network as it is. Received: "
                f"{name}={value}"
            )

    @classmethod
    def relax(cls, recipe, attempt):
        """Return a recipe that removes a quarter less for each attempt."""
        name, value = target(recipe)
        share = RELAXED_REMOVAL**attempt
        if name == "target_latency":
            return recipe.replace(target_latency=value / share)
        return recipe.replace(**{name: 1 - (1 - value) * share})

    def choose(self, calibration, progress):
        cost, target_cost = self.cost_and_budget(progress)
        images = np.concatenate(calibration)[:FISHER_IMAGES]
        hessians = fisher.measure(
            self.model, images, self.recipe.seed, progress
        )
        kernels = tf_keras_twin.kernels(self.model)

        def select(budget):
            with progress.task("choose filters", None):
                return filter_selection.select(
                    self.channels, kernels, hessians, cost, budget
                )

        if target(self.recipe)[0] == "target_latency":
            kept = self._meet(target_cost, select, cost, progress)
        else:
            kept = select(target_cost)
        return np.flatnonzero(~kept).tolist()

    def _meet(self, latency, select, cost, progress):
        """Return the kept channels whose latency is close to the target."""
        best, budget = (0.0, None), latency
        for _ in range(SELECTIONS):
            kept = select(budget)
            measured = self._measure(kept, cost, progress)
            logger.info("%.3g ms were measured of the choice.", measured)
            if best[0] < measured <= latency:
                best = measured, kept
            if CLOSE * latency <= measured <= latency:
                break
            budget *= latency / measured
        if best[1] is None:
            logger.warning(
                "The target of %.3g ms is missed: %.3g ms were measured.",
                latency,
                measured,
            )
        return kept if best[1] is None else best[1]

    def cost_and_budget(
        self, progress: Progress
    ) -> tuple[filter_costs.Cost, float]:
        """Return the cost that the recipe aims at, and its value."""
        name, value = target(self.recipe)
        if name == "target_latency":
            recipe = self.recipe
            return layer_latencies.measure(
                self.model,
                recipe.latency_runtime,
                threads=recipe.latency_threads,
                progress=progress,
            ), value
        cost = COSTS[name](graph.describe(self.model))
        return cost, value * self.full_cost(cost)

    def full_cost(self, cost: filter_costs.Cost) -> float:
        """Return the cost of the network with all filters."""
        everything = np.full(len(self.channels.removable), True)
        return filter_costs.total(cost, self.channels.counts(everything))

    def _measure(self, kept, cost, progress):
        """Return the latency of a network with the chosen channels."""
        smaller = self._make_smaller(kept)
        before, after = layer_trials.measure(
            [self.model, smaller],
            self.recipe.latency_runtime,
            self.recipe.latency_threads,
            1,
            progress,
        )
        # The ratio of one run: the machine may be slower than it was.
        return self.full_cost(cost) * after / before

    def wrap(self, steps, calibration):
        kept = np.full(len(self.channels.removable), True)
        kept[self.chosen] = False
        self.smaller = self._make_smaller(kept)
        filter_reconstruction.fit(
            self.model,
            self.smaller,
            self.channels,
            kept,
            np.concatenate(calibration)[:RECONSTRUCTION_IMAGES],
            self.frozen,
        )
        return tf_keras_twin.clone(self.smaller, lambda layer: layer)

    def _make_smaller(self, kept):
        """Return the network with the kept channels and their weights."""
        description, weights = channels.remove(
            graph.describe(self.model),
            {
                name: self.model.get_layer(name).get_weights()
                for name in self.channels.outputs
            },
            self.channels,
            kept,
        )
        smaller = models.rebuild(self.model, description)
        for name, arrays in weights.items():
            smaller.get_layer(name).set_weights(arrays)
        return smaller

    def finish(self, trainee):
        tf_keras_twin.copy_weights(trainee, self.smaller)
        self.model = self.smaller


def target(recipe: Recipe) -> tuple[str, float]:
    """Return the name and the value of the target of a recipe."""
    for name in compression_recipe.FILTER_TARGETS:
        value = getattr(recipe, name)
        if value is not None:
            return name, value
    return "target_macs", DEFAULT_SHARE
