"""A compression that can be resumed: its stages, one after the other."""

import logging
import pathlib
import time

import keras
import numpy as np
import tf_keras

from keras_squeezenet import graph
from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet.compression import allocation
from keras_squeezenet.compression import artifacts
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import layer_rows
from keras_squeezenet.compression import sensitivity
from keras_squeezenet.compression import stage_fit
from keras_squeezenet.compression import stage_row
from keras_squeezenet.compression import stages
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.run_state import State
from keras_squeezenet.compression.stages.stage import Context
from keras_squeezenet.evaluation import labeled_outputs
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.report import samples
from keras_squeezenet.training import epochs
from keras_squeezenet.utils import checkpoints
from keras_squeezenet.utils import files
from keras_squeezenet.utils import signals

CHECKPOINT_FILE = ".unfinished.npz"
# A caller may train the dense model here; it is removed at the end.
TRAINING_FOLDER = ".training"
# The files that a stopped run leaves in its output folder.
IGNORED_FILES = (CHECKPOINT_FILE, TRAINING_FOLDER)

logger = logging.getLogger(__name__)


class AccuracyLossError(RuntimeError):
    """A stage loses more accuracy than the recipe allows, even when relaxed."""

    status = "accuracy_lost"


class Run:
    """A compression: its model, its images, and the state of its stages.

    The methods are called in their order.

    Args:
        model: a flat model, which becomes the compressed one.
        recipe: the `Recipe`.
        images: those of the run.
        out: the output folder, which gets the checkpoint.
        progress: what shows the progress.
        tensorboard: the folder of TensorBoard's logs; `None` for no logs.
    """

    def __init__(self, model, recipe, images, out, progress, tensorboard=None):
        self.dense = self.model = model
        self.recipe = recipe
        self.images = images
        self.progress = progress
        self.tensorboard = tensorboard
        self.checkpoint = out / CHECKPOINT_FILE
        self.state = State()
        # Until when the time of the stage is counted.
        self.counted = time.monotonic()

    def _require_possible(self):
        layers = list(tf_keras_twin.kernels(self.model))
        self._say_what_frozen_layers_do(layers)
        for rules in (self.recipe.densities, self.recipe.bits):
            allocation.match(rules, layers)
        for kind in stages.of(self.recipe):
            kind.require_possible(self.model, self.recipe, self.progress)

    def _say_what_frozen_layers_do(self, layers):
        names = models.frozen_layers(self.model)
        frozen = [name for name in layers if name in names]
        if frozen and not self.recipe.keep_frozen:
            logger.info(
                "Frozen layers (%d, such as %r) are compressed and trained "
                "like the others; keep_frozen=True (--keep_frozen) keeps them "
                "as they are.",
                len(frozen),
                frozen[0],
            )

    def begin(self, overwrite, resume):
        """Load the state of a run to resume, or start a new one.

        Raises a `ValueError` for a recipe that does not fit the model.
        """
        folder = self.checkpoint.parent
        files.require_writable(folder, overwrite, IGNORED_FILES)
        found = self.checkpoint.exists()
        if found and not (resume or overwrite):
            raise FileExistsError(
                f"{folder} has an unfinished run. Pass --resume (resume=True) "
                "to resume it, or --overwrite (overwrite=True) to start again."
            )
        if found and resume:
            self.state = checkpoints.load(
                self.checkpoint, self._identity(), State
            )
            self._require_same_weights()
            if self.state.description:
                self.model = models.rebuild(self.model, self.state.description)
            self.model.set_weights(self.state.weights)
            return
        self._require_possible()
        self.checkpoint.unlink(missing_ok=True)
        self.state.weights = self.state.dense = self.model.get_weights()

    def _require_same_weights(self):
        if not epochs.has_weights(self.dense, self.state.dense):
            raise ValueError(
                "a run must be resumed with the model that it was started "
                f"with. Received: {self.dense.name!r} with other weights than "
                f"in {self.checkpoint.parent}. Pass that model, or --overwrite "
                "(overwrite=True) to compress the new one"
            )

    def _identity(self):
        return epochs.identify(
            self.recipe, self.images.dataset, self.dense, self.images.teacher
        )

    def save(self):
        self._count_seconds()
        with signals.uninterrupted():
            checkpoints.save(self.checkpoint, self.state, self._identity())

    def _count_seconds(self):
        """Add the time since it was last counted to that of the stage."""
        now = time.monotonic()
        self.state.seconds += now - self.counted
        self.counted = now

    def measure_dense(self, trained):
        """Add the dense model to the report, with the run that trained it."""
        if self.state.stages:
            return
        accuracy = stage_fit.measure_accuracy(
            self.model, self.images.validation, self.progress
        )
        if trained:
            self.state.history = trained.history
            self.state.seconds += trained.seconds
        row = self._measure("train", "dense", self.model, accuracy)
        self._end_stage(row)

    def run_stages(self):
        """Run the remaining stages; return the error that ends them, if any.

        It is an `AccuracyLossError` or a `TargetError`.
        """
        for kind in stages.of(self.recipe)[self.state.stage :]:
            try:
                self.run_stage(kind)
            except AccuracyLossError as error:
                return error
            except checks.TargetError as error:
                error.args = (
                    f"the stage {kind.kind!r} cannot reach its target: "
                    f"{error}. The result of the stages before it is kept.",
                )
                return error
        return None

    def run_stage(self, kind):
        """Run a stage, relaxed each time that it loses too much accuracy."""
        state = self.state
        while True:
            stage = self._make_stage(kind)
            trainee, accuracy = stage_fit.fit(
                stage,
                self.images,
                state,
                self.save,
                self.progress,
                self._tensorboard(stage),
            )
            ranges = stage.finish(trainee)
            lost = self._lost(accuracy)
            if lost is None:
                break
            self._relax_or_raise(kind, lost)
        if stage.model is not self.model:
            self.model, state.sensitivity = stage.model, None
            state.description = graph.describe(self.model)
        if not stage.keeps_ranges:
            state.ranges = ranges
        if stage.packed is not None:
            state.packed = [np.frombuffer(stage.packed.content, "uint8")]
            state.packing = stage.packed.to_json()
        measured = trainee if stage.measures_trainee else self.model
        row = self._measure(kind.kind, stage.name, measured, accuracy)
        state.weights = self.model.get_weights()
        state.stage += 1
        self._end_stage(row)

    def _end_stage(self, row):
        state = self.state
        state.stages.append(row)
        state.attempt, state.chosen, state.seconds = 0, None, 0.0
        state.clear()
        self.save()

    def _make_stage(self, kind):
        recipe = self.recipe
        if self.state.attempt:
            recipe = kind.relax(recipe, self.state.attempt)
        self._require_same_outputs_of_twin()
        if kind.needs_scan(recipe) and not self.state.sensitivity:
            images, labels = sensitivity.choose(
                self.images.validation, recipe.sensitivity_images
            )
            self.state.sensitivity = sensitivity.scan(
                self.model, images, labels, progress=self.progress
            )
        keras.utils.set_random_seed(recipe.seed)
        stage = kind(self.model, recipe, self.state.sensitivity)
        stage.context = Context(
            self.images,
            self.state.stages[0]["validation_accuracy"],
            artifacts.provenance(self.images.dataset, self.recipe),
            self.progress,
        )
        return stage

    def _lost(self, accuracy):
        """Return how many percentage points are lost, if more than allowed."""
        allowed = self.recipe.max_accuracy_drop
        if allowed is None:
            return None
        drop = 100 * (self.state.stages[0]["validation_accuracy"] - accuracy)
        # The difference of two accuracies is rounded.
        return drop if drop > allowed + 1e-9 else None

    def _relax_or_raise(self, kind, lost):
        """Restore the model from before a stage, and relax the stage."""
        state, recipe = self.state, self.recipe
        self.model.set_weights(state.weights)
        loses = (
            f"the stage {kind.kind!r} loses {lost:.2f} percentage points of "
            "validation accuracy, and the recipe allows "
            f"{recipe.max_accuracy_drop}"
        )
        retries = recipe.max_retries if kind.can_relax(recipe) else 0
        if state.attempt >= retries:
            raise AccuracyLossError(
                f"{loses}. Attempts: {state.attempt + 1}. The result of the "
                "stages before it is kept. Try more epochs, a higher density, "
                "more bits or a larger size."
            )
        state.attempt, state.chosen = state.attempt + 1, None
        logger.warning(
            "%s: it is relaxed (attempt %d of %d).",
            loses,
            state.attempt + 1,
            retries + 1,
        )
        state.clear()
        self.save()

    def _measure(self, kind, name, measured, accuracy):
        tested = stage_fit.measure_accuracy(
            measured, self.images.measured, self.progress, f"test {name}"
        )
        accuracies = {"accuracy": tested, "validation_accuracy": accuracy}
        self._count_seconds()
        return stage_row.make(kind, name, self.model, self.state, accuracies)

    def export(self, folder, lost):
        """Write every artifact; return the report and its sample images."""
        written = artifacts.write(
            self.model,
            self.state,
            self.recipe,
            self.images,
            folder,
            self.progress,
        )
        final = written.final
        dense = keras.models.clone_model(self.dense)
        dense.set_weights(self.state.dense)
        before = labeled_outputs.evaluate(
            dense.predict_on_batch, self.images.measured.batches(0)
        )
        chosen = samples.choose_samples(before, final)
        return report.make(
            model=self.model,
            dataset=self.images.dataset,
            recipe=self.recipe,
            status=lost.status if lost else "complete",
            message=str(lost) if lost else None,
            stages=self.state.stages,
            layers=layer_rows.make(self.model, written.int8_kernels),
            files=written.files,
            confusion=metrics.confusion_matrix(
                final.labels,
                final.predicted,
                len(self.images.dataset["classes"]),
            ).tolist(),
            histograms=samples.histograms(
                tf_keras_twin.kernels(dense), tf_keras_twin.kernels(self.model)
            ),
            samples=[samples.sample(before, final, index) for index in chosen],
            sensitivity=self.state.sensitivity,
            teacher=self.images.teacher and self.images.teacher.describe(),
            packing=self.state.packing,
        ), samples.explain(
            self.model,
            samples.sample_images(self.images.measured.batches(0), chosen),
            final.predicted[chosen],
            self.images.dataset["normalization"],
        )

    def _tensorboard(self, stage):
        if self.tensorboard is None:
            return ()
        folder = pathlib.Path(self.tensorboard) / stage.name.replace(" ", "_")
        return (tf_keras.callbacks.TensorBoard(folder),)

    def _require_same_outputs_of_twin(self):
        images = self.images.calibration[0]
        checks.require_equal(
            self.model.predict_on_batch(images),
            tf_keras_twin.make_twin(self.model).predict_on_batch(images),
            artifacts.TOLERANCE,
            "the tf_keras twin",
        )
