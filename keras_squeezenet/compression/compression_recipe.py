"""Compression recipes, as data."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_squeezenet.compression import stages
from keras_squeezenet.utils import recipe_fields

STAGES = stages.STAGES
AUGMENTATIONS = (None, "crop", "flip_crop")
SCHEDULES = ("polynomial", "constant", "iterative")
PATTERNS = (None, "2:4")
SPLITS = ("threshold", "proportional", "sensitivity")
BITS = (8, 6, 5, 4)
# What a sensitivity scan measures of each layer.
SCAN_DENSITIES = (0.75, 0.5, 0.33, 0.2, 0.1, 0.05)
SCAN_BITS = (8, 6, 5, 4, 3, 2)
INITIALIZATIONS = ("kmeans++", "linear", "density", "random")
PRESERVED = ("both", "sparsity", "clusters", "none")
LITERT_TYPES = ("float32", "float16", "int8", "int16x8")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The stages of a compression in their order, and their targets.

    A rule by layer is a dict of patterns of layer names, such as
    `"*_expand3x3"`, to numbers. The first pattern that matches a layer applies.

    Args:
        stages: tuple of `"prune"`, `"densify"` (the last part of
            dense-sparse-dense training), `"cluster"` and `"quantize"`, in any
            order, each at most once. Defaults to all but `"densify"`.
        batch_size: int. Defaults to `32`.
        max_train_steps: int, the maximum number of training steps of each
            stage, for quick trials. Defaults to `None`, no maximum.
        seed: int, the seed of the order of the images and of every other
            random choice. Defaults to `0`.
        augmentation: `None`, `"crop"` or `"flip_crop"`, the augmentation of
            the training images of an `ImageDataset`. Defaults to `None`.
        validation_share: float in (0, 0.5], the share of an `ImageDataset`'s
            training images that become its validation set. Defaults to `0.1`.
        finetune_learning_rate: float, the learning rate of pruning. Weight
            sharing and densifying use half of it, quantization-aware training
            a fifth. Defaults to `1e-3`.
        prune_epochs: float. Defaults to `3`.
        prune_schedule: how the density falls: `"polynomial"`, `"constant"`
            (at once) or `"iterative"` (in `prune_rounds` steps, with training
            after each). Defaults to `"polynomial"`.
        prune_rounds: int. Defaults to `4`.
        prune_pattern: `None`, or `"2:4"`: two weights of every four are kept
            where the density is not 1. Defaults to `None`.
        densities: rule by layer, the share of weights to keep, in (0, 1].
            Defaults to a quarter of the weights, but all of `conv1` and of
            the squeeze layers, which have few weights and stay dense in the
            paper too (table 1).
        overall_density: float in (0, 1], the density of all kernels together.
            Layers whose density is 1 stay dense; `density_split` sets the
            other densities. Defaults to `None`: `densities` applies.
        density_split: `"threshold"` (one magnitude for all layers),
            `"proportional"` (`densities` times one factor, at most 1) or
            `"sensitivity"` (by a scan). Defaults to `"threshold"`.
        densify_epochs: float. Defaults to `2`.
        cluster_epochs: float. Defaults to `1`.
        bits: rule by layer, from 2 to 8: a kernel shares `2**bits` values,
            zero included. Defaults to 4 in all layers.
        average_bits: float, the maximum mean of the bits over all weights. A
            scan chooses 8, 6, 5 or 4 bits for each layer. Defaults to `None`:
            `bits` applies.
        cluster_initialization: `"kmeans++"`, `"linear"`, `"density"` or
            `"random"`. Defaults to `"kmeans++"`.
        quantize_epochs: float; 0 quantizes after training, with measured
            activation ranges. Defaults to `1`.
        quantize_preserve: what quantization-aware training keeps of each
            kernel: `"both"` (zeros and shared values), `"sparsity"`,
            `"clusters"` or `"none"`. Defaults to `"both"`.
        keep_frozen: bool, whether layers with `trainable=False` are left out
            of training, pruning and weight sharing. Defaults to `False`.
        max_accuracy_drop: float, how many percentage points of validation
            accuracy a stage may lose, compared with the dense model. Defaults
            to `None`, no limit.
        max_retries: int, how often a stage that lost more is relaxed and
            retried. Defaults to `2`.
        sensitivity_images: int, the number of validation images of a scan.
            Defaults to `256`.
        litert: tuple of `"float32"`, `"float16"`, `"int8"` and `"int16x8"`,
            the LiteRT files to write. Defaults to the first three.

    Raises:
        ValueError: if a value is out of range.
    """

    stages: tuple[str, ...] = ("prune", "cluster", "quantize")
    batch_size: int = 32
    max_train_steps: int | None = None
    seed: int = 0
    augmentation: str | None = None
    validation_share: float = 0.1
    finetune_learning_rate: float = 1e-3
    prune_epochs: float = 3
    prune_schedule: str = "polynomial"
    prune_rounds: int = 4
    prune_pattern: str | None = None
    densities: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {"conv1": 1, "*_squeeze1x1": 1, "*": 0.25}
    )
    overall_density: float | None = None
    density_split: str = "threshold"
    densify_epochs: float = 2
    cluster_epochs: float = 1
    bits: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: {"*": 4}
    )
    average_bits: float | None = None
    cluster_initialization: str = "kmeans++"
    quantize_epochs: float = 1
    quantize_preserve: str = "both"
    keep_frozen: bool = False
    max_accuracy_drop: float | None = None
    max_retries: int = 2
    sensitivity_images: int = 256
    litert: tuple[str, ...] = ("float32", "float16", "int8")

    def __post_init__(self):
        recipe_fields.require_valid(self, _RULES)

    def steps(self, epochs: float, epoch_steps: int) -> int:
        """Return the number of training steps of a stage."""
        steps = max(bool(epochs), round(epochs * epoch_steps))
        if self.max_train_steps is not None:
            steps = min(steps, self.max_train_steps)
        return steps

    def replace(self, **changes: Any) -> "Recipe":
        """Return a copy with other values."""
        return dataclasses.replace(self, **changes)


SHARE = (
    "a share of weights to keep, greater than 0 and at most 1",
    lambda value: 0 < value <= 1,
)
CODE_BITS = (
    "an integer from 2 to 8",
    lambda value: isinstance(value, int) and 2 <= value <= 8,
)
# The rule of each field: a description, and a test of a value.
_RULES = {
    "stages": recipe_fields.some_of(STAGES),
    "batch_size": recipe_fields.integer(1),
    "max_train_steps": recipe_fields.optional(recipe_fields.integer(1)),
    "seed": recipe_fields.integer(0),
    "augmentation": recipe_fields.one_of(AUGMENTATIONS),
    "validation_share": (
        "greater than 0 and at most 0.5",
        lambda value: 0 < value <= 0.5,
    ),
    "finetune_learning_rate": recipe_fields.POSITIVE,
    "prune_epochs": recipe_fields.POSITIVE,
    "prune_schedule": recipe_fields.one_of(SCHEDULES),
    "prune_rounds": recipe_fields.integer(1),
    "prune_pattern": recipe_fields.one_of(PATTERNS),
    "densities": recipe_fields.by_layer(SHARE),
    "overall_density": recipe_fields.optional(SHARE),
    "density_split": recipe_fields.one_of(SPLITS),
    "densify_epochs": recipe_fields.POSITIVE,
    "cluster_epochs": recipe_fields.POSITIVE,
    "bits": recipe_fields.by_layer(CODE_BITS),
    "average_bits": recipe_fields.optional(
        ("from 4 to 8", lambda value: min(BITS) <= value <= max(BITS))
    ),
    "cluster_initialization": recipe_fields.one_of(INITIALIZATIONS),
    "quantize_epochs": recipe_fields.at_least(0),
    "quantize_preserve": recipe_fields.one_of(PRESERVED),
    "max_accuracy_drop": recipe_fields.optional(recipe_fields.at_least(0)),
    "max_retries": recipe_fields.integer(0),
    "sensitivity_images": recipe_fields.integer(1),
    "litert": recipe_fields.some_of(LITERT_TYPES),
}


# Table 1, except for fire8's expand3x3: the printed 33% does not give the
# printed number of parameters after pruning, 30% does.
TABLE_1 = {
    "fire8_expand3x3": 0.30,
    "fire9_expand3x3": 0.30,
    "*_expand3x3": 0.33,
    "fire6_expand1x1": 0.50,
    "fire8_expand1x1": 0.50,
    "fire7_squeeze1x1": 0.50,
    "fire9_squeeze1x1": 0.50,
    "conv10": 0.20,
    "*": 1,
}

RECIPES = {
    "default": Recipe(),
    # The densities of table 1, and 6 bits. The densities are scaled down where
    # they would keep more than the 33.5% of v1.0, as with few classes.
    "paper": Recipe(
        prune_epochs=6,
        densities=TABLE_1,
        overall_density=0.336,
        density_split="proportional",
        bits={"*": 6},
        cluster_epochs=2,
    ),
    # A short training, for a machine without a GPU.
    "fast": Recipe(
        prune_epochs=1,
        densities={"conv1": 1, "*_squeeze1x1": 1, "*": 0.5},
        bits={"*": 6},
        cluster_epochs=0.25,
        quantize_epochs=0,
    ),
    "accurate": Recipe(
        prune_epochs=8,
        densities={"conv1": 1, "*_squeeze1x1": 1, "*": 0.4},
        bits={"*": 6},
        cluster_epochs=2,
        quantize_epochs=2,
        max_accuracy_drop=1.0,
    ),
    "small": Recipe(
        prune_epochs=10,
        prune_schedule="iterative",
        densities={"conv1": 1, "*": 0.2},
        overall_density=0.15,
        density_split="sensitivity",
        cluster_epochs=3,
        quantize_epochs=2,
    ),
    # Dense-sparse-dense training (Han et al., 2017, arXiv:1607.04381): a better
    # network of the same size.
    "dsd": Recipe(
        stages=("prune", "densify"),
        prune_epochs=4,
        densities={"conv1": 1, "*": 0.5},
        densify_epochs=4,
    ),
}
