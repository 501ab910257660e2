"""A fine-tuning run, phase by phase, and its files."""

import pathlib
import time

import numpy as np

from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import labeled_outputs
from keras_squeezenet.report import model_card
from keras_squeezenet.training import class_order
from keras_squeezenet.training import early_answers
from keras_squeezenet.training import linear_head
from keras_squeezenet.training import network
from keras_squeezenet.training import objectives
from keras_squeezenet.training import requirements
from keras_squeezenet.training import several_labels
from keras_squeezenet.training import trainer
from keras_squeezenet.training import training_run
from keras_squeezenet.training import unlabeled
from keras_squeezenet.training.finetuning_result import FineTuningResult
from keras_squeezenet.utils import files
from keras_squeezenet.utils import signals

FILES = (training_run.MODEL_FILE, report.JSON_FILE, model_card.CARD_FILE)
# What the report has of the training run of a phase.
MEASURED = (
    *("seconds", "validation_accuracy", "test_accuracy"),
    *("recipe", "history"),
)


def require_writable(out, phases, overwrite=False, resume=False):
    """Raise a `FileExistsError` unless `finetune` may write to a folder."""
    if resume and any(last.exists() for last in _checkpoints(out, phases)):
        return
    # A phase that was killed early has a folder without a checkpoint.
    begun = [phase.name for phase in phases] if resume else []
    files.require_writable(out, overwrite, begun)


def _checkpoints(out, phases):
    return [
        pathlib.Path(out, phase.name, training_run.LAST_FILE)
        for phase in phases
    ]


class Run:
    """A fine-tuning run: what it has measured, and what it writes.

    The methods are called in their order.

    Args:
        phases: those after the head.
        recipe: the `Recipe` of the head.
        out: the output folder.
        progress: what shows the progress.
    """

    def __init__(self, phases, recipe, out, progress):
        self.phases = phases
        self.recipe = recipe
        self.out = out
        self.progress = progress
        self.teacher = None
        # The rows of the report, and the weights of the best phase.
        self.found = []
        self.kept = 0
        self.weights = None

    def take_data(self, sets, model, class_names, normalization):
        """Take the sets of the run, with labels."""
        self.teacher, sets = class_order.label(
            self.teacher, sets, model, class_names, self.progress
        )
        self.train, self.validation, self.test = splits.of_dataset(
            *sets.values(), self.recipe, normalization
        )
        ordered = self.train
        if isinstance(ordered, image_dataset.ImageDataset):
            ordered = ordered.as_test("train")
        self.sets = {"train": ordered, "validation": self.validation}
        if self.test is not None:
            self.sets["test"] = self.test
        batch_size = self.recipe.batch_size
        self.ordered = splits.evaluation_split(
            ordered,
            batch_size,
            "train",
            is_learned=True,
            several=network.takes_several(model),
        )
        self.measured = {
            name: splits.evaluation_split(
                images, batch_size, name, several=self.ordered.labels.several
            )
            for name, images in self.sets.items()
            if name != "train"
        }

    def take_model(self, model, name, class_names, normalization):
        """Take the network; check it against the images and the teacher."""
        (images, _), *_ = self.measured["validation"].batches(0).take(1)
        images = np.asarray(images)
        self.class_names = unlabeled.class_names(
            self.train, class_names, self.teacher
        )
        self.model = model = network.load(
            model,
            images.shape[1],
            unlabeled.count_classes(self.class_names, self.teacher),
            normalization,
            self.ordered.labels.several,
        )
        linear_head.require_linear(model)
        known = network.name_classes(model, self.class_names)
        self.dataset = {
            **splits.describe(self.train, name, known, model.output_shape[-1]),
            "labeled_by_teacher": unlabeled.sets_of(self.teacher),
        }
        requirements.require_fit(
            model,
            images,
            self.dataset,
            normalization,
            train=self.ordered,
            **self.measured,
        )
        several_labels.require_measurable(
            self.measured["validation"],
            self.measured.get("test"),
            self.dataset["classes"],
        )
        if self.teacher is not None:
            requirements.require_one_label(model, "distillation")
            self.teacher.require_fit(images, self.dataset)
        self.objective = objectives.of(
            self.recipe, self.ordered, self.dataset["classes"]
        )

    def begin(self, resume):
        """Start a new run, unless one is to be resumed."""
        if not resume:
            # Nobody resumes the phases of an earlier run as those of this one.
            for last in _checkpoints(self.out, self.phases):
                last.unlink(missing_ok=True)

    def fit_head(self, learning_curve):
        """Fit the head, and say what is known after it."""
        started = time.monotonic()
        watch = early_answers.Watch()
        features = linear_head.features(
            self.model,
            watch.over("train", self.ordered, self.sets["train"]),
            self.progress,
        )
        linear_head.assign(
            self.model,
            *linear_head.regress(
                self.model, self.objective, features, self.progress
            ),
        )
        accuracies = {
            name: self._accuracy(name, watch.over(name, split, self.sets[name]))
            for name, split in self.measured.items()
        }
        self._add(
            {
                "name": "head",
                "seconds": round(time.monotonic() - started, 3),
                "validation_accuracy": accuracies["validation"],
                "test_accuracy": accuracies.get("test"),
            }
        )
        self.early = watch.answer(
            self.dataset["classes"], accuracies["validation"], self.phases
        )
        if learning_curve:
            self.early["learning_curve"] = self._learning_curve(features)
        is_agreement = "validation" in unlabeled.sets_of(self.teacher)
        early_answers.say(self.early, is_agreement)

    def _accuracy(self, name, split):
        with self.progress.task(f"head, {name}", split.steps) as advance:
            return labeled_outputs.evaluate(
                self.model.predict_on_batch, split.batches(0), advance
            ).accuracy

    def _learning_curve(self, features):
        images, labels = linear_head.features(
            self.model, self.measured["validation"], self.progress
        )

        def accuracy_of(indices):
            part = [array[indices] for array in features]
            kernel, bias = linear_head.regress(
                self.model, self.objective, part, self.progress
            )
            # Logits have the order of the probabilities.
            return labeled_outputs.of(images @ kernel + bias, labels).accuracy

        (head,) = self.found
        return early_answers.learning_curve(
            accuracy_of,
            len(features[0]),
            head["validation_accuracy"],
            self.recipe.seed,
        )

    def fit_phases(self, tensorboard, **options):
        """Train the other phases; `options` are those of `trainer.train`."""
        for phase in self.phases:
            linear_head.set_trainable(self.model, phase.modules)
            trained = trainer.train(
                self.model,
                self.train,
                self.validation,
                test=self.test,
                recipe=phase.recipe,
                teacher=self.teacher,
                out=self.out / phase.name,
                class_names=self.class_names,
                tensorboard=tensorboard
                and pathlib.Path(tensorboard, phase.name),
                progress=self.progress,
                **options,
            )
            self.model.set_weights(trained.model.get_weights())
            linear_head.set_trainable(self.model, None)
            self.dataset = trained.dataset
            values = trained.to_json()
            self._add(
                {"name": phase.name, **{key: values[key] for key in MEASURED}}
            )

    def _add(self, row):
        """Add the row of a phase, and keep its weights if it is the best."""
        self.found.append(row)
        accuracies = [each["validation_accuracy"] for each in self.found]
        # If phases are equal, the later one has been trained longer.
        if not accuracies[-1] < accuracies[self.kept]:
            self.kept = len(self.found) - 1
            self.weights = self.model.get_weights()

    def finish(self):
        """Write the best phase, and return its `FineTuningResult`."""
        self.model.set_weights(self.weights)
        result = FineTuningResult(
            model=self.model,
            dataset=self.dataset,
            parameters=self.model.count_params(),
            seconds=round(sum(phase["seconds"] for phase in self.found), 3),
            kept=self.found[self.kept]["name"],
            phases=self.found,
            early=self.early,
            several_labels=self._thresholds(),
            teacher=None if self.teacher is None else self.teacher.describe(),
        )
        with signals.uninterrupted():
            models.save(self.model, self.out / training_run.MODEL_FILE)
            files.write_json(self.out / report.JSON_FILE, result.to_json())
            model_card.write(result.to_json(), self.out)
        return result

    def _thresholds(self):
        if not self.ordered.labels.several:
            return None
        test = self.measured.get("test")
        tested = test and labeled_outputs.evaluate(
            self.model.predict_on_batch, test.batches(0)
        )
        return several_labels.choose(
            self.model,
            self.measured["validation"],
            tested,
            self.dataset["classes"],
        )
