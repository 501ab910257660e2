"""Packing: rate-distortion quantization, the last stage of small files."""

from keras_squeezenet.compression import checks
from keras_squeezenet.compression import filter_costs
from keras_squeezenet.compression import run_images
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.stages.stage import Stage
from keras_squeezenet.packing import bounds
from keras_squeezenet.packing import image_sets
from keras_squeezenet.packing import measurement
from keras_squeezenet.packing import packer
from keras_squeezenet.packing import size_training
from keras_squeezenet.utils import cpu

# Each time that the stage is relaxed, the file may be larger by this factor, or
# the divergence smaller.
RELAXED_BYTES, RELAXED_KL = 1.25, 0.5
# Codes are trained for so many steps, unless the recipe says how many epochs.
STEPS = 2400
# Above so many multiply-accumulates for an image the layers at the front are
# not trained.
MAX_MACS = 100_000_000


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
        run, images = self.context, self.context.images
        measurer = self._measurer(images.validation)
        bound, lesson = self._bound(measurer), self._lesson()
        count = image_sets.IMAGES
        if lesson and bound.target_bytes is not None:
            count = size_training.IMAGES
        files = packer.Packer(
            self.model,
            run_images.first_images(images.train, count),
            provenance=run.provenance,
            seed=self.recipe.seed,
            progress=run.progress,
            measurer=measurer,
        )
        try:
            packed = files.pack(bound, lesson=lesson)
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

    def _lesson(self):
        """Return what codes are trained on, if they are."""
        recipe, images = self.recipe, self.context.images
        epochs = recipe.pack_epochs
        if epochs is None:
            sized = recipe.target_bytes is not None
            epochs = STEPS / images.train.steps if sized else 0.0
        steps = recipe.steps(epochs, images.train.steps)
        if not steps:
            return None
        train, objective = images.learn(recipe, cpu.precision())
        return size_training.Lesson(
            train,
            objective["loss"],
            steps,
            freezes_front=filter_costs.count_macs(self.model) > MAX_MACS,
            is_augmented=recipe.augmentation is not None
            or train.batch_size is None,
        )

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
