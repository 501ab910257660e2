"""A training run that can be resumed, and its files."""

import contextlib
import dataclasses
import json
import logging
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import mixing
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import labeled_outputs
from keras_squeezenet.report import model_card
from keras_squeezenet.training import class_order
from keras_squeezenet.training import epochs
from keras_squeezenet.training import network
from keras_squeezenet.training import objectives
from keras_squeezenet.training import optimizers
from keras_squeezenet.training import requirements
from keras_squeezenet.training import several_labels
from keras_squeezenet.training import unlabeled
from keras_squeezenet.training.training_result import TrainingResult
from keras_squeezenet.utils import checkpoints
from keras_squeezenet.utils import files
from keras_squeezenet.utils import ownership
from keras_squeezenet.utils import signals

MODEL_FILE = "model.keras"
HISTORY_FILE = "history.csv"
LAST_FILE = "last.npz"
FILES = (
    *(MODEL_FILE, HISTORY_FILE, report.JSON_FILE, model_card.CARD_FILE),
    LAST_FILE,
)

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class State(epochs.State):
    """The progress of a run: its fit, and the weights that it started with."""

    ARRAYS: ClassVar[tuple[str, ...]] = ("initial", *epochs.State.ARRAYS)

    initial: list = dataclasses.field(default_factory=list)


def require_writable(out, overwrite=False, resume=False):
    """Raise a `FileExistsError` unless `train` may write to a folder."""
    files.require_resumable(out, LAST_FILE, overwrite, resume)


class Run:
    """A training run: what it has measured, and what it writes.

    The methods are called in their order.

    Args:
        recipe: the `Recipe`.
        out: the output folder.
        progress: what shows the progress.
        distribution: the devices and workers.
    """

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

    def take_data(self, sets, model, class_names, normalization):
        """Take the sets of the run; return the training data, with labels."""
        self.teacher, sets = class_order.label(
            self.teacher, sets, model, class_names, self.progress
        )
        shard, rand_augment = self.distribution.shard, self.recipe.rand_augment
        self.train, self.validation, self.test = splits.of_run(
            *sets.values(),
            self.recipe,
            rand_augment,
            shard,
            normalization,
            network.takes_several(model),
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
            **splits.describe(train, name, found, model.output_shape[-1]),
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
            self._say_if_weights_differ()
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
        if not resume and self.distribution.is_chief:
            # Nobody resumes an earlier run as this one.
            last.unlink(missing_ok=True)
        if self.state.history:
            # The run may have been killed after it wrote the checkpoint only.
            self._write(is_best=True)

    def _say_if_weights_differ(self):
        # This is not an error: random weights are others each time.
        if not epochs.has_weights(self.model, self.state.initial):
            logger.warning(
                "The run in %s continues from the weights that it was started "
                "with, which differ from those of the model given. Pass "
                "--overwrite (overwrite=True) to train the model given.",
                self.out,
            )

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
        evaluation = labeled_outputs.evaluate(
            model.predict_on_batch, split.batches(0)
        )
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
            self.tested = labeled_outputs.evaluate(
                self.model.predict_on_batch, self.test.batches(0), advance
            )
        return self.tested.accuracy

    def result(self):
        state, seconds = self.state, self.state.epoch_seconds
        steps = sum(epoch["steps"] for epoch in state.history)
        images = steps * (
            self.train.batch_size or self.train.size / self.train.steps
        )
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
