"""What the pipeline asks of a stage."""

import abc
from typing import Any
from typing import ClassVar

import keras
import numpy as np

from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.compression_recipe import Recipe

# What is left of the learning rate of a stage that is relaxed.
RELAXED_RATE = 0.5


class Stage(abc.ABC):
    """A stage: it wraps a twin of the model to be trained, and finishes it.

    A subclass sets `kind`, its name in a recipe, and `name`, that of the model
    that it makes, in the report. Its targets are computed when it is made.

    Args:
        model: `keras.Model` to compress, which has a twin.
        recipe: `Recipe`, relaxed if this is not the first attempt.
        scan: dict of `SensitivityResult`, if `needs_scan`. Defaults to `None`.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    # Of `finetune_learning_rate`.
    rate_divisor: ClassVar[int] = 1
    # Whether the accuracy of the stage is the trainee's or the model's.
    measures_trainee: ClassVar[bool] = False
    # Of the training, for `Model.fit`.
    callbacks: ClassVar[tuple] = ()

    def __init__(
        self, model: keras.Model, recipe: Recipe, scan: dict | None = None
    ):
        self.model = model
        self.recipe = recipe
        self.scan = scan

    @classmethod
    def needs_scan(cls, recipe: Recipe) -> bool:
        """Return whether the targets come from a scan of the sensitivity."""
        return False

    @classmethod
    def can_relax(cls, recipe: Recipe) -> bool:
        """Return whether `relax` would change anything."""
        return True

    @classmethod
    def relax(cls, recipe: Recipe, attempt: int) -> Recipe:
        """Return a recipe that asks less of the stage, the more its attempts.

        Half the learning rate, unless a subclass knows better.

        Args:
            recipe: `Recipe`.
            attempt: int, at least 1.
        """
        rate = recipe.finetune_learning_rate * RELAXED_RATE**attempt
        return recipe.replace(finetune_learning_rate=rate)

    @property
    def epochs(self) -> float:
        """The number of epochs of training."""
        return getattr(self.recipe, f"{self.kind}_epochs")

    @property
    def learning_rate(self) -> float:
        """The learning rate at the end of the warm-up."""
        return self.recipe.finetune_learning_rate / self.rate_divisor

    @abc.abstractmethod
    def wrap(self, steps: int, calibration: list[np.ndarray]) -> Any:
        """Return the `tf_keras.Model` to train.

        Args:
            steps: int, the number of training steps.
            calibration: list of batches of training images.
        """

    def settled_after(self, steps: int) -> int:
        """Return the step after which the targets hold.

        Args:
            steps: int, the number of training steps.
        """
        return 0

    @abc.abstractmethod
    def finish(self, trainee: Any) -> dict | None:
        """Copy the result of the training to the model, once it is checked.

        Args:
            trainee: what `wrap` returned, trained.

        Returns:
            The activation ranges if the stage has trained them, or `None`.

        Raises:
            CheckError: if the result misses a target. The model is unchanged
                then.
        """

    @property
    def kernels(self) -> dict[str, np.ndarray]:
        """The kernels to compress, by the name of their layer."""
        frozen = frozen_layers(self.model) if self.recipe.keep_frozen else ()
        return {
            name: kernel
            for name, kernel in tf_keras_twin.kernels(self.model).items()
            if name not in frozen
        }

    @property
    def layer_scans(self) -> dict:
        """The scan, of the kernels to compress only."""
        scan, names = self.scan or {}, self.kernels
        rows = [row for row in scan["layers"] if row["name"] in names]
        return {**scan, "layers": rows}


def frozen_layers(model: keras.Model) -> set[str]:
    """Return the names of the layers that are not trainable."""
    return {layer.name for layer in model.layers if not layer.trainable}
