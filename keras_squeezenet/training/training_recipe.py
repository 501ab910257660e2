"""Training recipes, as data."""

import dataclasses
from typing import Any

from keras_squeezenet.utils import recipe_fields

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("constant", "linear", "cosine")
AUGMENTATIONS = (None, "crop", "flip_crop")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    A step is a batch; with `accumulation` several steps make one update of the
    weights.

    Args:
        epochs: int, the maximum number of epochs. Defaults to `20`.
        batch_size: int. Defaults to `32`.
        accumulation: int, the number of batches whose mean gradient makes an
            update. Defaults to `1`.
        max_train_steps: int, the maximum number of steps, for quick trials.
            Defaults to `None`, no maximum.
        seed: int, the seed of the order of the images and of every other
            random choice. Defaults to `0`.
        validation_share: float in (0, 0.5], the share of an `ImageDataset`'s
            training images that become its validation set. Defaults to `0.1`.
        optimizer: `"adamw"` (Adam, if `weight_decay` is 0) or `"sgd"`.
            Defaults to `"adamw"`.
        momentum: float in [0, 1), the momentum of `"sgd"`. Defaults to `0.9`.
        learning_rate: float, the highest learning rate. Defaults to `5e-4`.
        schedule: `"cosine"` or `"linear"`, the curve by which the learning rate
            falls to 0, or `"constant"`. Defaults to `"cosine"`.
        warmup: float in [0, 1), the share of the steps in which the learning
            rate rises. Without a warm-up the loss of a SqueezeNet may stay at
            ln(classes). Defaults to `0.1`.
        clip_norm: float, the maximum global norm of the gradients, which also
            helps the loss off ln(classes); 0 for no clipping. Defaults to
            `1.0`.
        restarts: int, how often training may restart at half the learning rate
            because the loss is still at ln(classes) after a fifth of the steps
            and 300 updates. Defaults to `3`.
        weight_decay: float. With `"adamw"`, the share of every weight that an
            update at a learning rate of 1 subtracts; with `"sgd"`, the share
            that is added to its gradient, as in Caffe. Biases decay too.
            Defaults to `0`.
        label_smoothing: float in [0, 1). Defaults to `0`.
        augmentation: `None`, `"crop"` or `"flip_crop"`, the augmentation of an
            `ImageDataset`. Defaults to `None`.
        rand_augment: float in [0, 1], the strength of `RandAugment` for an
            `ImageDataset`; 0 turns it off. Defaults to `0`.
        mixup: float in [0, 1], the `alpha` of `MixUp`; 0 turns it off. Defaults
            to `0`.
        cutmix: float in [0, 1], the `factor` of `CutMix`; 0 turns it off. With
            both, each batch gets one of them. Defaults to `0`.
        average: float in [0, 1), the momentum of a moving average of the
            weights over the updates. The averages are evaluated and saved
            instead of the weights; 0 turns it off. Defaults to `0`.
        patience: int, the number of epochs without a better validation
            accuracy after which training ends. Defaults to `None`: it ends
            after `epochs`.
        precision: `"float32"`, `"mixed_float16"` or `"mixed_bfloat16"`, the
            precision of the computation. Weights and the saved model are
            float32. Defaults to `"float32"`.

    Raises:
        ValueError: if a value is out of range.
    """

    epochs: int = 20
    batch_size: int = 32
    accumulation: int = 1
    max_train_steps: int | None = None
    seed: int = 0
    validation_share: float = 0.1
    optimizer: str = "adamw"
    momentum: float = 0.9
    learning_rate: float = 5e-4
    schedule: str = "cosine"
    warmup: float = 0.1
    clip_norm: float = 1.0
    restarts: int = 3
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augmentation: str | None = None
    rand_augment: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    average: float = 0.0
    patience: int | None = None
    precision: str = "float32"

    def __post_init__(self):
        recipe_fields.require_valid(self, _RULES)

    def steps(self, epoch_steps: int) -> int:
        """Return the number of steps, a multiple of `accumulation`."""
        steps = self.epochs * epoch_steps
        if self.max_train_steps is not None:
            steps = min(steps, self.max_train_steps)
        return max(1, steps // self.accumulation) * self.accumulation

    def replace(self, **changes: Any) -> "Recipe":
        """Return a copy with other values."""
        return dataclasses.replace(self, **changes)


_BELOW_ONE = "from 0 to below 1", lambda value: 0 <= value < 1
_SHARE = "from 0 to 1", lambda value: 0 <= value <= 1
# The rule of each field: a description, and a test of a value.
_RULES = {
    "epochs": recipe_fields.integer(1),
    "batch_size": recipe_fields.integer(1),
    "accumulation": recipe_fields.integer(1),
    "max_train_steps": recipe_fields.optional(recipe_fields.integer(1)),
    "seed": recipe_fields.integer(0),
    "validation_share": (
        "greater than 0 and at most 0.5",
        lambda value: 0 < value <= 0.5,
    ),
    "optimizer": recipe_fields.one_of(OPTIMIZERS),
    "momentum": _BELOW_ONE,
    "learning_rate": recipe_fields.POSITIVE,
    "schedule": recipe_fields.one_of(SCHEDULES),
    "warmup": _BELOW_ONE,
    "clip_norm": recipe_fields.at_least(0),
    "restarts": recipe_fields.integer(0),
    "weight_decay": recipe_fields.at_least(0),
    "label_smoothing": _BELOW_ONE,
    "augmentation": recipe_fields.one_of(AUGMENTATIONS),
    "rand_augment": _SHARE,
    "mixup": _SHARE,
    "cutmix": _SHARE,
    "average": _BELOW_ONE,
    "patience": recipe_fields.optional(recipe_fields.integer(1)),
    "precision": recipe_fields.one_of(PRECISIONS),
}


RECIPES = {
    "default": Recipe(augmentation="flip_crop"),
    # For about a hundred epochs: with only a few it lowers the accuracy.
    "modern": Recipe(
        epochs=100,
        weight_decay=0.02,
        label_smoothing=0.1,
        augmentation="flip_crop",
        rand_augment=0.1,
        mixup=0.2,
        cutmix=0.5,
        average=0.99,
    ),
    # The authors' solver for fewer epochs, but with a warm-up, clipping and
    # restarts against the plateau, where the authors advise another seed.
    "paper": Recipe(
        epochs=68,
        accumulation=16,
        optimizer="sgd",
        learning_rate=0.04,
        schedule="linear",
        weight_decay=2e-4,
        augmentation="flip_crop",
    ),
}

TOP_MODULES = ("fire6", "fire7", "fire8", "fire9")


@dataclasses.dataclass(frozen=True)
class Phase:
    """A phase of fine-tuning: the layers that it trains, and how.

    Args:
        name: str, the name of the phase's folder, also in the report.
        modules: tuple of the names of the Fire modules that are trained along
            with the head, or `None` for the whole network.
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
