"""Packing: rate-distortion quantization, the last stage of small files."""

import itertools

import keras

from keras_squeezenet.compression import checks
from keras_squeezenet.compression import run_images
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.compression_recipe import Recipe
from keras_squeezenet.compression.stages.stage import Context
from keras_squeezenet.compression.stages.stage import Stage
from keras_squeezenet.packing import bounds
from keras_squeezenet.packing import image_sets
from keras_squeezenet.packing import measurement
from keras_squeezenet.packing import packer

# Each time that the stage is relaxed, the file may be larger by this factor, or
# the divergence smaller.
RELAXED_BYTES, RELAXED_KL = 1.25, 0.5


class Pack(Stage):
    """Packing into the smallest file within a bound, and training of its codes.

    Training images calibrate it, and the validation set measures it.

    Attributes:
        packed: the `PackResult`, after `wrap`.
    """

    kind = "pack"
    name = "packed"
    # It trains codes, and not the wrapped model.
    epochs = 0

    @classmethod
    def can_relax(cls, recipe):
        return recipe.target_bytes is not None or recipe.max_kl is not None

    @classmethod
    def relax(cls, recipe, attempt):
        """Return a recipe with a looser bound on bytes, or a tighter one."""
        size, kl = recipe.target_bytes, recipe.max_kl
        return recipe.replace(
            target_bytes=size and round(size * RELAXED_BYTES**attempt),
            max_kl=kl and kl * RELAXED_KL**attempt,
        )

    def wrap(self, steps, calibration):
        run, recipe = self.context, self.recipe
        images = run.images
        measurer = self._measurer(images.validation)
        files = make_packer(self.model, recipe, run, measurer)
        steps = recipe.steps(recipe.pack_epochs, images.train.steps)
        train, objective = images.learn(recipe)
        try:
            packed = files.pack(
                self._bound(measurer), steps, _batches(train), objective["loss"]
            )
        except bounds.BoundError as error:
            raise checks.TargetError(str(error)) from error
        decoded = packed.model
        checks.require_measured(
            packed.point.kl, measurer.measure(decoded).kl, self.kind
        )
        if images.test is not None:
            packed = packed.tested(self._measurer(images.test))
        self.packed = packed
        # Trained codes may compute other activations.
        self.keeps_ranges = not packed.has_trained_codes
        return decoded

    def _measurer(self, split):
        with self.context.progress.task("measure", split.steps) as advance:
            return measurement.Measurer(
                self.model, lambda: split.batches(0), advance=advance
            )

    def _bound(self, measurer):
        recipe = self.recipe
        if recipe.target_bytes is not None:
            return bounds.Bound(target_bytes=recipe.target_bytes)
        if recipe.max_kl is not None or recipe.max_accuracy_drop is None:
            return bounds.Bound(max_kl=recipe.max_kl or bounds.MAX_KL)
        lost = 100 * (self.context.accuracy - measurer.accuracy)
        # What the stages before have lost is not to be lost again.
        return bounds.Bound(
            max_accuracy_drop=max(0.0, recipe.max_accuracy_drop - lost)
        )

    def finish(self, trainee):
        tf_keras_twin.copy_weights(trainee, self.model)


def _batches(train):
    """Yield the batches of one epoch after the other."""
    for epoch in itertools.count():
        yield from train.batches(epoch)


def make_packer(
    model: keras.Model,
    recipe: Recipe,
    run: Context,
    measurer: measurement.Measurer | None = None,
) -> packer.Packer:
    """Return what packs a model, calibrated on training images of a run."""
    return packer.Packer(
        model,
        run_images.first_images(run.images.train, image_sets.IMAGES),
        provenance=run.provenance,
        seed=recipe.seed,
        progress=run.progress,
        measurer=measurer,
    )
