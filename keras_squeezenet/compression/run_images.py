"""The images of a compression, and what it learns from them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tf_keras

from keras_squeezenet import models
from keras_squeezenet.compression.compression_recipe import Recipe
from keras_squeezenet.data import splits
from keras_squeezenet.data.splits import Split
from keras_squeezenet.packing import image_sets
from keras_squeezenet.training import class_order
from keras_squeezenet.training import distillation
from keras_squeezenet.training import network
from keras_squeezenet.training import objectives
from keras_squeezenet.training import requirements
from keras_squeezenet.training import unlabeled
from keras_squeezenet.utils.progress import Progress

# However large the batches of training are.
CALIBRATION_IMAGES, CALIBRATION_BATCH_SIZE = 256, 32


@dataclasses.dataclass(frozen=True, eq=False)
class RunImages:
    """The sets of a run, which fit its model.

    Attributes:
        train, validation: the training and the validation set.
        test: the test set; `None` without one.
        dataset: what the report says of them.
        calibration: batches of training images, as arrays.
        objective: the loss of the labels.
        teacher: the network to learn from; `None` without one.
    """

    train: Split
    validation: Split
    test: Split | None
    dataset: dict
    calibration: list[np.ndarray]
    objective: objectives.Objective
    teacher: distillation.Teacher | None

    @property
    def measured(self) -> Split:
        """The set of the accuracies in the report."""
        return self.test or self.validation

    def learn(
        self, recipe: Recipe, dtype: str | None = None
    ) -> tuple[Split, dict[str, Any]]:
        """Return the training set as a loss takes it, and the loss.

        It is the `loss` beside `metrics` for `compile`, of tf_keras. The
        targets have the outputs of the teacher too, if there is one. It
        computes in `dtype`, by default in its own.
        """
        classes = len(self.dataset["classes"])
        if self.teacher is None:
            objective = self.objective.compiled(tf_keras, classes)
            return self.train.in_rows(classes), objective
        assert recipe.distillation is not None
        return self.teacher.teach(self.train, dtype), distillation.objective(
            recipe.distillation, recipe.temperature, self.objective.loss
        )


def load(
    model: keras.Model,
    sets: dict[str, Any],
    recipe: Recipe,
    teacher: Any = None,
    *,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    normalization: str | None = None,
    progress: Progress,
) -> RunImages:
    """Load the images of a run, and check that they fit its model.

    Args:
        model: the model before compression.
        sets: the `"train"`, `"validation"` and `"test"` set.
        recipe, teacher, name, class_names, normalization, progress: as
            `compress` takes them.
    """
    teacher = _load_teacher(model, recipe, teacher)
    teacher, sets = class_order.label(
        teacher, sets, model, class_names, progress
    )
    for each in ("validation", "test"):
        sets[each] = splits.in_one_order(sets[each], each)
    data = sets["train"]
    class_names = unlabeled.class_names(data, class_names, teacher)
    found = network.name_classes(model, class_names)
    train, validation, test = splits.of_run(
        data,
        sets["validation"],
        sets["test"],
        recipe,
        normalization=found.normalization,
    )
    classes = model.output_shape[-1]
    dataset = {
        **splits.describe(data, name, found, classes),
        "image_size": model.input_shape[1],
        "train_images": train.size,
        "validation_images": validation.size,
        "test_images": test.size if test else 0,
        "labeled_by_teacher": unlabeled.sets_of(teacher),
    }
    keras.utils.set_random_seed(recipe.seed)
    images = first_images(train, CALIBRATION_IMAGES)
    calibration = image_sets.in_batches(images, CALIBRATION_BATCH_SIZE)
    requirements.require_fit(
        model,
        calibration[0],
        dataset,
        normalization,
        train=train,
        validation=validation,
        test=test or validation,
    )
    objective = objectives.of(recipe, train, dataset["classes"])
    if teacher:
        teacher.require_fit(calibration[0], dataset)
    return RunImages(
        train, validation, test, dataset, calibration, objective, teacher
    )


def first_images(train: Split, count: int) -> np.ndarray:
    """Return the first images of a training set, at most `count`."""
    found = []
    for images, *_ in train.batches(0):
        found.append(np.asarray(images))
        if sum(map(len, found)) >= count:
            break
    return np.concatenate(found)[:count]


def _load_teacher(model, recipe, teacher):
    """Return the teacher of a recipe, by default the model as it is."""
    if not recipe.distillation:
        return None
    return distillation.load(
        model if teacher is None else teacher,
        models.read_metadata(model).normalization,
        model.input_shape[1],
    )
