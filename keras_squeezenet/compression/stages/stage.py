"""The interface of a stage of the pipeline."""

import abc
import dataclasses
from typing import Any
from typing import ClassVar

import keras
import numpy as np

from keras_squeezenet import models
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.compression_recipe import Recipe
from keras_squeezenet.compression.run_images import RunImages
from keras_squeezenet.utils.progress import Progress

# The factor of the learning rate each time that a stage is relaxed.
RELAXED_RATE = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Context:
    """The run that a stage is in.

    `accuracy` is that of the dense model on the validation set, and
    `provenance` is for the .sqz file.
    """

    images: RunImages
    accuracy: float
    provenance: dict
    progress: Progress


class Stage(abc.ABC):
    """A stage: wraps a twin of the model for training, and takes the result.

    A subclass sets `kind`, its name in a recipe, and `name`, that of its
    result in the report. Its targets are computed when it is constructed, from
    the recipe, relaxed in later attempts, and the scan, if `needs_scan`.

    Attributes:
        model: the model, that of the result after `finish`.
        chosen: what `choose` returned.
    """

    kind: ClassVar[str]
    name: str
    # `finetune_learning_rate` is divided by it.
    rate_divisor: ClassVar[int] = 1
    # Whether the test accuracy of the stage is the trainee's or the model's.
    measures_trainee: ClassVar[bool] = False
    # Whether what `wrap` returns may be the result, if no epoch is better.
    may_stay_untrained: ClassVar[bool] = False
    # Whether the activation ranges of the stage before still hold.
    keeps_ranges: bool = False
    # The `PackResult` of a stage that packs the model.
    packed: Any = None
    # What the pipeline sets before `wrap`.
    context: Context
    # For `Model.fit`.
    callbacks: ClassVar[tuple] = ()

    def __init__(
        self, model: keras.Model, recipe: Recipe, scan: dict | None = None
    ):
        self.model = model
        self.recipe = recipe
        self.scan = scan
        self.chosen: Any = None

    @classmethod
    def needs_scan(cls, recipe: Recipe) -> bool:
        """Return whether the targets depend on a scan of the sensitivity."""
        return False

    @classmethod
    def require_possible(
        cls, model: keras.Model, recipe: Recipe, progress: Progress
    ) -> None:
        """Raise a `TargetError` if a model cannot reach the targets.

        A stage that is not the first one gets another model, and cannot know.
        """
        return

    @classmethod
    def can_relax(cls, recipe: Recipe) -> bool:
        """Return whether `relax` would change anything."""
        return True

    @classmethod
    def relax(cls, recipe: Recipe, attempt: int) -> Recipe:
        """Return a recipe that is easier for the stage, from attempt 1 on.

        Each attempt halves the learning rate, unless a subclass overrides this.
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

    def choose(self, calibration: list[np.ndarray], progress: Progress) -> Any:
        """Return what the stage decides before `wrap`, as JSON.

        The checkpoint keeps it, so that a resumed stage decides the same.
        """
        return None

    @abc.abstractmethod
    def wrap(self, steps: int, calibration: list[np.ndarray]) -> Any:
        """Return the `tf_keras.Model` to train for a number of steps.

        `calibration` is a list of batches of training images.
        """

    def settled_after(self, steps: int) -> int:
        """Return the training step after which the targets are met."""
        return 0

    @abc.abstractmethod
    def finish(self, trainee: Any) -> dict | None:
        """Check the trained result of `wrap`, and copy it to the model.

        A stage that changes the layers leaves the model, and has another one.

        Returns the activation ranges, if the stage has trained them. Raises a
        `CheckError` and leaves the model unchanged if a target is missed.
        """

    @property
    def frozen(self) -> set[str]:
        """The names of the layers that stay as they are."""
        if not self.recipe.keep_frozen:
            return set()
        return models.frozen_layers(self.model)

    @property
    def kernels(self) -> dict[str, np.ndarray]:
        """The kernels to compress, by the name of their layer."""
        frozen = self.frozen
        return {
            name: kernel
            for name, kernel in tf_keras_twin.kernels(self.model).items()
            if name not in frozen
        }

    @property
    def layer_scans(self) -> dict:
        """The scan, restricted to the kernels to compress."""
        scan, names = self.scan or {}, self.kernels
        rows = [row for row in scan["layers"] if row["name"] in names]
        return {**scan, "layers": rows}
