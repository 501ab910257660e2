"""Training recipes, as data."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated
from typing import Any

from keras_squeezenet.utils import recipe_fields
from keras_squeezenet.utils.recipe_fields import one_of

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("constant", "linear", "cosine")
AUGMENTATIONS = (None, "crop", "flip_crop")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
# The share of a teacher's part in the loss, unless the recipe states another.
TEACHER_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    A step is a batch; with `accumulation` several steps make one update of the
    weights.

    Args:
        epochs: the maximum number of epochs.
        batch_size: the images in a batch.
        accumulation: the number of batches whose mean gradient makes an update.
        max_train_steps: the maximum number of steps, for quick trials.
        seed: the seed of the order of the images and of every other random
            choice.
        validation_share: the share of an `ImageDataset`'s training images that
            become its validation set, if it has none.
        optimizer: `"adamw"` (Adam, if `weight_decay` is 0) or `"sgd"`.
        momentum: the momentum of `"sgd"`.
        learning_rate: the highest learning rate.
        schedule: `"cosine"` or `"linear"`, the curve by which the learning rate
            falls to 0, or `"constant"`.
        warmup: the share of the steps in which the learning rate rises. Without
            a warm-up the loss of a SqueezeNet may stay at ln(classes).
        clip_norm: the maximum global norm of the gradients, which also helps
            the loss off ln(classes); 0 for no clipping.
        restarts: how often training may restart at half the learning rate
            because the loss is still at ln(classes) after a fifth of the steps
            and 300 updates.
        weight_decay: with `"adamw"`, the share of every weight that an update
            at a learning rate of 1 subtracts; with `"sgd"`, the share that is
            added to its gradient, as in Caffe. Biases decay too.
        label_smoothing: the share of a label that is spread over all classes.
        focal: the exponent of the focal loss, which learns more from images
            that are hard; 0 for the cross-entropy. The usual one is 2.
        class_weight: what the classes weigh in the loss: `"balanced"`, by which
            each has the same part in it, or a dict of their names to weights,
            1 for the others. `None`: all images weigh the same.
        distillation: the share of the teacher's part in the loss, from 0 to 1.
            `None`: a half with a teacher. See `distillation.objective`.
        temperature: the temperature of distillation. The usual 4 shows the
            small probabilities, in which most of the teacher's knowledge is.
        augmentation: `None`, `"crop"` or `"flip_crop"`, the augmentation of an
            `ImageDataset`.
        rand_augment: the largest strength of RandAugment for an
            `ImageDataset`, a tenth of the paper's M; 0 turns it off.
        mixup: the `alpha` of `MixUp`; 0 turns it off.
        cutmix: the `factor` of `CutMix`; 0 turns it off. With both, each batch
            gets one of them.
        average: the momentum of a moving average of the weights over the
            updates. The averages are evaluated and saved instead of the
            weights; 0 turns it off.
        patience: the number of epochs without a better validation accuracy
            after which training ends; `None`: it ends after `epochs`.
        precision: `"float32"`, `"mixed_float16"` or `"mixed_bfloat16"`, the
            precision of the computation. Weights and the saved model are
            float32.

    Raises:
        ValueError: if a value is out of range.
    """

    epochs: recipe_fields.Count = 20
    batch_size: recipe_fields.Count = 32
    accumulation: recipe_fields.Count = 1
    max_train_steps: recipe_fields.Count | None = None
    seed: recipe_fields.CountOrZero = 0
    validation_share: recipe_fields.ValidationShare = 0.1
    optimizer: Annotated[str, one_of(OPTIMIZERS)] = "adamw"
    momentum: recipe_fields.FractionBelowOne = 0.9
    learning_rate: recipe_fields.Positive = 5e-4
    schedule: Annotated[str, one_of(SCHEDULES)] = "cosine"
    warmup: recipe_fields.FractionBelowOne = 0.1
    clip_norm: recipe_fields.PositiveOrZero = 1.0
    restarts: recipe_fields.CountOrZero = 3
    weight_decay: recipe_fields.PositiveOrZero = 0.0
    label_smoothing: recipe_fields.FractionBelowOne = 0.0
    focal: recipe_fields.PositiveOrZero = 0.0
    class_weight: recipe_fields.ClassWeight | None = None
    distillation: recipe_fields.Fraction | None = None
    temperature: recipe_fields.Temperature = 4.0
    augmentation: Annotated[str | None, one_of(AUGMENTATIONS)] = None
    rand_augment: recipe_fields.Fraction = 0.0
    mixup: recipe_fields.Fraction = 0.0
    cutmix: recipe_fields.Fraction = 0.0
    average: recipe_fields.FractionBelowOne = 0.0
    patience: recipe_fields.Count | None = None
    precision: Annotated[str, one_of(PRECISIONS)] = "float32"

    def __post_init__(self):
        recipe_fields.require_valid(self)

    def steps(self, epoch_steps: int) -> int:
        """Return the number of steps, a multiple of `accumulation`."""
        steps = self.epochs * epoch_steps
        if self.max_train_steps is not None:
            steps = min(steps, self.max_train_steps)
        return max(1, steps // self.accumulation) * self.accumulation

    def replace(self, **changes: Any) -> "Recipe":
        """Return a copy with other values."""
        return dataclasses.replace(self, **changes)


def with_teacher(
    recipe: Any,
    teacher: Any,
    can_be_itself: bool = False,
    is_labeled: bool = True,
) -> Any:
    """Return a recipe with the share of distillation that it leaves open.

    Args:
        recipe: has the fields `distillation` and `replace`.
        teacher: the argument of that name, or `None`.
        can_be_itself: whether the network itself is the teacher without one.
        is_labeled: whether the training images have labels. Without them the
            share is 1 unless stated, and there must be a teacher.

    Raises:
        ValueError: if there is a teacher for nothing, or none.
    """
    share = recipe.distillation
    default = TEACHER_SHARE if is_labeled else 1.0
    if teacher is None:
        if not is_labeled and (share == 0 or not can_be_itself):
            raise ValueError(
                "images without labels need a teacher, whose classes are their "
                f"labels. Received: distillation={share}, teacher=None. Pass "
                "`teacher` (--teacher), or images with labels"
            )
        if share and not can_be_itself:
            raise ValueError(
                "`distillation` needs a teacher. Received: distillation="
                f"{share}, teacher=None. Pass `teacher` (--teacher), or leave "
                "`distillation` out"
            )
        if is_labeled:
            return recipe
    if share == 0:
        raise ValueError(
            "`distillation` must be greater than 0 with a teacher. Received: "
            f"distillation={share}, teacher={teacher!r:.60}. Leave one of the "
            "two out"
        )
    return recipe.replace(distillation=default if share is None else share)


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


def phases_with_teacher(
    phases: Sequence[Phase], teacher: Any, is_labeled: bool = True
) -> list[Phase]:
    """Return phases whose recipes have the share of a teacher, or of none.

    `is_labeled` is whether the training images have labels. Without them the
    head learns the teacher's classes, and there may be no phase after it.

    Raises:
        ValueError: if there is a teacher for nothing, or none.
    """
    if teacher is None and not is_labeled:
        with_teacher(Recipe(), teacher, is_labeled=is_labeled)
    if teacher is not None and is_labeled and not phases:
        raise ValueError(
            "the teacher teaches in the phases after the head, and there must "
            f"be one. Received: teacher={teacher!r:.60}, phases="
            f"{list(phases)}. Leave `teacher` out, or add a phase "
            "(--top_epochs, --all_epochs)"
        )
    return [
        dataclasses.replace(
            phase,
            recipe=with_teacher(phase.recipe, teacher, is_labeled=is_labeled),
        )
        for phase in phases
    ]
