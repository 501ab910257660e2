"""Transfer learning: the head first, then the top modules, then all of it."""

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
from keras_squeezenet.training import loop
from keras_squeezenet.training import requirements
from keras_squeezenet.training import trainer
from keras_squeezenet.training.training_recipe import Recipe
from keras_squeezenet.utils import files
from keras_squeezenet.utils.progress import Progress

FILES = (trainer.MODEL_FILE, report.JSON_FILE)
HEAD = "conv10"
# A logistic regression on the features of the trunk: batches of so many, and
# the rates that such a small problem takes.
HEAD_STEPS = 2000
HEAD_BATCH_SIZE = 64
HEAD_LEARNING_RATE = 3e-3
HEAD_WEIGHT_DECAY = 0.1
# Of features that hardly vary, so that they are not blown up.
LEAST_DEVIATION = 1e-3
TOP_MODULES = ("fire6", "fire7", "fire8", "fire9")


@dataclasses.dataclass(frozen=True)
class Phase:
    """What is trained behind the head, and how.

    Args:
        name: str, of its folder and in the report.
        modules: tuple of the Fire modules that are trained beside the head,
            or `None` for the whole network.
        recipe: `Recipe`.
    """

    name: str
    modules: tuple[str, ...] | None
    recipe: Recipe


PHASES = (
    Phase(
        "top",
        TOP_MODULES,
        Recipe(epochs=4, learning_rate=3e-4, augmentation="flip_crop"),
    ),
    Phase(
        "all",
        None,
        Recipe(epochs=8, learning_rate=2e-4, augmentation="flip_crop"),
    ),
)


@dataclasses.dataclass(frozen=True, eq=False)
class FineTuningResult:
    """What each phase of a fine-tuning reached, and the model that it kept.

    Args:
        model: `keras.Model` of the best phase, all of it trainable.
        dataset: dict, as in `TrainingResult`.
        parameters: int, the number of parameters of the model.
        seconds: float, the time of all phases.
        kept: str, the name of the best phase.
        phases: list of a dict for each phase: `name`, `seconds`,
            `validation_accuracy` and `test_accuracy` (`None` without test
            images); and but for the head's, the `recipe` and the `history` of
            `TrainingResult`, as JSON has them.
    """

    model: keras.Model
    dataset: dict
    parameters: int
    seconds: float
    kept: str
    phases: list[dict]

    def to_json(self) -> dict:
        """Return the content of `report.json`: every field but `model`."""
        values = dict(vars(self))
        del values["model"]
        return values


def finetune(
    model: keras.Model | str | os.PathLike,
    data: Any,
    validation: Any = None,
    *,
    test: Any = None,
    phases: Sequence[Phase] = PHASES,
    out: str | os.PathLike = "squeezenet_finetuned",
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> FineTuningResult:
    """Trains a pretrained network on other classes, as one does by hand.

    1. The head, `conv10`, on features of the frozen trunk, which are computed
       once: it is linear, and so is the pooling behind it, so that this is a
       logistic regression on the pooled features.
    2. The head and the top Fire modules, at a low learning rate.
    3. The whole network, at a lower one.

    What is kept is the best of them by the validation images. It is the model
    that went in, one flat graph, all of it trainable: `compression.compress`
    takes it as it is.

    Args:
        model: `keras.Model` of `training.build` with pretrained weights, or
            any whose last layer with weights is a `conv10` without an
            activation, from preprocessed images to probabilities. It is left
            unchanged. A path or the name of weights will do, too.
        data, validation, test, name, class_names: as `training.train` takes
            them.
        phases: sequence of `Phase`, after the head. Their recipes must agree
            on `seed` and `validation_share`. Defaults to `PHASES`.
        out: path of the output folder: `model.keras`, `report.json`, and a
            folder for each phase. Defaults to `"squeezenet_finetuned"`.
        overwrite: whether to replace an earlier run's files. Defaults to
            `False`.
        resume: whether to go on with a run of the same arguments that was
            stopped or killed. Defaults to `False`.
        tensorboard, progress: as `training.train` takes them.

    Returns:
        A `FineTuningResult`.

    Raises:
        ValueError: if the model has no such head, or as `training.train`
            does.
        FileExistsError: if the output folder is not empty.

    Example:

    >>> flowers = data.load("folder", data_dir="flowers")
    >>> model = training.build(224, classes=12, weights="imagenet")
    >>> model = training.finetune(model, flowers, out="flowers").model
    """
    progress = progress or Progress()
    out = pathlib.Path(out)
    require_writable(out, overwrite, resume)
    model = models.load(model)
    _require_linear_head(model)
    recipe = phases[0].recipe if phases else Recipe()
    train, validation, test = splits.of_dataset(
        data,
        validation,
        test,
        recipe.batch_size,
        recipe.validation_share,
        recipe.seed,
    )
    measured = {
        split: splits.evaluation_split(images, recipe.batch_size, split)
        for split, images in {"validation": validation, "test": test}.items()
        if split == "validation" or images is not None
    }
    dataset = splits.describe(
        train, name or "images", class_names, model.output_shape[-1]
    )
    (images, _), *_ = measured["validation"].batches(0).take(1)
    requirements.require_fit(model, np.asarray(images), dataset)
    keras.utils.set_random_seed(recipe.seed)
    found = [_fit_head(model, train, recipe, measured, progress)]
    kept, weights = 0, model.get_weights()
    for phase in phases:
        _freeze(model, phase.modules)
        trained = trainer.train(
            model,
            train,
            validation,
            test=test,
            recipe=phase.recipe,
            out=out / phase.name,
            name=name,
            class_names=class_names,
            overwrite=overwrite,
            resume=resume,
            tensorboard=tensorboard and pathlib.Path(tensorboard, phase.name),
            progress=progress,
        )
        dataset = trained.dataset
        found.append({"name": phase.name, **_of_phase(trained)})
        model.set_weights(trained.model.get_weights())
        _freeze(model, None)
        # Of equals the later one, which has been trained longer.
        if _accuracy(found[-1]) >= _accuracy(found[kept]):
            kept, weights = len(found) - 1, model.get_weights()
    model.set_weights(weights)
    result = FineTuningResult(
        model=model,
        dataset=dataset,
        parameters=model.count_params(),
        seconds=round(sum(phase["seconds"] for phase in found), 3),
        kept=found[kept]["name"],
        phases=found,
    )
    _write(result, out)
    return result


def require_writable(out, overwrite=False, resume=False):
    """Raises a `FileExistsError` unless `finetune` may begin in a folder.

    Args:
        out, overwrite, resume: as `finetune` takes them.
    """
    if not resume:
        files.require_writable(out, overwrite)


def _require_linear_head(model):
    with_weights = [layer for layer in model.layers if layer.weights]
    head = with_weights[-1]
    if head.name != HEAD or head.activation is not keras.activations.linear:
        raise ValueError(
            f"the last layer with weights should be {HEAD!r} without an "
            "activation: build the model with `training.build`, or with "
            f"`conv10_activation=None`. Received: {head.name!r} with "
            f"{getattr(head.activation, '__name__', None)}"
        )


def _fit_head(model, train, recipe, measured, progress):
    """Fits `conv10`; returns the phase's part of the report."""
    started = time.monotonic()
    x, y = _features(model, train, recipe.batch_size, progress)
    mean = x.mean(axis=0)
    deviation = np.maximum(x.std(axis=0), LEAST_DEVIATION)
    with progress.task("head", HEAD_STEPS) as advance:
        kernel, bias = _regress(
            (x - mean) / deviation, y, model.output_shape[-1], advance
        )
    kernel = kernel / deviation[:, np.newaxis]
    head = model.get_layer(HEAD)
    head.set_weights([kernel[np.newaxis, np.newaxis], bias - mean @ kernel])
    accuracies = {}
    for split, images in measured.items():
        with progress.task(f"head, {split}", images.steps) as advance:
            accuracies[split] = loop.accuracy(
                model.predict_on_batch, images.batches(0), advance
            )
    return {
        "name": "head",
        "seconds": round(time.monotonic() - started, 3),
        "validation_accuracy": accuracies["validation"],
        "test_accuracy": accuracies.get("test"),
    }


def _features(model, train, batch_size, progress):
    """Returns what `conv10` sees of each image, pooled, and the labels."""
    images = train
    if isinstance(train, image_dataset.ImageDataset):
        images = train.ordered_train_batches(batch_size)
    images = splits.evaluation_split(images, batch_size, "train")
    trunk = keras.Model(model.input, model.get_layer(HEAD).input)
    features, labels = [], []
    with progress.task("features", images.steps) as advance:
        for x, y in images.batches(0):
            features.append(trunk.predict_on_batch(x).mean(axis=(1, 2)))
            labels.append(np.asarray(y))
            advance()
    return np.concatenate(features), np.concatenate(labels)


def _regress(x, y, classes, advance):
    """Returns the kernel and the bias of a logistic regression."""
    inputs = keras.Input(x.shape[1:])
    outputs = keras.layers.Dense(classes, "softmax")(inputs)
    regression = keras.Model(inputs, outputs)
    loop.compile_classifier(
        keras, regression, HEAD_STEPS, HEAD_LEARNING_RATE, HEAD_WEIGHT_DECAY
    )
    batches = (
        tf.data.Dataset.from_tensor_slices((x, y))
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


def _freeze(model, modules):
    """Has only some Fire modules and the head trained; of `None` all."""
    for layer in model.layers:
        layer.trainable = (
            modules is None
            or layer.name == HEAD
            or layer.name.partition("_")[0] in modules
        )


def _of_phase(trained):
    names = ("seconds", "validation_accuracy", "test_accuracy")
    values = trained.to_json()
    return {name: values[name] for name in (*names, "recipe", "history")}


def _accuracy(phase):
    return phase["validation_accuracy"]


def _write(result, out):
    out.mkdir(parents=True, exist_ok=True)
    with files.uninterrupted():
        with files.new_file(out / trainer.MODEL_FILE) as temporary:
            result.model.save(temporary)
        files.write_json(out / report.JSON_FILE, result.to_json())
