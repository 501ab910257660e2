"""A whole training run, which can be stopped, killed and resumed."""

import dataclasses
import json
import math
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet.data import augmentations
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import splits
from keras_squeezenet.training import distributed
from keras_squeezenet.training import loop
from keras_squeezenet.training import network
from keras_squeezenet.training import optimizers
from keras_squeezenet.training import requirements
from keras_squeezenet.training.training_recipe import Recipe
from keras_squeezenet.utils import checkpoints
from keras_squeezenet.utils import files
from keras_squeezenet.utils.progress import Progress

MODEL_FILE = "model.keras"
HISTORY_FILE = "history.csv"
LAST_FILE = "last.npz"
FILES = (MODEL_FILE, HISTORY_FILE, report.JSON_FILE, LAST_FILE)
# What a run that was killed may have left of files half written.
TEMPORARY_FILES = tuple(f".*.{name}" for name in FILES)
# A run is stuck if, after this share of the steps and as many updates of the
# weights, its loss is above this share of that of a guess, and its accuracy
# below this multiple: a loss that was high at first says nothing.
STUCK_AFTER = 0.2
STUCK_UPDATES = 300
STUCK_LOSS = 0.99
STUCK_ACCURACY = 1.5


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training run measured, and the model that it kept.

    Args:
        model: `keras.Model` at its best epoch.
        dataset: dict of the data set's `name`, `classes`, `skipped_images`,
            `image_size`, `train_images`, `validation_images` and
            `test_images`.
        parameters: int, the number of parameters of the model.
        recipe: `Recipe` of the run.
        restarts: int, the number of restarts from a plateau.
        best_epoch: int, the epoch of `model`, counted from 1.
        validation_accuracy: float in [0, 1], of `model`.
        test_accuracy: float in [0, 1], of `model`; `None` without test images.
        seconds: float, the time of all training epochs.
        images_per_second: float, training images per second.
        history: list of a dict for each epoch: `epoch`, `loss`, `accuracy`,
            `validation_accuracy`, `steps` and `seconds`.
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

    def to_json(self) -> dict:
        """Return the content of `report.json`: every field but `model`."""
        values = {**vars(self), "recipe": dataclasses.asdict(self.recipe)}
        del values["model"]
        return values


@dataclasses.dataclass
class State:
    """Where a run is.

    Args:
        restarts: int, how often it got stuck and was begun anew.
        history: list of a dict for each epoch that is done since then.
        best: int, the best of them, or `None`.
        initial: arrays, the model's weights at the beginning.
        training: arrays, as `loop.variables` has them.
        best_weights: arrays, of the model at its best epoch.
    """

    ARRAYS: ClassVar = ("initial", "training", "best_weights")

    restarts: int = 0
    history: list = dataclasses.field(default_factory=list)
    best: int | None = None
    initial: list = dataclasses.field(default_factory=list)
    training: list = dataclasses.field(default_factory=list)
    best_weights: list = dataclasses.field(default_factory=list)


def train(
    model: keras.Model | str | os.PathLike | None,
    data: Any,
    validation: Any = None,
    *,
    test: Any = None,
    recipe: Recipe | None = None,
    out: str | os.PathLike = "squeezenet_trained",
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | os.PathLike | None = None,
    progress: Progress | None = None,
    distribution: distributed.Distribution | None = None,
) -> TrainingResult:
    """Trains a classifier; keeps its best epoch and its last one.

    After each epoch these files are written to `out`, each whole or not at
    all:

    - `model.keras`, the model at the best epoch so far, which
      `compression.compress` and the commands take as it is
    - `history.csv`, a line for each epoch
    - `report.json`, what is returned
    - `last.npz`, what it takes to go on

    A run that was killed at any moment and resumed ends, on a CPU, with the
    same weights, bit for bit, as one that was not.

    Args:
        model: Functional `keras.Model` from preprocessed images to
            probabilities of the classes, which is left unchanged; or a path or
            the name of weights, as `models.load` takes them. With `None` a
            network is built by `build` for a `data.ImageDataset`.
        data: the training set: `(images, labels)`, arrays as `Model.fit` takes
            them; a `tf.data.Dataset` of batches of them; or a
            `data.ImageDataset`.
        validation: the validation set, as arrays or batches. Defaults to
            `None`: the validation images of an `ImageDataset`, or else
            `recipe.validation_share` of its training images.
        test: the test set, as arrays or batches. Defaults to `None`: the test
            images of an `ImageDataset`.
        recipe: `Recipe`. Defaults to `Recipe()`.
        out: path of the output folder. Defaults to `"squeezenet_trained"`.
        name: str, the name of the data set in the report. Defaults to that of
            the `ImageDataset`.
        class_names: list of str. Defaults to those of the `ImageDataset`, or
            numbers.
        overwrite: whether to replace these files of an earlier run. Defaults
            to `False`.
        resume: whether to go on with a run of the same arguments that was
            stopped or killed, from its last epoch, if there is one. Defaults
            to `False`.
        tensorboard: path of a folder for TensorBoard's logs. Defaults to
            `None`, no logs.
        progress: `Progress`, to be told how the work goes on. Defaults to
            a silent one.
        distribution: what `distribute` returned, the devices and workers to
            train on. Every worker calls this function with the same
            arguments, and `out` is a folder that all of them share; the first
            one alone writes, measures and tells of its progress. Dropout,
            `rand_augment`, `mixup` and `cutmix` draw for each worker's part
            of a batch, all else is computed as by one. Defaults to `None`:
            one device.

    Returns:
        A `TrainingResult`.

    Raises:
        ValueError: if the model does not fit the images, a run to resume
            had other arguments, the devices do not divide a batch, or the
            workers differ in how they begin.
        FileExistsError: if the output folder is not empty.
        NonFiniteLossError: if the loss becomes NaN, naming epoch and step.
        ImportError: if `tensorboard` is asked for and not installed.
        RuntimeError: on another backend than TensorFlow.
        WorkerLostError: if another worker is killed or cannot be reached.

    Example:

    >>> digits = data.load("mnist5k")
    >>> recipe = training.Recipe(epochs=4)
    >>> model = training.train(None, digits, recipe=recipe).model
    """
    requirements.require_tensorflow()
    if tensorboard is not None:
        requirements.require_tensorboard()
    recipe = recipe or Recipe()
    keras.utils.set_random_seed(recipe.seed)
    distribution = distribution or distributed.Distribution()
    run = _Run(recipe, pathlib.Path(out), progress or Progress(), distribution)
    run.take_images(data, validation, test)
    run.take_model(model, data, name, class_names)
    with distribution.watched(run.out / LAST_FILE):
        run.begin(overwrite, resume)
        run.fit(tensorboard)
        return run.finish()


def require_writable(out, overwrite=False, resume=False):
    """Raises a `FileExistsError` unless `train` may begin in a folder.

    Args:
        out, overwrite, resume: as `train` takes them.
    """
    files.require_resumable(out, LAST_FILE, overwrite, resume, TEMPORARY_FILES)


class _Run:
    """A training run, and where it is."""

    def __init__(self, recipe, out, progress, distribution):
        self.recipe = recipe
        self.out = out
        self.progress = progress
        self.distribution = distribution
        self.state = State()
        self.test_accuracy = None

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
            train,
            recipe.batch_size,
            recipe.seed,
            recipe.augmentation,
            recipe.rand_augment,
            self.distribution.shard,
        )
        self.validation = splits.evaluation_split(
            validation, recipe.batch_size, "validation"
        )
        self.test = None
        if test is not None:
            self.test = splits.evaluation_split(test, recipe.batch_size, "test")
        self.steps = recipe.steps(self.train.steps)
        self.epochs = math.ceil(self.steps / self.train.steps)

    def take_model(self, model, train, name, class_names):
        (images, _), *_ = self.validation.batches(0).take(1)
        if model is None:
            if class_names is None and isinstance(
                train, image_dataset.ImageDataset
            ):
                class_names = train.class_names
            if class_names is None:
                raise ValueError(
                    "`model` may be `None` for an `ImageDataset`, or with "
                    "`class_names`. Received: model=None, class_names=None"
                )
            model = network.build(images.shape[1], len(class_names))
        else:
            model = models.load(model)
        self.model = model
        self.dataset = {
            **splits.describe(
                train, name or "images", class_names, model.output_shape[-1]
            ),
            "image_size": model.input_shape[1],
            "train_images": self.train.size,
            "validation_images": self.validation.size,
            "test_images": self.test.size if self.test else 0,
        }
        requirements.require_fit(model, np.asarray(images), self.dataset)

    def begin(self, overwrite, resume):
        """Goes to where a run to resume was, or to the beginning."""
        require_writable(self.out, overwrite, resume)
        last = self.out / LAST_FILE
        if resume and last.exists():
            self.state = checkpoints.load(last, self._identity(), State)
        state = self.state
        weights = [
            *(state.initial or self.model.get_weights()),
            *state.training,
        ]
        self.distribution.require_same(
            {
                "arguments": json.dumps(self._identity()).encode(),
                "epochs that are done": b"%d" % len(state.history),
                "weights": b"".join(array.tobytes() for array in weights),
            }
        )

    def _identity(self):
        recipe = dataclasses.asdict(self.recipe)
        return {
            **{f"recipe.{field}": value for field, value in recipe.items()},
            "dataset": self.dataset,
            "model": self.model.name,
            "parameters": self.model.count_params(),
        }

    def fit(self, tensorboard):
        """Trains all the epochs that are left."""
        self.callbacks = []
        if tensorboard is not None and self.distribution.is_chief:
            self.callbacks = [keras.callbacks.TensorBoard(tensorboard)]
        self.state.initial = self.state.initial or self.model.get_weights()
        while not self._fit_or_get_stuck():
            self.state = State(
                restarts=self.state.restarts + 1, initial=self.state.initial
            )
            self._save()

    def _fit_or_get_stuck(self):
        """Trains; returns whether it got to the end."""
        self.trainee = self._make_trainee()
        epochs = loop.epochs(
            keras,
            self.trainee,
            self._batches,
            self.steps,
            self.train.steps,
            lambda **metrics: self.advance(**metrics),
            self.callbacks,
            first_epoch=len(self.state.history),
            # Of dropout, which each worker has of its own.
            seed=image_dataset.mix_seed(
                self.distribution.shard.index, self.recipe.seed
            ),
        )
        while not self._is_over():
            if self._is_stuck():
                return False
            number = len(self.state.history)
            steps = min(
                self.train.steps, self.steps - number * self.train.steps
            )
            with self.progress.task(
                self._task(number), steps + 1
            ) as self.advance:
                self._keep(epochs, steps)
        return True

    def _make_trainee(self):
        state, recipe = self.state, self.recipe
        trainee = self.distribution.spread(
            optimizers.make_trainee(self.model, recipe.precision)
        )
        trainee.set_weights(state.initial)
        rate = recipe.learning_rate / 2**state.restarts
        optimizers.compile_for(
            recipe.replace(learning_rate=rate), trainee, self.steps
        )
        if state.training:
            loop.restore(trainee, state.training)
            self._write()
        return trainee

    def _task(self, number):
        again = f"try {self.state.restarts + 1}, "
        epoch = f"epoch {number + 1}/{self.epochs}"
        return again + epoch if self.state.restarts else epoch

    def _batches(self, epoch):
        recipe = self.recipe
        mix = augmentations.make_mixing(recipe.mixup, recipe.cutmix)
        seed = image_dataset.mix_seed(recipe.seed, epoch)
        classes = len(self.dataset["classes"])
        return (
            self.train.batches(epoch)
            .enumerate()
            .map(
                lambda index, batch: mix(
                    batch[0],
                    tf.one_hot(batch[1], classes),
                    tf.stack([seed, index]),
                ),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            .prefetch(tf.data.AUTOTUNE)
        )

    def _is_over(self):
        done, best = len(self.state.history), self.state.best
        patience = self.recipe.patience
        is_stuck = patience is not None and best is not None
        return done == self.epochs or (is_stuck and done - 1 - best >= patience)

    def _is_stuck(self):
        """Whether the loss is that of a guess, when it should not be."""
        state = self.state
        done = len(state.history) * self.train.steps
        enough = STUCK_UPDATES * self.recipe.accumulation
        if done < max(STUCK_AFTER * self.steps, enough):
            return False
        if state.restarts == self.recipe.restarts:
            return False
        # What the regularizers of weight decay add is no part of it.
        epoch, classes = state.history[-1], len(self.dataset["classes"])
        loss = epoch["loss"] - sum(map(float, self.trainee.losses))
        is_guess = epoch["accuracy"] < STUCK_ACCURACY / classes
        return is_guess and loss > STUCK_LOSS * math.log(classes)

    def _keep(self, epochs, steps):
        """Trains one epoch, measures it, and writes where the run is."""
        state = self.state
        started = time.monotonic()
        epoch = next(epochs)
        seconds = time.monotonic() - started
        with loop.averaged(self.trainee):
            accuracy = self.distribution.from_chief(
                lambda: self._accuracy(self.trainee, self.validation)
            )
            weights = self.trainee.get_weights()
        best = None if state.best is None else state.history[state.best]
        state.history.append(
            {
                **epoch,
                "validation_accuracy": accuracy,
                "steps": steps,
                "seconds": round(seconds, 3),
            }
        )
        state.training = loop.variables(self.trainee)
        # Of equals the later one, which has been trained longer.
        is_best = not (best and best["validation_accuracy"] > accuracy)
        if is_best:
            state.best = len(state.history) - 1
            state.best_weights = weights
        self.advance(loss=epoch["loss"], validation=accuracy)
        with files.uninterrupted():
            self._save()
            self._write(is_best)

    def _save(self):
        if not self.distribution.is_chief:
            return
        checkpoints.save(self.out / LAST_FILE, self.state, self._identity())

    def _write(self, is_best=True):
        """Writes the files that follow from the state."""
        if is_best:
            self.model.set_weights(self.state.best_weights)
        if not self.distribution.is_chief:
            return
        if is_best:
            with files.new_file(self.out / MODEL_FILE) as temporary:
                self.model.save(temporary)
        files.write_csv(self.out / HISTORY_FILE, self.state.history)
        files.write_json(self.out / report.JSON_FILE, self.result().to_json())

    def _accuracy(self, model, split):
        return loop.accuracy(
            model.predict_on_batch, split.batches(0), lambda **metrics: None
        )

    def finish(self):
        """Measures the model that is kept on the test images."""
        if self.test is not None:
            self.test_accuracy = self.distribution.from_chief(self._test)
        with files.uninterrupted():
            self._write(is_best=False)
        if self.distribution.is_chief:
            files.sweep(self.out, TEMPORARY_FILES)
        return self.result()

    def _test(self):
        with self.progress.task("test", self.test.steps) as advance:
            return loop.accuracy(
                self.model.predict_on_batch, self.test.batches(0), advance
            )

    def result(self):
        state = self.state
        seconds = sum(epoch["seconds"] for epoch in state.history)
        steps = sum(epoch["steps"] for epoch in state.history)
        images = steps * (self.train.size // self.train.steps)
        return TrainingResult(
            model=self.model,
            dataset=self.dataset,
            parameters=self.model.count_params(),
            recipe=self.recipe,
            restarts=state.restarts,
            best_epoch=state.best + 1,
            validation_accuracy=state.history[state.best][
                "validation_accuracy"
            ],
            test_accuracy=self.test_accuracy,
            seconds=round(seconds, 3),
            images_per_second=round(images / seconds, 1),
            history=state.history,
        )
