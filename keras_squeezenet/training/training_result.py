"""What a training run returns and writes to its report."""

import dataclasses

import keras

from keras_squeezenet.training.training_recipe import Recipe


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
