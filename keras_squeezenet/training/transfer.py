"""Transfer learning: first the head, then the top modules, then all layers."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.pretrained import hub
from keras_squeezenet.report import model_card
from keras_squeezenet.training import distillation
from keras_squeezenet.training import early_answers
from keras_squeezenet.training import network
from keras_squeezenet.training import objectives
from keras_squeezenet.training import optimizers
from keras_squeezenet.training import requirements
from keras_squeezenet.training import several_labels
from keras_squeezenet.training import trainer
from keras_squeezenet.training import training_recipe
from keras_squeezenet.training import training_run
from keras_squeezenet.training import unlabeled
from keras_squeezenet.training.training_recipe import PHASES
from keras_squeezenet.training.training_recipe import Phase
from keras_squeezenet.training.training_recipe import Recipe
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import files
from keras_squeezenet.utils import ownership
from keras_squeezenet.utils import signals
from keras_squeezenet.utils.progress import Progress

FILES = (training_run.MODEL_FILE, report.JSON_FILE, model_card.CARD_FILE)
# What the report has of the training run of a phase.
MEASURED = (
    *("seconds", "validation_accuracy", "test_accuracy"),
    *("recipe", "history"),
)
HEAD = "conv10"
# The logistic regression is a small problem, which allows a high learning rate.
HEAD_STEPS = 2000
HEAD_BATCH_SIZE = 64
HEAD_LEARNING_RATE = 3e-3
HEAD_WEIGHT_DECAY = 0.1
# The least standard deviation, so that features that hardly vary are not scaled
# up.
MIN_DEVIATION = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class FineTuningResult:
    """The best model of a fine-tuning run, and the accuracy of each phase.

    Args:
        model: `keras.Model` of the best phase, all of it trainable.
        dataset: dict, as in `TrainingResult`.
        parameters: int, the number of parameters of the model.
        seconds: float, the time of all phases.
        kept: str, the name of the best phase.
        phases: list of a dict for each phase: `name`, `seconds`,
            `validation_accuracy` and `test_accuracy` (`None` without a test
            set). Phases after the head also have `recipe` and `history`, as in
            the JSON of `TrainingResult`.
        early: dict, what was known after the head: `validation_accuracy` with
            its `standard_error`, an estimate of the `seconds` of the other
            phases, the `near_duplicates` of images in other sets, `warnings`
            about the data, and perhaps the `learning_curve`: `images` and
            `validation_accuracy` of heads that were fitted to so many of the
            training images. With several labels, `standard_error` is `None`.
        teacher, several_labels: as in `TrainingResult`.
    """

    model: keras.Model
    dataset: dict
    parameters: int
    seconds: float
    kept: str
    phases: list[dict]
    early: dict
    teacher: dict | None = None
    several_labels: list[dict] | None = None

    def to_json(self) -> dict:
        """Return the content of `report.json`: every field but `model`."""
        values = dict(vars(self))
        del values["model"]
        return values


@backend.channels_last()
def finetune(
    model: keras.Model | str | os.PathLike,
    data: Any,
    validation: Any = None,
    *,
    test: Any = None,
    phases: Sequence[Phase] = PHASES,
    recipe: Recipe | None = None,
    teacher: keras.Model | str | os.PathLike | None = None,
    out: str | os.PathLike = "squeezenet_finetuned",
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    normalization: str | None = None,
    learning_curve: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> FineTuningResult:
    """Train a pretrained network on other classes, phase by phase.

    1. The head, `conv10`, on features of the frozen backbone, which are
       computed once. Only a linear pooling follows the head, so this is a
       logistic regression on the pooled features.
    2. The head and the top Fire modules, at a low learning rate.
    3. The whole network, at a lower one.

    With a teacher, the phases after the head learn its outputs too, by the
    `distillation` of their recipes. The head learns the labels alone; those of
    images without labels are the classes that the teacher finds.

    The phase with the best validation accuracy is kept. Its model is a flat
    graph, all of it trainable, which `compression.compress` takes.

    Args:
        model: the name or the file of pretrained weights, from which a network
            is built (see `build`); or a `keras.Model`, or its `.keras` file,
            from normalized images to probabilities. Its last layer with
            weights must be a `conv10` without an activation. A model is left
            unchanged.
        data, validation, test, name, class_names, normalization: as in
            `training.train`.
        phases: those after the head. Their recipes must agree on `seed` and
            `validation_share`.
        recipe: the seed, the validation share, the label smoothing, the focal
            loss and the weights of classes of the head. Defaults to the recipe
            of the first phase.
        teacher: as in `training.train`, for the phases after the head; there
            must be one unless images have no labels.
        out: the output folder, for `model.keras`, `report.json`, the model
            card `README.md`, and a folder for each phase.
        learning_curve: whether to fit the head to an eighth, a quarter and a
            half of the training images too, which takes some seconds.
        overwrite, resume, tensorboard, progress: as in `training.train`.

    Returns:
        A `FineTuningResult`.

    Raises:
        ValueError: if the model has no such head, or as in `training.train`.
        FileExistsError: if the output folder is not empty.

    Example:

    >>> flowers = data.load("flowers")
    >>> model = training.finetune("imagenet", flowers, out="flowers").model
    """
    progress = progress or Progress()
    phases = training_recipe.phases_with_teacher(
        phases, teacher, unlabeled.is_labeled(data)
    )
    out = pathlib.Path(out).expanduser()
    with ownership.own(out):
        require_writable(out, overwrite, resume)
        model = hub.local(model)
        recipe = recipe or (phases[0].recipe if phases else Recipe())
        known_normalization = network.normalization_of(model, normalization)
        if teacher is not None:
            teacher = distillation.load(teacher, known_normalization)
        teacher, sets = unlabeled.label(
            teacher,
            {"train": data, "validation": validation, "test": test},
            progress,
        )
        train, validation, test = splits.of_dataset(
            sets["train"],
            sets["validation"],
            sets["test"],
            recipe,
            known_normalization,
        )
        ordered = train
        if isinstance(train, image_dataset.ImageDataset):
            ordered = train.as_test("train")
        unshuffled = splits.evaluation_split(
            ordered,
            recipe.batch_size,
            "train",
            is_learned=True,
            several=network.takes_several(model),
        )
        several = unshuffled.labels.several
        measured = {
            split: splits.evaluation_split(
                images, recipe.batch_size, split, several=several
            )
            for split, images in {
                "validation": validation,
                "test": test,
            }.items()
            if split == "validation" or images is not None
        }
        (images, _), *_ = measured["validation"].batches(0).take(1)
        class_names = unlabeled.class_names(train, class_names, teacher)
        classes = unlabeled.count_classes(class_names, teacher)
        model = network.load(
            model, images.shape[1], classes, normalization, several
        )
        _require_linear_head(model)
        known = network.name_classes(model, class_names)
        dataset = {
            **splits.describe(
                train, name or "images", known, model.output_shape[-1]
            ),
            "labeled_by_teacher": unlabeled.sets_of(teacher),
        }
        requirements.require_fit(
            model,
            np.asarray(images),
            dataset,
            normalization,
            train=unshuffled,
            **measured,
        )
        several_labels.require_measurable(
            measured["validation"], measured.get("test"), dataset["classes"]
        )
        if teacher is not None:
            requirements.require_one_label(model, "distillation")
            teacher.require_fit(np.asarray(images), dataset)
        objective = objectives.of(recipe, unshuffled, dataset["classes"])
        keras.utils.set_random_seed(recipe.seed)
        watch = early_answers.Watch()
        head, features = _fit_head(
            model,
            objective,
            watch.over("train", unshuffled, ordered),
            {
                name: watch.over(name, split, images)
                for (name, split), images in zip(
                    measured.items(), (validation, test)
                )
            },
            progress,
        )
        early = watch.answer(
            dataset["classes"], head["validation_accuracy"], phases
        )
        if learning_curve:
            early["learning_curve"] = _learning_curve(
                model,
                objective,
                features,
                measured["validation"],
                head["validation_accuracy"],
                recipe.seed,
                progress,
            )
        early_answers.say(early, "validation" in unlabeled.sets_of(teacher))
        found = [head]
        kept, weights = 0, model.get_weights()
        for phase in phases:
            _set_trainable(model, phase.modules)
            trained = trainer.train(
                model,
                train,
                validation,
                test=test,
                recipe=phase.recipe,
                teacher=teacher,
                out=out / phase.name,
                name=name,
                class_names=class_names,
                normalization=normalization,
                overwrite=overwrite,
                resume=resume,
                tensorboard=tensorboard
                and pathlib.Path(tensorboard, phase.name),
                progress=progress,
            )
            model.set_weights(trained.model.get_weights())
            _set_trainable(model, None)
            dataset = trained.dataset
            values = trained.to_json()
            found.append(
                {"name": phase.name, **{key: values[key] for key in MEASURED}}
            )
            accuracies = [row["validation_accuracy"] for row in found]
            # If phases are equal, the later one has been trained longer.
            if accuracies[-1] >= accuracies[kept]:
                kept, weights = len(found) - 1, model.get_weights()
        model.set_weights(weights)
        chosen = None
        if several:
            chosen = _choose_thresholds(model, measured, dataset["classes"])
        result = FineTuningResult(
            model=model,
            dataset=dataset,
            parameters=model.count_params(),
            seconds=round(sum(phase["seconds"] for phase in found), 3),
            kept=found[kept]["name"],
            phases=found,
            early=early,
            several_labels=chosen,
            teacher=None if teacher is None else teacher.describe(),
        )
        with signals.uninterrupted():
            models.save(model, out / training_run.MODEL_FILE)
            files.write_json(out / report.JSON_FILE, result.to_json())
            model_card.write(result.to_json(), out)
        return result


def _choose_thresholds(model, measured, class_names):
    test = measured.get("test")
    tested = test and metrics.evaluate(model.predict_on_batch, test.batches(0))
    return several_labels.choose(
        model, measured["validation"], tested, class_names
    )


def require_writable(out, overwrite=False, resume=False):
    """Raise a `FileExistsError` unless `finetune` may write to a folder."""
    if not resume:
        files.require_writable(out, overwrite)


def _require_linear_head(model):
    *_, head = (layer for layer in model.layers if layer.weights)
    if head.name != HEAD or head.activation is not keras.activations.linear:
        raise ValueError(
            f"the last layer with weights must be {HEAD!r} without an "
            f"activation. Received: {head.name!r} with the activation "
            f"{getattr(head.activation, '__name__', None)}. Build the model "
            "with `training.build`, or with `conv10_activation=None`."
        )


def _fit_head(model, objective, train, measured, progress):
    """Fit `conv10`.

    Return the row of this phase in the report, and the features, labels and
    perhaps weights that it was fitted to.
    """
    started = time.monotonic()
    features = _features(model, train, progress)
    kernel, bias = _regress(model, objective, features, progress)
    head = model.get_layer(HEAD)
    head.set_weights([kernel[np.newaxis, np.newaxis], bias])
    accuracies = {}
    for split, images in measured.items():
        with progress.task(f"head, {split}", images.steps) as advance:
            accuracies[split] = metrics.evaluate(
                model.predict_on_batch, images.batches(0), advance
            ).accuracy
    row = {
        "name": "head",
        "seconds": round(time.monotonic() - started, 3),
        "validation_accuracy": accuracies["validation"],
        "test_accuracy": accuracies.get("test"),
    }
    return row, features


def _learning_curve(
    model, objective, features, validation, accuracy, seed, progress
):
    images, labels = _features(model, validation, progress)

    def accuracy_of(indices):
        part = [array[indices] for array in features]
        kernel, bias = _regress(model, objective, part, progress)
        # Logits have the order of the probabilities.
        return metrics.of(images @ kernel + bias, labels).accuracy

    size = len(features[0])
    return early_answers.learning_curve(accuracy_of, size, accuracy, seed)


def _features(model, train, progress):
    """Return the pooled input of `conv10` for each image, and the labels.

    Sample weights, if there are any, are the third array.
    """
    backbone = keras.Model(model.input, model.get_layer(HEAD).input)
    found = []
    with progress.task("features", train.steps) as advance:
        for x, *others in train.batches(0):
            features = backbone.predict_on_batch(x).mean(axis=(1, 2))
            found.append([features, *map(np.asarray, others)])
            advance()
    return [np.concatenate(arrays) for arrays in zip(*found)]


def _regress(model, objective, features, progress):
    """Return the kernel and the bias of a logistic regression."""
    x, *others = features
    mean = x.mean(axis=0)
    deviation = np.maximum(x.std(axis=0), MIN_DEVIATION)
    with progress.task("head", HEAD_STEPS) as advance:
        kernel, bias = _regress_standardized(
            objective,
            ((x - mean) / deviation, *others),
            model.output_shape[-1],
            advance,
        )
    kernel = kernel / deviation[:, np.newaxis]
    return kernel, bias - mean @ kernel


def _regress_standardized(objective, features, classes, advance):
    x, labels, *weights = features
    inputs = keras.Input(x.shape[1:])
    activation = objective.kind.activation
    outputs = keras.layers.Dense(classes, activation)(inputs)
    regression = keras.Model(inputs, outputs)
    if labels.ndim == 1:
        labels = np.eye(classes, dtype="float32")[labels]
    optimizers.compile_classifier(
        keras,
        regression,
        HEAD_STEPS,
        HEAD_LEARNING_RATE,
        HEAD_WEIGHT_DECAY,
        objective.compiled(keras, classes),
    )
    batches = (
        tf.data.Dataset.from_tensor_slices((x, labels, *weights))
        .cache()
        .shuffle(len(x), seed=0)
        .repeat()
        .batch(HEAD_BATCH_SIZE)
        .prefetch(tf.data.AUTOTUNE)
    )
    regression.fit(
        batches,
        steps_per_epoch=HEAD_STEPS,
        shuffle=False,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: advance(**logs)
            )
        ],
    )
    return regression.layers[-1].get_weights()


def _set_trainable(model, modules):
    """Make the head and some Fire modules trainable, or all layers (`None`)."""
    for layer in model.layers:
        layer.trainable = (
            modules is None
            or layer.name == HEAD
            or layer.name.partition("_")[0] in modules
        )
