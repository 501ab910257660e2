"""Filter pruning: whole filters are removed, and the rest is trained again.

Unlike zeros in a kernel, fewer filters make a network faster in every runtime.
The result is a smaller network of ordinary layers.

References:
- [Pruning Filters for Efficient ConvNets](https://arxiv.org/abs/1608.08710)
  (Li et al., 2017)
- [ZipLM](https://arxiv.org/abs/2302.04089) (Kurtic et al., 2023)
"""

import keras
import numpy as np

from keras_squeezenet import graph
from keras_squeezenet.compression import channels
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import filter_costs
from keras_squeezenet.compression import filter_reconstruction
from keras_squeezenet.compression import filter_selection
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.compression_recipe import Recipe
from keras_squeezenet.compression.stages.stage import Stage
from keras_squeezenet.compression.stages.stage import frozen_layers
from keras_squeezenet.compression.stages.stage import rebuild
from keras_squeezenet.evaluation import layer_latencies
from keras_squeezenet.packing import fisher
from keras_squeezenet.utils.progress import Progress

# The share of the multiply-accumulates to keep without a target.
DEFAULT_SHARE = 0.5
# The share of the removed cost that is removed when the stage is relaxed.
RELAXED_REMOVAL = 0.75
# More images hardly change the fit.
RECONSTRUCTION_IMAGES = 128
# An image takes 50 MB while the Fisher information is measured.
FISHER_BATCH_SIZE = 10


class PruneFilters(Stage):
    """The removal of whole filters, down to a share of the network's cost."""

    kind = "prune_filters"
    name = "narrowed"

    def __init__(self, model, recipe, scan=None):
        super().__init__(model, recipe, scan)
        self.channels = channels.trace(graph.describe(model))
        if recipe.keep_frozen:
            channels.keep(self.channels, frozen_layers(model))
        self.smaller = None

    @classmethod
    def require_possible(cls, model, recipe, progress):
        cost, budget = cost_and_budget(model, recipe, progress)
        traced = channels.trace(graph.describe(model))
        kept = np.full(len(traced.removable), True)
        full = filter_costs.total(cost, traced.counts(kept))
        least = filter_selection.least_cost(traced, cost)
        if not least <= budget < full:
            raise ValueError(
                f"the target must be at least {least:,.4g}, the cost with one "
                f"filter in each layer, and less than {full:,.4g}, that of the "
                f"network as it is. Received: {budget:,.4g}"
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
        cost, budget = cost_and_budget(self.model, self.recipe, progress)
        images = np.concatenate(calibration)
        batches = np.split(
            images, range(FISHER_BATCH_SIZE, len(images), FISHER_BATCH_SIZE)
        )
        with progress.task("Fisher information", len(batches)) as advance:
            hessians = fisher.measure(
                self.model, batches, self.recipe.seed, advance
            )
        with progress.task("choose filters", None):
            selection = filter_selection.select(
                self.channels,
                tf_keras_twin.kernels(self.model),
                hessians,
                cost,
                budget,
            )
        return np.flatnonzero(~selection.kept).tolist()

    def wrap(self, steps, calibration):
        kept = np.full(len(self.channels.removable), True)
        kept[self.chosen] = False
        description, weights = channels.remove(
            graph.describe(self.model),
            {
                name: self.model.get_layer(name).get_weights()
                for name in self.channels.outputs
            },
            self.channels,
            kept,
        )
        self.smaller = rebuild(self.model, description)
        for name, arrays in weights.items():
            self.smaller.get_layer(name).set_weights(arrays)
        filter_reconstruction.fit(
            self.model,
            self.smaller,
            self.channels,
            kept,
            np.concatenate(calibration)[:RECONSTRUCTION_IMAGES],
        )
        return tf_keras_twin.clone(self.smaller, lambda layer: layer)

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


def cost_and_budget(
    model: keras.Model, recipe: Recipe, progress: Progress
) -> tuple[filter_costs.Cost, float]:
    """Return the cost that a recipe aims at, and its value, in one unit."""
    name, value = target(recipe)
    if name == "target_latency":
        return layer_latencies.measure(
            model,
            recipe.latency_runtime,
            threads=recipe.latency_threads,
            progress=progress,
        ), value
    description = graph.describe(model)
    kinds = {
        "target_macs": filter_costs.macs,
        "target_parameters": filter_costs.parameters,
    }
    cost = kinds[name](description)
    traced = channels.trace(description)
    everything = np.full(len(traced.removable), True)
    return cost, value * filter_costs.total(cost, traced.counts(everything))
