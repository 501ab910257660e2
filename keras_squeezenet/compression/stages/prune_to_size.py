"""Pruning with retraining, to a size, in rounds.

Packing chooses the weights that become zero: those whose bits cost more than
the distortion without them. They stay zero while the others are trained.
"""

import base64
import logging

import numpy as np

from keras_squeezenet import codec
from keras_squeezenet import models
from keras_squeezenet.compression import checks
from keras_squeezenet.compression.stages import pack
from keras_squeezenet.compression.stages.prune import Prune
from keras_squeezenet.packing import bounds

# The size of each round relative to that of the next one, and of the last round
# relative to the file. That one is smaller: training makes up for what pruning
# loses, and not for what packing loses after it.
ROUND_FACTOR, LAST_FACTOR = 2**0.5, 2**-0.25

logger = logging.getLogger(__name__)


class PruneToSize(Prune):
    """A round of pruning: the zeros of a packed file stay zero.

    Attributes:
        densities: those of the kernels of the file, after `wrap`.
    """

    _schedule = "constant"

    def __init__(self, model, recipe, scan=None):
        super().__init__(model, recipe, scan)
        self.name = f"pruned, {_in_kilobytes(bytes_of_round(recipe))}"

    def _targets(self):
        return {}

    @classmethod
    def rounds(cls, recipe):
        """Return a recipe for each round: `prune_rounds` are those left."""
        epochs = recipe.prune_epochs / recipe.prune_rounds
        return [
            recipe.replace(prune_rounds=left, prune_epochs=epochs)
            for left in range(recipe.prune_rounds, 0, -1)
        ]

    @classmethod
    def is_needed(cls, model, recipe):
        size = len(codec.dump(model))
        if size > bytes_of_round(recipe):
            return True
        logger.info(
            "A round of pruning to %s bytes is left out: without loss the "
            "network takes %s bytes.",
            f"{bytes_of_round(recipe):,}",
            f"{size:,}",
        )
        return False

    @classmethod
    def relax(cls, recipe, attempt):
        """Return a recipe with more bytes for the file."""
        return pack.Pack.relax(recipe, attempt)

    def choose(self, calibration, progress):
        """Return the packed file, in base64, whose zeros stay zero."""
        target = bytes_of_round(self.recipe)
        files = pack.make_packer(self.model, self.recipe, self.context)
        try:
            _, content = files.find(bounds.Bound(target_bytes=target))
        except bounds.BoundError as error:
            sizes = [point.bytes for point in files.points.values()]
            raise checks.TargetError(
                "`target_bytes` must be larger for this network: a round of "
                f"pruning aims at {target:,} bytes, and the smallest file has "
                f"{min(sizes):,}. Received: "
                f"target_bytes={self.recipe.target_bytes}"
            ) from error
        return base64.b64encode(content).decode()

    def wrap(self, steps, calibration):
        chosen = codec.loads(base64.b64decode(self.chosen))
        model = models.copy(self.model)
        for name in self.kernels:
            weights = chosen.get_layer(name).get_weights()
            model.get_layer(name).set_weights(weights)
            kept = max(np.count_nonzero(weights[0]), 1)
            self.densities[name] = kept / weights[0].size
        return self._wrap(model, steps)

    def settled_after(self, steps):
        # The accuracy recovers until the last epoch. An earlier one is better
        # only by the chance of a small validation set.
        return steps


def bytes_of_round(recipe):
    """Return the size that a round of pruning aims at."""
    factor = LAST_FACTOR * ROUND_FACTOR ** (recipe.prune_rounds - 1)
    return round(recipe.target_bytes * factor)


def _in_kilobytes(size):
    if size >= 1_000_000:
        return f"{size / 1_000_000:.1f} MB"
    return f"{max(1, round(size / 1000))} kB"
