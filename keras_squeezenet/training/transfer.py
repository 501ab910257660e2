"""Transfer learning: first the head, then the top modules, then all layers."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras

from keras_squeezenet.data import decode
from keras_squeezenet.pretrained import hub
from keras_squeezenet.training import distillation
from keras_squeezenet.training import finetuning_run
from keras_squeezenet.training import network
from keras_squeezenet.training import training_recipe
from keras_squeezenet.training import unlabeled
from keras_squeezenet.training.finetuning_result import FineTuningResult
from keras_squeezenet.training.training_recipe import PHASES
from keras_squeezenet.training.training_recipe import Phase
from keras_squeezenet.training.training_recipe import Recipe
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import ownership
from keras_squeezenet.utils.progress import Progress


@backend.channels_last()
@backend.float32()
@decode.named_errors()
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
        RuntimeError: with a backend other than TensorFlow.

    Example:

    >>> flowers = data.load("flowers")
    >>> model = training.finetune("imagenet", flowers, out="flowers").model
    """
    backend.require_tensorflow("A fine-tuning run")
    phases = training_recipe.phases_with_teacher(
        phases, teacher, unlabeled.is_labeled(data)
    )
    recipe = recipe or (phases[0].recipe if phases else Recipe())
    out = pathlib.Path(out).expanduser()
    run = finetuning_run.Run(phases, recipe, out, progress or Progress())
    with ownership.own(out):
        finetuning_run.require_writable(out, phases, overwrite, resume)
        model = hub.local(model)
        known = network.normalization_of(model, normalization)
        if teacher is not None:
            run.teacher = distillation.load(teacher, known)
        run.take_data(
            {"train": data, "validation": validation, "test": test},
            model,
            class_names,
            known,
        )
        run.take_model(model, name, class_names, normalization)
        run.begin(resume)
        keras.utils.set_random_seed(recipe.seed)
        run.fit_head(learning_curve)
        run.fit_phases(
            tensorboard,
            name=name,
            normalization=normalization,
            overwrite=overwrite,
            resume=resume,
        )
        return run.finish()
