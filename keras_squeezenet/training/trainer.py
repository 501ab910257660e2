"""Train a network, resumably: `train`."""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet.data import decode
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import mixing
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.pretrained import hub
from keras_squeezenet.report import model_card
from keras_squeezenet.training import distillation
from keras_squeezenet.training import distributed
from keras_squeezenet.training import epochs
from keras_squeezenet.training import network
from keras_squeezenet.training import objectives
from keras_squeezenet.training import optimizers
from keras_squeezenet.training import requirements
from keras_squeezenet.training import several_labels
from keras_squeezenet.training import training_recipe
from keras_squeezenet.training import unlabeled
from keras_squeezenet.training.training_recipe import Recipe
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import checkpoints
from keras_squeezenet.utils import files
from keras_squeezenet.utils import ownership
from keras_squeezenet.utils import signals
from keras_squeezenet.utils.progress import Progress

MODEL_FILE = "model.keras"
HISTORY_FILE = "history.csv"
LAST_FILE = "last.npz"
FILES = (
    *(MODEL_FILE, HISTORY_FILE, report.JSON_FILE, model_card.CARD_FILE),
    LAST_FILE,
)


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingResult:
    """The best model of a training run, and what was measured.

    Args:
        model: the model at its best epoch.
        dataset: the data set's `name`, `classes`, `skipped_images`,
            `image_size`, `normalization`, `train_images`, `validation_images`
            and `test_images`; and `labeled_by_teacher`, those of the sets
            `"train"`, `"validation"` and `"test"` whose labels are the
            teacher's classes: accuracy on them is agreement with the teacher.
        parameters: int, the number of parameters of the model.
        recipe: `Recipe` of the run.
        restarts: int, the number of restarts from a plateau.
        best_epoch: int, the epoch of `model`, counted from 1.
        validation_accuracy: float in [0, 1], of `model`; with several labels,
            this and every accuracy is a mean average precision.
        test_accuracy: float in [0, 1], of `model`; `None` without a test set.
        seconds: float, the time of all training epochs.
        images_per_second: float, training images per second.
        history: list of a dict for each epoch: `epoch`, `loss`, `accuracy`,
            `validation_accuracy`, `steps` and `seconds`; with a teacher, with
            weights or with the focal loss also `cross_entropy`, the mean
            cross-entropy with the labels.
        teacher: dict of the teacher's `name` and of the SHA-256 `digest` of
            its weights; `None` without one.
        several_labels: with several labels of an image, a dict for each class:
            its `label`, its `threshold` with the best F1 on the validation set
            (0.5 if fewer than 10 of its images have the label), and
            `images`, `predicted`, `average_precision` and `f1` of the test set,
            or else of the validation set. `None` with one label.
    """

    model: keras.Model
    dataset: dict
    parameters: int
    recipe: Recipe
    restarts: int
    best_epoch: int
    validation_accuracy: float
    test_accuracy: float | None
    seconds: float
    images_per_second: float
    history: list[dict]
    teacher: dict | None = None
    several_labels: list[dict] | None = None

    def to_json(self) -> dict:
        """Return the content of `report.json`: every field but `model`."""
        values = {**vars(self), "recipe": dataclasses.asdict(self.recipe)}
        del values["model"]
        return values


@dataclasses.dataclass
class State(epochs.State):
    """The progress of a run: its fit, and the weights that it started with."""

    ARRAYS: ClassVar[tuple[str, ...]] = ("initial", *epochs.State.ARRAYS)

    initial: list = dataclasses.field(default_factory=list)


@backend.channels_last()
@decode.named_errors()
def train(
    model: keras.Model | str | os.PathLike | None,
    data: Any,
    validation: Any = None,
    *,
    test: Any = None,
    recipe: Recipe | None = None,
    teacher: keras.Model | str | os.PathLike | None = None,
    out: str | os.PathLike = "squeezenet_trained",
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    normalization: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | os.PathLike | None = None,
    progress: Progress | None = None,
    distribution: distributed.Distribution | None = None,
) -> TrainingResult:
    """Train a classifier and keep its best epoch.

    After each epoch these files are written to `out`, each whole or not at all:

    - `model.keras`, the model at the best epoch so far
    - `history.csv`, a line for each epoch
    - `report.json`, the `TrainingResult` so far
    - `last.npz`, the checkpoint to resume from, which is also written every
      ten minutes within an epoch

    At the end `README.md` is written, the model card.

    On a CPU, a run that was killed at any moment and resumed ends with the same
    weights, bit for bit, as one that was never interrupted.

    Args:
        model: Functional `keras.Model` from normalized images to
            probabilities of the classes, which is left unchanged, or the path
            of a `.keras` file. For the name or any other file of weights, a
            network is built that starts from them; for `None`, one with random
            weights: see `build`.
        data: the training set: `(images, labels)` or `(images, labels,
            weights)`, arrays as `Model.fit` takes them; batches of them, as a
            `tf.data.Dataset`, a `keras.utils.PyDataset` or another object with
            `len()`; or a `data.ImageDataset`. Labels are integers; one-hot or
            soft labels, rows that sum to 1; or several labels of an image, rows
            of 0 and 1, for a network that ends with a sigmoid. Sample weights
            multiply the loss of their images. With a teacher, labels may be
            left out: images alone, a `tf.data.Dataset` of batches of them, or a
            folder as `data.load` loads it with `labeled=False`. Their labels
            are the classes that the teacher finds.
        validation, test: the validation and the test set, as arrays or batches
            without weights; of soft labels the most probable class counts.
            Those of an `ImageDataset` are the defaults; its validation set may
            be split off its training images (`recipe.validation_share`).
        recipe: defaults to `Recipe()`.
        teacher: a network of the same classes whose outputs the model learns
            too, by `recipe.distillation`, as `models.load` takes it. It sees
            the same augmented images, in its own size and normalization. For
            images without labels `recipe.distillation` is 1 unless stated.
            Defaults to `None`: the model learns the labels alone.
        out: the output folder.
        name, class_names: the names of the data set and of its classes, in the
            report. Default to those of an `ImageDataset`, or to `"images"` and
            numbers.
        normalization: the normalization of the images, a key of
            `normalizations.NORMALIZATIONS`: `"caffe"` as `preprocess_input`
            returns them, `"raw"` for RGB from 0 to 255, ... Every file of the
            model keeps it, and an `ImageDataset` applies it. Defaults to that
            of the model, or to `"caffe"`; then arrays and batches are checked.
        overwrite: whether to replace the files of an earlier run.
        resume: whether to resume a run of the same arguments from its last
            checkpoint, if there is one.
        tensorboard: a folder for TensorBoard's logs; `None` for no logs.
        progress: defaults to a silent one.
        distribution: the devices and workers to train on, from `distribute`.
            Every worker calls this function with the same arguments, and `out`
            is a folder that they share. Only the first worker writes, evaluates
            and shows progress. Each worker draws `mixup`, `cutmix` and dropout
            for its part of a batch; all else is computed as by one worker.
            Defaults to `None`: one device.

    Returns:
        A `TrainingResult`.

    Raises:
        ValueError: if the model does not fit the images, the run to resume had
            other arguments, the devices cannot share a batch equally, or the
            workers start with different arguments or weights.
        FileExistsError: if the output folder is not empty.
        InUseError: if another process writes to the output folder.
        DiskError: if the disk does not take a file.
        NonFiniteLossError: if the loss becomes NaN; it names epoch and step.
        ImportError: if `tensorboard` is given but not installed.
        RuntimeError: with a backend other than TensorFlow.
        WorkerLostError: if another worker is killed or cannot be reached.

    Example:

    >>> digits = data.load("mnist5k")
    >>> recipe = training.Recipe(epochs=4)
    >>> model = training.train(None, digits, recipe=recipe).model
    """
    backend.require_tensorflow("A training run")
    if tensorboard is not None:
        requirements.require_tensorboard(tensorboard)
    recipe = training_recipe.with_teacher(
        recipe or Recipe(), teacher, is_labeled=unlabeled.is_labeled(data)
    )
    keras.utils.set_random_seed(recipe.seed)
    distribution = distribution or distributed.Distribution()
    out = pathlib.Path(out).expanduser()
    model = hub.local(model)
    run = _Run(recipe, out, progress or Progress(), distribution)
    with run.owned():
        known = network.normalization_of(model, normalization)
        if teacher is not None:
            run.teacher = distillation.load(teacher, known)
        data = run.take_data(
            data, validation, test, known, network.takes_several(model)
        )
        run.take_model(model, data, name, class_names, normalization)
        with distribution.watched(run.out / LAST_FILE):
            run.begin(overwrite, resume)
            run.fit(tensorboard)
            return run.finish()


def require_writable(out, overwrite=False, resume=False):
    """Raise a `FileExistsError` unless `train` may write to a folder."""
    files.require_resumable(out, LAST_FILE, overwrite, resume)


class _Run:
    def __init__(self, recipe, out, progress, distribution):
        self.recipe = recipe
        self.out = out
        self.progress = progress
        self.distribution = distribution
        self.teacher = None
        self.state = State()
        self.test_accuracy = None
        self.tested = None
        self.several_labels = None

    def owned(self):
        """Own the output folder, to which only the chief writes."""
        if self.distribution.is_chief:
            return ownership.own(self.out)
        return contextlib.nullcontext()

    def take_data(self, data, validation, test, normalization, several):
        """Take the sets of the run; return the training data, with labels."""
        self.teacher, sets = unlabeled.label(
            self.teacher,
            {"train": data, "validation": validation, "test": test},
            self.progress,
        )
        shard, rand_augment = self.distribution.shard, self.recipe.rand_augment
        self.train, self.validation, self.test = splits.of_run(
            *sets.values(),
            self.recipe,
            rand_augment,
            shard,
            normalization,
            several,
        )
        return sets["train"]

    def take_model(self, model, train, name, class_names, normalization):
        (images, _), *_ = self.validation.batches(0).take(1)
        class_names = unlabeled.class_names(train, class_names, self.teacher)
        self.model = model = network.load(
            model,
            images.shape[1],
            unlabeled.count_classes(class_names, self.teacher),
            normalization,
            self.train.labels.several,
        )
        found = network.name_classes(model, class_names)
        self.dataset = {
            **splits.describe(
                train, name or "images", found, model.output_shape[-1]
            ),
            "image_size": model.input_shape[1],
            "train_images": self.train.size,
            "validation_images": self.validation.size,
            "test_images": self.test.size if self.test else 0,
            "labeled_by_teacher": unlabeled.sets_of(self.teacher),
        }
        requirements.require_fit(
            model,
            np.asarray(images),
            self.dataset,
            normalization,
            train=self.train,
            validation=self.validation,
            test=self.test,
        )
        self.objective = objectives.of(
            self.recipe, self.train, self.dataset["classes"]
        )
        self._require_mixable()
        several_labels.require_measurable(
            self.validation, self.test, self.dataset["classes"]
        )
        if self.teacher:
            requirements.require_one_label(model, "distillation")
            self.teacher.require_fit(np.asarray(images), self.dataset)

    def _require_mixable(self):
        recipe = self.recipe
        if self.train.is_weighted and (recipe.mixup or recipe.cutmix):
            raise ValueError(
                "`mixup` and `cutmix` mix images, which then must have no "
                f"sample weights. Received: mixup={recipe.mixup}, "
                f"cutmix={recipe.cutmix}, with sample weights; leave one of "
                "the two out"
            )

    def begin(self, overwrite, resume):
        """Load the state of a run to resume, or start a new one."""
        require_writable(self.out, overwrite, resume)
        last = self.out / LAST_FILE
        if resume and last.exists():
            self.state = checkpoints.load(last, self._identity(), State)
        self.state.initial = self.state.initial or self.model.get_weights()
        weights = [*self.state.initial, *self.state.training]
        self.distribution.require_same(
            {
                "arguments": json.dumps(self._identity()).encode(),
                "finished steps": b"%d of epoch %d"
                % (self.state.step, len(self.state.history) + 1),
                "weights": b"".join(array.tobytes() for array in weights),
            }
        )
        if self.state.history:
            # The run may have been killed after it wrote the checkpoint only.
            self._write(is_best=True)

    def _identity(self):
        return epochs.identify(
            self.recipe, self.dataset, self.model, self.teacher
        )

    def fit(self, tensorboard):
        callbacks = ()
        if tensorboard is not None and self.distribution.is_chief:
            callbacks = (keras.callbacks.TensorBoard(tensorboard),)
        recipe, shard = self.recipe, self.distribution.shard
        epochs.Fit(
            make=self._make_trainee,
            train=self._taught(),
            steps=recipe.steps(self.train.steps),
            measure=lambda trainee: self.distribution.from_chief(
                lambda: self._accuracy(trainee, self.validation)
            ),
            save=self._save,
            state=self.state,
            # Each worker has dropout masks of its own.
            seed=image_dataset.mix_seed(shard.index, recipe.seed),
            callbacks=callbacks,
            patience=recipe.patience,
            plateau=self._plateau(),
            progress=self.progress,
        ).run()

    def _plateau(self):
        classes = len(self.dataset["classes"])
        counts = np.ones(classes)
        if self.train.labels.several:
            counts = self.train.labels.count(classes)
        loss, accuracy = self.objective.kind.guess(counts, self.train.size)
        return epochs.Plateau(
            self.recipe.restarts, loss, accuracy, self.recipe.accumulation
        )

    def _make_trainee(self, restarts):
        recipe = self.recipe.replace(
            learning_rate=self.recipe.learning_rate / 2**restarts
        )
        trainee = self.distribution.spread(
            optimizers.make_trainee(self.model, recipe)
        )
        trainee.set_weights(self.state.initial)
        optimizers.compile_for(
            recipe, trainee, recipe.steps(self.train.steps), self.objective
        )
        return trainee

    def _taught(self):
        """Return the training set with the labels that the loss takes."""
        train = dataclasses.replace(self.train, batches=self._batches)
        return self.teacher.teach(train) if self.teacher else train

    def _batches(self, epoch, start=0):
        recipe = self.recipe
        seed = image_dataset.mix_seed(recipe.seed, epoch)
        rows = self.train.in_rows(len(self.dataset["classes"]))

        def change(index, batch):
            images, labels, *weights = batch
            mixed = mixing.mix(
                images,
                labels,
                tf.stack([seed, index]),
                recipe.mixup,
                recipe.cutmix,
            )
            return *mixed, *weights

        return (
            rows.batches(epoch, start)
            .enumerate(start)
            .map(change, num_parallel_calls=tf.data.AUTOTUNE)
            .prefetch(tf.data.AUTOTUNE)
        )

    def _save(self):
        with signals.uninterrupted():
            if self.distribution.is_chief:
                checkpoints.save(
                    self.out / LAST_FILE, self.state, self._identity()
                )
            history = self.state.history
            if history and not self.state.step:
                self._write(is_best=self.state.best == len(history) - 1)

    def _write(self, is_best):
        if is_best:
            self.model.set_weights(self.state.best_weights)
        if not self.distribution.is_chief:
            return
        if is_best:
            models.save(self.model, self.out / MODEL_FILE)
        files.write_csv(self.out / HISTORY_FILE, self.state.history)
        files.write_json(self.out / report.JSON_FILE, self.result().to_json())

    def _accuracy(self, model, split):
        evaluation = metrics.evaluate(model.predict_on_batch, split.batches(0))
        return evaluation.accuracy

    def finish(self):
        """Evaluate the best model on the test set, and return the result."""
        if self.test is not None:
            self.test_accuracy = self.distribution.from_chief(self._test)
        if self.train.labels.several and self.distribution.is_chief:
            self.several_labels = several_labels.choose(
                self.model,
                self.validation,
                self.tested,
                self.dataset["classes"],
            )
        with signals.uninterrupted():
            self._write(is_best=self.several_labels is not None)
            if self.distribution.is_chief:
                model_card.write(self.result().to_json(), self.out)
        return self.result()

    def _test(self):
        with self.progress.task("test", self.test.steps) as advance:
            self.tested = metrics.evaluate(
                self.model.predict_on_batch, self.test.batches(0), advance
            )
        return self.tested.accuracy

    def result(self):
        state, seconds = self.state, self.state.epoch_seconds
        steps = sum(epoch["steps"] for epoch in state.history)
        images = steps * (self.train.size // self.train.steps)
        return TrainingResult(
            model=self.model,
            dataset=self.dataset,
            parameters=self.model.count_params(),
            recipe=self.recipe,
            restarts=state.restarts,
            best_epoch=state.best + 1,
            validation_accuracy=state.best_accuracy,
            test_accuracy=self.test_accuracy,
            seconds=round(seconds, 3),
            images_per_second=round(images / seconds, 1),
            history=state.history,
            teacher=self.teacher and self.teacher.describe(),
            several_labels=self.several_labels,
        )
