"""The compression pipeline: train, prune, cluster, quantize, export.

Reference:
- [Deep Compression](https://arxiv.org/abs/1510.00149) (Han et al., 2016)
- SqueezeNet paper, section 4.2 and table 2
"""

import dataclasses
import gzip
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.compression import artifacts
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import huffman_size
from keras_squeezenet.compression import sensitivity
from keras_squeezenet.compression import stages
from keras_squeezenet.compression import state as states
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.compression_recipe import Recipe
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import kernel_statistics
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.report import samples
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import checkpoints
from keras_squeezenet.utils import files
from keras_squeezenet.utils.progress import Progress

CALIBRATION_BATCHES = 8
# What a run that was killed may have left in its output folder.
IGNORED_FILES = (states.FILE, f".*.{states.FILE}", ".new.*")


class AccuracyLossError(RuntimeError):
    """A stage lost more accuracy than the recipe allows, however gently."""


@dataclasses.dataclass(frozen=True, eq=False)
class CompressionResult:
    """The compressed model and the report of its compression.

    Args:
        model: `keras.Model`, compressed.
        report: dict, the content of `report.json`; `report/schema.json`
            describes every field.
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


def compress(
    model: keras.Model | str | os.PathLike,
    data: Any,
    validation: Any = None,
    *,
    test: Any = None,
    recipe: Recipe | None = None,
    out: str | os.PathLike = "squeezenet_compressed",
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> CompressionResult:
    """Trains and compresses a model, and writes every form of it.

    After each stage what it promised is measured on its result: the density
    and the number of distinct values of each kernel, and equal outputs of
    each form of the model. Of a stage's epochs the one with the best accuracy
    on the validation images is kept.

    Args:
        model: `keras.Model`, a flat Functional SqueezeNet from preprocessed
            images to probabilities of the classes, with any head, which is
            left unchanged; or a path or the name of weights, as `models.load`
            takes them.
        data: the training set: `(images, labels)`, arrays as `Model.fit` takes
            them; a `tf.data.Dataset` of batches of them; or a
            `data.ImageDataset`.
        validation: the validation set, as arrays or batches. Defaults to
            `None`: the validation images of an `ImageDataset`, or else
            `recipe.validation_share` of its training images.
        test: the test set, as arrays or batches, which the reported accuracies
            are measured on. Defaults to `None`: the test images of an
            `ImageDataset`, or else `validation`.
        recipe: `Recipe`. Defaults to `Recipe()`.
        out: path of the output folder, see `forms`; `report.json`,
            `report.md` and `report.html` are there too. It is written when
            all is done; until then it has a file to resume from. Defaults to
            `"squeezenet_compressed"`.
        name: str, the name of the data set in the report. Defaults to that of
            the `ImageDataset`.
        class_names: list of str. Defaults to those of the `ImageDataset`, or
            numbers.
        overwrite: whether to replace these files of an earlier run. Defaults
            to `False`.
        resume: whether to go on with a run of the same arguments that was
            stopped or killed, from its last epoch. Defaults to `False`.
        tensorboard: path of a folder for TensorBoard's logs. Defaults to
            `None`, no logs.
        progress: `Progress`, to be told how the work goes on. Defaults to
            a silent one.

    Returns:
        A `CompressionResult`.

    Raises:
        ValueError: if the model is no SqueezeNet, or does not fit the images,
            or a run to resume had other arguments.
        FileExistsError: if the output folder is not empty.
        NonFiniteLossError: if a loss becomes NaN, naming stage and step.
        ImportError: if `tensorboard` is asked for and not installed.
        RuntimeError: on another backend than TensorFlow.
        CheckError: if a stage falls short of what it promised.
        AccuracyLossError: if a stage loses more than
            `recipe.max_accuracy_drop`, however gently it is tried; what the
            stages before it made has been written.
    """
    recipe = recipe or Recipe()
    backend.require_tensorflow()
    model = models.load(model)
    tf_keras_twin.require_squeezenet(model)
    if tensorboard is not None:
        training.require_tensorboard()
    run = _Run(model, recipe, pathlib.Path(out), progress or Progress())
    run.tensorboard = tensorboard
    run.describe(data, name or "images", class_names)
    run.take_images(data, validation, test)
    run.begin(overwrite, resume)
    lost = run.run_stages()
    with files.new_folder(out, overwrite, IGNORED_FILES) as folder:
        summary, pictures = run.export(folder, lost)
        report.write(summary, folder, pictures)
    files.sweep(run.checkpoint.parent, IGNORED_FILES)
    if lost:
        raise lost
    return CompressionResult(run.model, summary)


class _Run:
    """A model on its way, and where it is."""

    def __init__(self, model, recipe, out, progress):
        self.model = model
        self.recipe = recipe
        self.progress = progress
        self.checkpoint = out / states.FILE
        self.state = states.State()

    def describe(self, train, name, class_names):
        self.dataset = {
            **splits.describe(
                train, name, class_names, self.model.output_shape[-1]
            ),
            "image_size": self.model.input_shape[1],
        }

    def take_images(self, train, validation, test):
        recipe = self.recipe
        train, validation, test = splits.of_dataset(
            train,
            validation,
            test,
            recipe.batch_size,
            recipe.validation_share,
            recipe.seed,
        )
        self.train = splits.training_split(
            train, recipe.batch_size, recipe.seed, recipe.augmentation
        )
        self.validation, self.test = (
            splits.evaluation_split(images, recipe.batch_size, name)
            for images, name in (
                (validation, "validation"),
                (validation if test is None else test, "test"),
            )
        )
        self.dataset |= {
            "train_images": self.train.size,
            "validation_images": self.validation.size,
            "test_images": 0 if test is None else self.test.size,
        }
        keras.utils.set_random_seed(recipe.seed)
        self.calibration = [
            np.asarray(images)
            for images, _ in self.train.batches(0).take(CALIBRATION_BATCHES)
        ]
        training.require_fit(self.model, self.calibration[0], self.dataset)
        stages.require_layers(self.model, recipe)

    def begin(self, overwrite, resume):
        """Goes to where a run to resume was, or to the beginning."""
        files.require_writable(self.checkpoint.parent, overwrite, IGNORED_FILES)
        found = self.checkpoint.exists()
        if found and not (resume or overwrite):
            raise FileExistsError(
                f"{self.checkpoint.parent} has a run that was not finished: "
                "pass --resume (resume=True) to go on with it, or --overwrite "
                "to begin anew."
            )
        if found and resume:
            self.state = checkpoints.load(
                self.checkpoint, self._identity(), states.State
            )
            self.model.set_weights(self.state.weights)
            return
        files.sweep(self.checkpoint.parent, IGNORED_FILES)
        self.state.weights = self.model.get_weights()

    def _identity(self):
        recipe = dataclasses.asdict(self.recipe)
        return {
            **{f"recipe.{field}": value for field, value in recipe.items()},
            "dataset": self.dataset,
            "model": self.model.name,
            "parameters": self.model.count_params(),
        }

    def save(self):
        checkpoints.save(self.checkpoint, self.state, self._identity())

    def run_stages(self):
        """Runs the stages that are left; returns an error of lost accuracy."""
        kinds = self.recipe.stages
        if kinds[:1] != ("train",):
            kinds = ("train", *kinds)
        for kind in kinds[self.state.stage :]:
            try:
                self.run_stage(kind)
            except AccuracyLossError as error:
                return error
        return None

    def run_stage(self, kind):
        """Runs a stage, more gently each time that it loses too much."""
        state = self.state
        while True:
            started = time.monotonic()
            stage = self._make_stage(kind)
            accuracy = self._fit(stage, kind)
            ranges = stage.finish()
            lost = self._lost(accuracy)
            if lost is None:
                break
            self._retry_or_raise(kind, lost)
        state.stages.append(self._measure(stage, kind, accuracy, started))
        state.ranges = ranges
        state.weights = self.model.get_weights()
        state.dense = state.dense or state.weights
        state.stage += 1
        state.attempt, state.seconds = 0, 0.0
        self._forget_training()
        self.save()

    def _make_stage(self, kind):
        recipe = stages.gentler(self.recipe, kind, self.state.attempt)
        if kind == "train":
            if "train" not in recipe.stages:
                recipe = recipe.replace(train_epochs=0)
        else:
            self._require_same_outputs_of_twin()
        if stages.needs_sensitivity(recipe, kind) and not (
            self.state.sensitivity
        ):
            self.state.sensitivity = self._scan()
        keras.utils.set_random_seed(self.recipe.seed)
        return stages.make(
            kind,
            self.model,
            recipe,
            self._steps,
            self.calibration,
            self.state.sensitivity,
        )

    def _fit(self, stage, kind):
        """Trains a stage; returns the validation accuracy of its result."""
        steps = self._steps(stage.epochs)
        if not steps:
            return self._accuracy(stage.trainee, self.validation, "validate")
        training.compile_classifier(
            stage.namespace, stage.trainee, steps, stage.learning_rate
        )
        self._restore(stage.trainee)
        settled = stage.settled_after(steps)
        with self.progress.task(kind, steps) as advance:
            for _ in range(len(self.state.history) * self.train.steps):
                advance()
            try:
                for epoch in self._epochs(stage, kind, steps, advance):
                    done = min(epoch["epoch"] * self.train.steps, steps)
                    self._keep(stage.trainee, epoch, done >= settled)
            except training.NonFiniteLossError as error:
                raise training.NonFiniteLossError(f"{kind}: {error}") from error
        stage.trainee.set_weights(self.state.best_weights)
        return self.state.history[self.state.best]["validation_accuracy"]

    def _epochs(self, stage, kind, steps, advance):
        started = time.monotonic()
        for epoch in training.epochs(
            stage.namespace,
            stage.trainee,
            self.train.batches,
            steps,
            self.train.steps,
            advance,
            [*stage.callbacks, *self._tensorboard(stage.namespace, kind)],
            first_epoch=len(self.state.history),
            seed=self.recipe.seed,
        ):
            yield epoch
            self.state.seconds += time.monotonic() - started
            started = time.monotonic()
            self.save()

    def _keep(self, trainee, epoch, is_settled):
        """Notes an epoch, and its weights if they are the best so far."""
        state = self.state
        accuracy = self._accuracy(trainee, self.validation)
        state.history.append({**epoch, "validation_accuracy": accuracy})
        state.training = training.variables(trainee)
        best = None if state.best is None else state.history[state.best]
        # Of equals the later one, which has been trained longer.
        if is_settled and not (best and best["validation_accuracy"] > accuracy):
            state.best = len(state.history) - 1
            state.best_weights = trainee.get_weights()

    def _restore(self, trainee):
        if self.state.training:
            training.restore(trainee, self.state.training)

    def _lost(self, accuracy):
        """How many points too low an accuracy is, or `None`."""
        allowed = self.recipe.max_accuracy_drop
        if allowed is None or not self.state.stages:
            return None
        dense = self.state.stages[0]["validation_accuracy"]
        drop = 100 * (dense - accuracy)
        # A share of images is no decimal fraction.
        return drop if drop > allowed + 1e-9 else None

    def _retry_or_raise(self, kind, lost):
        state = self.state
        self.model.set_weights(state.weights)
        retries = self.recipe.max_retries
        if not stages.can_be_gentler(self.recipe, kind):
            retries = 0
        if state.attempt >= retries:
            raise AccuracyLossError(
                f"the stage {kind!r} loses {lost:.2f} points of validation "
                f"accuracy after {state.attempt + 1} attempts, and may lose "
                f"{self.recipe.max_accuracy_drop}. What the stages before it "
                "made was written. More epochs, a higher density or more bits "
                "are what usually helps."
            )
        state.attempt += 1
        self._forget_training()
        self.save()

    def _forget_training(self):
        self.state.history, self.state.best = [], None
        self.state.training, self.state.best_weights = [], []

    def _measure(self, stage, kind, validation_accuracy, started):
        """Returns the report of a stage that has ended."""
        measured = stage.trainee if stage.measures_trainee else self.model
        kernels = tf_keras_twin.kernels(self.model)
        content = _weight_bytes(self.model)
        name = stages.NAMES[kind]
        seconds = self.state.seconds or time.monotonic() - started
        return {
            "name": name,
            "kind": kind,
            "accuracy": self._accuracy(measured, self.test, f"test {name}"),
            "validation_accuracy": validation_accuracy,
            "density": kernel_statistics.overall_density(kernels),
            "distinct_values": max(
                len(np.unique(kernel)) for kernel in kernels.values()
            ),
            "seconds": seconds,
            "epochs": len(self.state.history),
            "attempts": self.state.attempt + 1,
            "bytes": len(content),
            "gzip_bytes": len(gzip.compress(content)),
            "huffman_bytes": _huffman_bytes(self.model),
            "history": self.state.history,
        }

    def export(self, folder, lost):
        """Writes every form of the model; returns report and pictures."""
        quantized = artifacts.quantized(
            self.model, self.state.ranges, self.calibration, self.recipe
        )
        written = artifacts.write(
            self.model,
            quantized,
            self.recipe,
            folder,
            self.dataset,
            self.test,
            self.calibration,
            self.progress,
        )
        final = written.final
        dense = keras.models.clone_model(self.model)
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
        ), samples.sample_images(self.test.batches(0), chosen)

    def _scan(self):
        images, labels = sensitivity.choose(
            self.validation.batches(0),
            self.validation.size,
            self.recipe.sensitivity_images,
        )
        return sensitivity.scan(
            self.model, images, labels, progress=self.progress
        )

    def _steps(self, epochs):
        return self.recipe.steps(epochs, self.train.steps)

    def _accuracy(self, model, split, task=None):
        batches = split.batches(0)
        if task is None:
            return training.accuracy(
                model.predict_on_batch, batches, lambda **metrics: None
            )
        with self.progress.task(task, split.steps) as advance:
            return training.accuracy(model.predict_on_batch, batches, advance)

    def _tensorboard(self, namespace, kind):
        if self.tensorboard is None:
            return []
        folder = pathlib.Path(self.tensorboard) / stages.NAMES[kind]
        return [namespace.callbacks.TensorBoard(folder)]

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
