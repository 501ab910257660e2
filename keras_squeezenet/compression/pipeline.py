"""The compression pipeline: prune, cluster, quantize, pack, export.

Reference:
- [Deep Compression](https://arxiv.org/abs/1510.00149) (Han et al., 2016)
- SqueezeNet paper, section 4.2 and table 2
"""

import dataclasses
import gzip
import logging
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

import keras
import numpy as np
import tf_keras

from keras_squeezenet import flattening
from keras_squeezenet import graph
from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet.compression import allocation
from keras_squeezenet.compression import artifacts
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import filter_costs
from keras_squeezenet.compression import huffman_size
from keras_squeezenet.compression import sensitivity
from keras_squeezenet.compression import stages
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression.compression_recipe import Recipe
from keras_squeezenet.compression.stages.stage import Context
from keras_squeezenet.data import decode
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import kernel_statistics
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.report import samples
from keras_squeezenet.training import distillation
from keras_squeezenet.training import epochs
from keras_squeezenet.training import network
from keras_squeezenet.training import objectives
from keras_squeezenet.training import optimizers
from keras_squeezenet.training import requirements
from keras_squeezenet.training import trainer
from keras_squeezenet.training import training_recipe
from keras_squeezenet.training import unlabeled
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import checkpoints
from keras_squeezenet.utils import files
from keras_squeezenet.utils import ownership
from keras_squeezenet.utils import signals
from keras_squeezenet.utils.progress import Progress

CALIBRATION_BATCHES = 8
CHECKPOINT_FILE = ".unfinished.npz"
# A caller may train the dense model here; it is removed at the end.
TRAINING_FOLDER = ".training"
# The files that a stopped run leaves in its output folder.
IGNORED_FILES = (CHECKPOINT_FILE, TRAINING_FOLDER)
# The columns of an epoch in the report.
HISTORY = ("epoch", "loss", "accuracy", "validation_accuracy")

logger = logging.getLogger(__name__)


class AccuracyLossError(RuntimeError):
    """A stage loses more accuracy than the recipe allows, even when relaxed."""


@dataclasses.dataclass
class State(epochs.State):
    """The progress of a run: finished stages, and the fit of the current one.

    `attempt` is how often the current stage has been relaxed, `chosen` what it
    has decided, and `seconds` the time of its earlier attempts. `stages` are
    rows of the report, that of the dense model first. `ranges` are activation
    ranges, if they are trained. `sensitivity` is a dict of
    `SensitivityResult`. `weights` are those before the current stage, of the
    layers in `description`, if they are not those of the dense model. `dense`
    are the weights before any compression. After packing, `packed` has the
    bytes of the .sqz file, and `packing` is a dict of its `PackResult`.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = (
        *("weights", "dense", "packed"),
        *epochs.State.ARRAYS,
    )

    stage: int = 0
    attempt: int = 0
    chosen: Any = None
    seconds: float = 0.0
    stages: list = dataclasses.field(default_factory=list)
    ranges: dict | None = None
    sensitivity: dict | None = None
    description: dict | None = None
    packing: dict | None = None
    weights: list = dataclasses.field(default_factory=list)
    dense: list = dataclasses.field(default_factory=list)
    packed: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, eq=False)
class CompressionResult:
    """A compressed model and the content of its `report.json`.

    `report/schema.json` describes every field of the report.
    """

    model: keras.Model
    report: dict

    @property
    def stages(self) -> list[dict]:
        """A dict for each stage, the dense model first."""
        return self.report["stages"]

    @property
    def files(self) -> list[dict]:
        """A dict for each artifact: its bytes, accuracy and agreement."""
        return self.report["files"]

    def to_json(self) -> dict:
        """Return the content of `report.json`."""
        return self.report


@backend.channels_last()
@decode.named_errors()
def compress(
    model: keras.Model | str | os.PathLike,
    data: Any,
    validation: Any = None,
    *,
    test: Any = None,
    recipe: Recipe | None = None,
    teacher: keras.Model | str | os.PathLike | None = None,
    out: str | os.PathLike = "squeezenet_compressed",
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    normalization: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | os.PathLike | None = None,
    progress: Progress | None = None,
    trained: trainer.TrainingResult | None = None,
) -> CompressionResult:
    """Compress a trained model in stages, and write its artifacts.

    Each stage keeps its epoch with the best validation accuracy. Its result is
    checked: the density and the number of distinct values of each kernel. Each
    artifact is read again, and its outputs are compared with the model's.

    Args:
        model: `keras.Model`, a flat or nested SqueezeNet with any head, from
            normalized images to probabilities of the classes, which is left
            unchanged; or a path or the name of weights, as `models.load` takes
            them.
        data, validation, name, class_names, normalization: as in
            `training.train`.
        test: the test set, as arrays or batches, for the accuracies in the
            report. Defaults to `None`: that of an `ImageDataset`, or else the
            validation set.
        recipe: defaults to `Recipe()`.
        teacher: as in `training.train`, for every stage. Without one, a
            positive `recipe.distillation`, or images without labels, make the
            model before compression the teacher.
        out: the output folder, for the artifacts, `report.json`, `report.md`,
            `report.html` and the model card `README.md`. They are written at
            the end; until then the folder has a checkpoint.
        overwrite, resume, tensorboard, progress: as in `training.train`.
        trained: the result of the run that trained `model`, for the report.

    Returns:
        A `CompressionResult`.

    Raises:
        ValueError: if the model is not a SqueezeNet or does not fit the images,
            or the run to resume had other arguments.
        FileExistsError: if the output folder is not empty.
        NonFiniteLossError: if a loss becomes NaN; it names stage and step.
        ImportError: if `tensorboard` is given but not installed.
        RuntimeError: with a backend other than TensorFlow.
        CheckError: if the result of a stage, or an artifact, misses a target.
        AccuracyLossError: if a stage loses more than
            `recipe.max_accuracy_drop`, even when relaxed. The result of the
            stages before it is written.
    """
    recipe = training_recipe.with_teacher(
        recipe or Recipe(), teacher, True, unlabeled.is_labeled(data)
    )
    out = pathlib.Path(out).expanduser()
    backend.require_tensorflow("Compression")
    model = flattening.flatten(models.load(model, normalization=normalization))
    tf_keras_twin.require_squeezenet(model)
    requirements.require_one_label(model, "compression")
    if tensorboard is not None:
        requirements.require_tensorboard(tensorboard)
    run = _Run(model, recipe, out, progress or Progress(), tensorboard)
    with ownership.own(out):
        run.take_teacher(teacher)
        run.take_data(data, validation, test, name, class_names, normalization)
        run.begin(overwrite, resume)
        run.measure_dense(trained)
        lost = run.run_stages()
        with files.new_folder(out, overwrite, IGNORED_FILES) as folder:
            summary, images = run.export(folder, lost)
            report.write(summary, folder, images)
        files.sweep(run.checkpoint.parent, IGNORED_FILES)
    if lost:
        raise lost
    return CompressionResult(run.model, summary)


class _Run:
    def __init__(self, model, recipe, out, progress, tensorboard):
        self.dense = self.model = model
        self.recipe = recipe
        self.progress = progress
        self.tensorboard = tensorboard
        self.checkpoint = out / CHECKPOINT_FILE
        self.teacher = None
        self.state = State()

    def take_teacher(self, teacher):
        """Load the teacher of the recipe, by default the model as it is."""
        if self.recipe.distillation:
            self.teacher = distillation.load(
                self.model if teacher is None else teacher,
                models.read_metadata(self.model).normalization,
                self.model.input_shape[1],
            )

    def take_data(
        self, data, validation, test, name, class_names, normalization
    ):
        self.teacher, sets = unlabeled.label(
            self.teacher,
            {"train": data, "validation": validation, "test": test},
            self.progress,
        )
        data = sets["train"]
        class_names = unlabeled.class_names(data, class_names, self.teacher)
        found = network.name_classes(self.model, class_names)
        self.train, self.validation, test = splits.of_run(
            *sets.values(),
            self.recipe,
            normalization=found.normalization,
        )
        self.test = test or self.validation
        classes = self.model.output_shape[-1]
        self.dataset = {
            **splits.describe(data, name or "images", found, classes),
            "image_size": self.model.input_shape[1],
            "train_images": self.train.size,
            "validation_images": self.validation.size,
            "test_images": test.size if test else 0,
            "labeled_by_teacher": unlabeled.sets_of(self.teacher),
        }
        keras.utils.set_random_seed(self.recipe.seed)
        self.calibration = [
            np.asarray(images)
            for images, *_ in self.train.batches(0).take(CALIBRATION_BATCHES)
        ]
        requirements.require_fit(
            self.model,
            self.calibration[0],
            self.dataset,
            normalization,
            train=self.train,
            validation=self.validation,
            test=self.test,
        )
        self.objective = objectives.of(
            self.recipe, self.train, self.dataset["classes"]
        )
        if self.teacher:
            self.teacher.require_fit(self.calibration[0], self.dataset)
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
        """Load the state of a run to resume, or start a new one."""
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
            if self.state.description:
                self.model = models.rebuild(self.model, self.state.description)
            self.model.set_weights(self.state.weights)
            return
        self.checkpoint.unlink(missing_ok=True)
        self.state.weights = self.state.dense = self.model.get_weights()

    def _identity(self):
        return epochs.identify(
            self.recipe, self.dataset, self.dense, self.teacher
        )

    def save(self):
        with signals.uninterrupted():
            checkpoints.save(self.checkpoint, self.state, self._identity())

    def measure_dense(self, trained):
        """Add the dense model to the report, with the run that trained it."""
        if self.state.stages:
            return
        started = time.monotonic()
        accuracy = self._accuracy(self.model, self.validation, "validate")
        self.state.history = trained.history if trained else []
        row = self._measure("train", "dense", self.model, accuracy, started)
        self._end_stage(row)

    def run_stages(self):
        """Run the remaining stages; return an `AccuracyLossError`, if any."""
        rounds = [
            (kind, recipe)
            for kind in stages.of(self.recipe)
            for recipe in kind.rounds(self.recipe)
        ]
        for kind, recipe in rounds[self.state.stage :]:
            if not kind.is_needed(self.model, recipe):
                self.state.stage += 1
                continue
            try:
                self.run_stage(kind, recipe)
            except AccuracyLossError as error:
                return error
        return None

    def run_stage(self, kind, recipe):
        """Run a stage, relaxed each time that it loses too much accuracy."""
        state = self.state
        while True:
            started = time.monotonic()
            stage = self._make_stage(kind, recipe)
            trainee, accuracy = self._fit(stage)
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
        row = self._measure(kind.kind, kind.name, measured, accuracy, started)
        state.weights = self.model.get_weights()
        state.stage += 1
        self._end_stage(row)

    def _end_stage(self, row):
        state = self.state
        state.stages.append(row)
        state.attempt, state.chosen, state.seconds = 0, None, 0.0
        state.clear()
        self.save()

    def _make_stage(self, kind, recipe):
        if self.state.attempt:
            recipe = kind.relax(recipe, self.state.attempt)
        self._require_same_outputs_of_twin()
        if kind.needs_scan(recipe) and not self.state.sensitivity:
            images, labels = sensitivity.choose(
                self.validation, recipe.sensitivity_images
            )
            self.state.sensitivity = sensitivity.scan(
                self.model, images, labels, progress=self.progress
            )
        keras.utils.set_random_seed(recipe.seed)
        stage = kind(self.model, recipe, self.state.sensitivity)
        stage.context = Context(
            self.train,
            self.validation,
            self.test if self.dataset["test_images"] else None,
            self.state.stages[0]["validation_accuracy"],
            artifacts.provenance(self.dataset, self.recipe),
            self.progress,
        )
        return stage

    def _fit(self, stage):
        """Train a stage; return its trainee and the validation accuracy."""
        steps = stage.recipe.steps(stage.epochs, self.train.steps)
        trainee = self._wrap(stage, steps)
        start, accuracy = None, None
        if not steps or stage.may_stay_untrained:
            start = trainee.get_weights()
            accuracy = self._accuracy(trainee, self.validation, "validate")
        if not steps:
            return trainee, accuracy
        classes = len(self.dataset["classes"])
        train = self.train.in_rows(classes)
        objective = self.objective.compiled(tf_keras, classes)
        if self.teacher:
            train = self.teacher.teach(train)
            objective = distillation.objective(
                self.recipe.distillation,
                self.recipe.temperature,
                self.objective.loss,
            )
        optimizers.compile_classifier(
            tf_keras, trainee, steps, stage.learning_rate, objective=objective
        )
        fit = epochs.Fit(
            make=lambda restarts: trainee,
            train=train,
            steps=steps,
            measure=lambda trainee: self._accuracy(trainee, self.validation),
            save=self.save,
            state=self.state,
            namespace=tf_keras,
            reseed=tfmot.reseed,
            seed=self.recipe.seed,
            callbacks=(*stage.callbacks, *self._tensorboard(stage)),
            settled=stage.settled_after(steps),
            progress=self.progress,
            name=stage.kind,
        )
        try:
            fit.run()
        except epochs.NonFiniteLossError as error:
            raise epochs.NonFiniteLossError(f"{stage.kind}: {error}") from error
        if start is not None and accuracy > self.state.best_accuracy:
            trainee.set_weights(start)
            return trainee, accuracy
        trainee.set_weights(self.state.best_weights)
        return trainee, self.state.best_accuracy

    def _wrap(self, stage, steps):
        """Return the trainee of a stage, with what it decides before."""
        if self.state.chosen is None:
            self.state.chosen = stage.choose(self.calibration, self.progress)
            if self.state.chosen is not None:
                self.save()
        stage.chosen = self.state.chosen
        trainee = stage.wrap(steps, self.calibration)
        if self.recipe.keep_frozen and steps:
            tfmot.freeze(trainee, models.frozen_layers(self.model))
        return trainee

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
        state.seconds += state.epoch_seconds
        state.clear()
        self.save()

    def _measure(self, kind, name, measured, validation_accuracy, started):
        kernels = tf_keras_twin.kernels(self.model)
        history = [
            {key: epoch[key] for key in HISTORY} for epoch in self.state.history
        ]
        return {
            "name": name,
            "kind": kind,
            "accuracy": self._accuracy(measured, self.test, f"test {name}"),
            "validation_accuracy": validation_accuracy,
            "density": kernel_statistics.overall_density(kernels),
            "distinct_values": max(
                len(np.unique(kernel)) for kernel in kernels.values()
            ),
            "seconds": self.state.seconds + self.state.epoch_seconds
            or time.monotonic() - started,
            "epochs": len(history),
            "attempts": self.state.attempt + 1,
            "macs": filter_costs.count_macs(self.model),
            **self._sizes(),
            "history": history,
        }

    def _sizes(self):
        """Return the bytes of a stage: of its file, if it is packed."""
        if self.state.packed:
            sizes = len(self.state.packed[0]), None, None
        else:
            content = _weight_bytes(self.model)
            sizes = (
                len(content),
                len(gzip.compress(content)),
                _huffman_bytes(self.model),
            )
        return dict(zip(("bytes", "gzip_bytes", "huffman_bytes"), sizes))

    def export(self, folder, lost):
        """Write every artifact; return the report and its sample images."""
        quantized = artifacts.quantized(
            self.model, self.state.ranges, self.calibration, self.recipe
        )
        written = artifacts.write(
            self.model,
            quantized,
            self.state.packed[0].tobytes() if self.state.packed else None,
            self.recipe,
            folder,
            self.dataset,
            self.test,
            self.calibration,
            self.progress,
        )
        final = written.final
        dense = keras.models.clone_model(self.dense)
        dense.set_weights(self.state.dense)
        before = metrics.evaluate(dense.predict_on_batch, self.test.batches(0))
        chosen = samples.choose_samples(before, final)
        return report.make(
            model=self.model,
            dataset=self.dataset,
            recipe=self.recipe,
            status="accuracy_lost" if lost else "complete",
            message=str(lost) if lost else None,
            stages=self.state.stages,
            layers=artifacts.layers(self.model, written.int8_kernels),
            files=written.files,
            confusion=metrics.confusion_matrix(
                final.labels, final.predicted, len(self.dataset["classes"])
            ).tolist(),
            histograms=samples.histograms(
                tf_keras_twin.kernels(dense), tf_keras_twin.kernels(self.model)
            ),
            samples=[samples.sample(before, final, index) for index in chosen],
            sensitivity=self.state.sensitivity,
            teacher=self.teacher and self.teacher.describe(),
            packing=self.state.packing,
        ), samples.explain(
            self.model,
            samples.sample_images(self.test.batches(0), chosen),
            final.predicted[chosen],
            self.dataset["normalization"],
        )

    def _accuracy(self, model, split, task=None):
        progress = Progress() if task is None else self.progress
        with progress.task(task, split.steps) as advance:
            return metrics.evaluate(
                model.predict_on_batch, split.batches(0), advance
            ).accuracy

    def _tensorboard(self, stage):
        if self.tensorboard is None:
            return ()
        folder = pathlib.Path(self.tensorboard) / stage.name
        return (tf_keras.callbacks.TensorBoard(folder),)

    def _require_same_outputs_of_twin(self):
        images = self.calibration[0]
        checks.require_equal(
            self.model.predict_on_batch(images),
            tf_keras_twin.make_twin(self.model).predict_on_batch(images),
            artifacts.TOLERANCE,
            "the tf_keras twin",
        )


def _weight_bytes(model):
    return b"".join(
        keras.ops.convert_to_numpy(weight).tobytes() for weight in model.weights
    )


def _huffman_bytes(model):
    return sum(
        huffman_size.count_bytes(*layer.get_weights()).huffman.total
        for layer in model.layers
        if layer.weights
    )
