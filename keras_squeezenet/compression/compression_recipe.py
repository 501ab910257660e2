"""Compression recipes, as data."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Annotated
from typing import Any

from keras_squeezenet.compression import stages
from keras_squeezenet.export import formats
from keras_squeezenet.utils import recipe_fields
from keras_squeezenet.utils.recipe_fields import by_layer
from keras_squeezenet.utils.recipe_fields import one_of
from keras_squeezenet.utils.recipe_fields import some_of

STAGES = stages.STAGES
# Training after `cluster` or `quantize` would undo it, and `densify` trains the
# weights that `prune` set to zero. Zeros would mislead `prune_filters`.
ORDER = re.compile(
    "(prune_filters )?(prune (densify )?)?(cluster )?(quantize )?(pack )?"
)
AUGMENTATIONS = (None, "crop", "flip_crop")
SCHEDULES = ("polynomial", "constant", "iterative")
PATTERNS = (None, "2:4")
SPLITS = ("threshold", "proportional", "sensitivity")
BITS = (8, 6, 5, 4)
# What a sensitivity scan measures of each layer.
SCAN_DENSITIES = (0.75, 0.5, 0.33, 0.2, 0.1, 0.05)
SCAN_BITS = (8, 6, 5, 4, 3, 2)
INITIALIZATIONS = ("kmeans++", "linear", "density", "random")
# Whether zeros and shared values of a kernel are kept.
PRESERVED = {
    "both": (True, True),
    "sparsity": (True, False),
    "clusters": (False, True),
    "none": (False, False),
}
LITERT_TYPES = ("float32", "float16", "int8", "int16x8")
SHARE = (
    "a share of weights to keep, greater than 0 and at most 1",
    lambda value: 0 < value <= 1,
)
TARGET_SHARE = (
    "a share to keep, greater than 0 and below 1",
    lambda value: 0 < value < 1,
)
# The fields of a recipe that set what `prune_filters` aims at.
FILTER_TARGETS = ("target_macs", "target_parameters", "target_latency")
# The fields that bound what `pack` loses.
PACK_BOUNDS = ("target_bytes", "max_kl")
# The fields that only one stage reads.
FIELDS_OF_STAGES = {
    "prune_filters": (
        *FILTER_TARGETS,
        "latency_runtime",
        "latency_threads",
        "prune_filters_epochs",
    ),
    "prune": (
        "prune_epochs",
        "prune_schedule",
        "prune_rounds",
        "prune_pattern",
        "densities",
        "overall_density",
        "density_split",
    ),
    "densify": ("densify_epochs",),
    "cluster": (
        "cluster_epochs",
        "bits",
        "average_bits",
        "cluster_initialization",
    ),
    "quantize": ("quantize_epochs", "quantize_preserve"),
    "pack": (*PACK_BOUNDS, "pack_epochs"),
}
AVERAGE_BITS = "from 4 to 8", lambda value: min(BITS) <= value <= max(BITS)
CODE_BITS = (
    "an integer from 2 to 8",
    lambda value: isinstance(value, int) and 2 <= value <= 8,
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The stages of a compression in their order, and their targets.

    A rule by layer is a dict of patterns of layer names, such as
    `"*_expand3x3"`, to numbers. The first pattern that matches a layer applies.

    Args:
        stages: `"prune_filters"`, `"prune"`, `"densify"` (the last part of
            dense-sparse-dense training), `"cluster"`, `"quantize"` and
            `"pack"`, or some of them, in this order. `"cluster"` and `"pack"`
            exclude each other.
        image_size: the side in pixels of the images that the network is taken
            to before the stages; the data must have this size. `None`: the
            network stays as it is.
        batch_size: the images in a batch.
        max_train_steps: the maximum number of training steps of each stage, for
            quick trials.
        seed: the seed of the order of the images and of every other random
            choice.
        augmentation: `None`, `"crop"` or `"flip_crop"`, the augmentation of
            the training images of an `ImageDataset`.
        validation_share: the share of an `ImageDataset`'s training images that
            become its validation set, if it has none.
        finetune_learning_rate: the learning rate of pruning. Weight sharing and
            densifying use half of it, quantization-aware training a fifth.
        target_macs, target_parameters: the share of the multiply-accumulates,
            or of the parameters, that `prune_filters` keeps.
        target_latency: the latency in milliseconds that `prune_filters` aims
            at, of a call with one image. At most one target may be set; with
            none of them half of the multiply-accumulates are kept.
        latency_runtime: the runtime of `target_latency`, the name of an export
            format.
        latency_threads: the number of threads that it computes with.
        prune_filters_epochs: the epochs of training after filters are removed;
            0 only fits the remaining weights, layer by layer.
        prune_epochs, densify_epochs, cluster_epochs: the epochs of each stage;
            fractions are allowed.
        prune_schedule: how the density falls: `"polynomial"`, `"constant"`
            (at once) or `"iterative"` (in `prune_rounds` rounds, with training
            after each).
        prune_pattern: `None`, or `"2:4"`: two weights of every four are kept
            where the density is not 1.
        densities: rule by layer, the share of weights to keep. By default a
            quarter, but all of `conv1` and of the squeeze layers, which have
            few weights and stay dense in the paper too (table 1).
        overall_density: the density of all kernels together. Layers whose
            density is 1 stay dense; `density_split` sets the other densities.
            `None`: `densities` applies.
        density_split: `"threshold"` (one magnitude for all layers),
            `"proportional"` (`densities` times one factor, at most 1) or
            `"sensitivity"` (by a scan).
        bits: rule by layer: a kernel shares `2**bits` values, zero included.
        average_bits: the maximum mean of the bits over all weights. A scan
            chooses 8, 6, 5 or 4 bits for each layer. `None`: `bits` applies.
        cluster_initialization: `"kmeans++"`, `"linear"`, `"density"` or
            `"random"`.
        quantize_epochs: 0 quantizes after training, with measured activation
            ranges.
        quantize_preserve: what quantization-aware training keeps of each
            kernel: `"both"` (zeros and shared values), `"sparsity"`,
            `"clusters"` or `"none"`.
        label_smoothing, focal, class_weight: as in `training.Recipe`, for all
            stages.
        distillation, temperature: as in `training.Recipe`, for all stages.
            Without a teacher, the model before compression is the teacher.
        target_bytes: the largest size of the packed `.sqz` file.
        max_kl: the largest divergence of the packed model from the one before,
            on the validation set, in nats. Without it and `target_bytes`,
            `max_accuracy_drop` bounds what packing loses; without that too, the
            bound is 0.02 nats.
        pack_epochs: the epochs of training the codes of the packed file, with
            the loss of the other stages. Trained codes are kept where they are
            better on the validation set: with `target_bytes` a higher accuracy,
            or the same and less divergence from the model before packing;
            without it fewer bytes. A run that is resumed repeats the whole
            stage. Above 100 million multiply-accumulates for an image, the
            layers at the front are not trained for a size. Defaults to `None`:
            with `target_bytes` enough for 2,400 steps, and none otherwise.
        keep_frozen: whether layers with `trainable=False` are left out of
            training, pruning and weight sharing. Packing quantizes all layers,
            and their codes are trained like the others.
        max_accuracy_drop: how many percentage points of validation accuracy a
            stage may lose, compared with the dense model; `None` for no limit.
        max_retries: how often a stage that lost more is relaxed and retried.
        sensitivity_images: the number of validation images of a scan.
        litert: the LiteRT files to write, of `"float32"`, `"float16"`,
            `"int8"` and `"int16x8"`.

    Raises:
        ValueError: if a value is out of range.
    """

    stages: Annotated[tuple[str, ...], some_of(STAGES)] = (
        "prune",
        "quantize",
        "pack",
    )
    image_size: recipe_fields.Count | None = None
    batch_size: recipe_fields.Count = 32
    max_train_steps: recipe_fields.Count | None = None
    seed: recipe_fields.CountOrZero = 0
    augmentation: Annotated[str | None, one_of(AUGMENTATIONS)] = None
    validation_share: recipe_fields.ValidationShare = 0.1
    finetune_learning_rate: recipe_fields.Positive = 1e-3
    target_macs: Annotated[float, TARGET_SHARE] | None = None
    target_parameters: Annotated[float, TARGET_SHARE] | None = None
    target_latency: recipe_fields.Positive | None = None
    latency_runtime: Annotated[str, one_of(formats.LATENCY_RUNTIMES)] = (
        "litert_int8"
    )
    latency_threads: recipe_fields.Count = 1
    prune_filters_epochs: recipe_fields.PositiveOrZero = 3
    prune_epochs: recipe_fields.Positive = 4
    prune_schedule: Annotated[str, one_of(SCHEDULES)] = "polynomial"
    prune_rounds: recipe_fields.Count = 4
    prune_pattern: Annotated[str | None, one_of(PATTERNS)] = None
    densities: Annotated[Mapping[str, float], by_layer(SHARE)] = (
        dataclasses.field(
            default_factory=lambda: {"conv1": 1, "*_squeeze1x1": 1, "*": 0.25}
        )
    )
    overall_density: Annotated[float, SHARE] | None = None
    density_split: Annotated[str, one_of(SPLITS)] = "threshold"
    densify_epochs: recipe_fields.Positive = 2
    cluster_epochs: recipe_fields.Positive = 1
    bits: Annotated[Mapping[str, int], by_layer(CODE_BITS)] = dataclasses.field(
        default_factory=lambda: {"*": 4}
    )
    average_bits: Annotated[float, AVERAGE_BITS] | None = None
    cluster_initialization: Annotated[str, one_of(INITIALIZATIONS)] = "kmeans++"
    quantize_epochs: recipe_fields.PositiveOrZero = 1
    quantize_preserve: Annotated[str, one_of(PRESERVED)] = "both"
    label_smoothing: recipe_fields.FractionBelowOne = 0.0
    focal: recipe_fields.PositiveOrZero = 0.0
    class_weight: recipe_fields.ClassWeight | None = None
    distillation: recipe_fields.Fraction | None = None
    temperature: recipe_fields.Temperature = 4.0
    target_bytes: recipe_fields.Count | None = None
    max_kl: recipe_fields.Positive | None = None
    pack_epochs: recipe_fields.PositiveOrZero | None = None
    keep_frozen: bool = False
    max_accuracy_drop: recipe_fields.PositiveOrZero | None = None
    max_retries: recipe_fields.CountOrZero = 2
    sensitivity_images: recipe_fields.Count = 256
    litert: Annotated[tuple[str, ...], some_of(LITERT_TYPES)] = (
        "float32",
        "float16",
        "int8",
    )

    def __post_init__(self):
        recipe_fields.require_valid(self)
        self._require_order()
        self._require_one_target()
        if self.target_bytes is not None and self.max_kl is not None:
            raise ValueError(
                "one of `target_bytes` and `max_kl` must be given, not both. "
                f"Received: target_bytes={self.target_bytes}, "
                f"max_kl={self.max_kl}"
            )

    def _require_order(self):
        received = f"Received: stages={', '.join(self.stages)}"
        if {"cluster", "pack"} <= {*self.stages}:
            raise ValueError(
                "stages must have cluster or pack, not both: pack chooses new "
                "values for the weights, and gains nothing from shared ones. "
                f"{received}; leave one out"
            )
        if not ORDER.fullmatch("".join(f"{stage} " for stage in self.stages)):
            needed = set(self.stages)
            if "densify" in needed:
                needed.add("prune")
            raise ValueError(
                "stages must be in an order in which none undoes the one "
                "before: prune_filters, prune, densify (directly after prune), "
                f"cluster, quantize, pack. {received}. Use "
                f"{', '.join(stage for stage in STAGES if stage in needed)}"
            )

    def _require_one_target(self):
        targets = {
            name: getattr(self, name)
            for name in FILTER_TARGETS
            if getattr(self, name) is not None
        }
        received = ", ".join(f"{name}={targets[name]}" for name in targets)
        if len(targets) > 1:
            raise ValueError(
                f"only one of {', '.join(FILTER_TARGETS)} may be set. "
                f"Received: {received}"
            )
        if targets and "prune_filters" not in self.stages:
            raise ValueError(
                "a target needs the stage 'prune_filters', which removes "
                f"filters. Received: {received}, "
                f"stages={', '.join(self.stages)}"
            )

    def steps(self, epochs: float, epoch_steps: int) -> int:
        """Return the number of training steps of a stage."""
        steps = max(bool(epochs), round(epochs * epoch_steps))
        if self.max_train_steps is not None:
            steps = min(steps, self.max_train_steps)
        return steps

    def replace(self, **changes: Any) -> "Recipe":
        """Return a copy with other values.

        A target of `prune_filters` replaces another one, and so does a bound
        of `pack`.
        """
        for names in (FILTER_TARGETS, PACK_BOUNDS):
            if any(changes.get(name) is not None for name in names):
                changes = {**dict.fromkeys(names), **changes}
        return dataclasses.replace(self, **changes)


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
        stages=("prune", "cluster", "quantize"),
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
        quantize_epochs=0,
    ),
    "accurate": Recipe(
        stages=("prune", "cluster", "quantize"),
        prune_epochs=8,
        densities={"conv1": 1, "*_squeeze1x1": 1, "*": 0.4},
        bits={"*": 6},
        cluster_epochs=2,
        quantize_epochs=2,
        max_accuracy_drop=1.0,
    ),
    # To a size: `target_bytes` may be another one.
    "small": Recipe(
        stages=("pack",),
        target_bytes=60_000,
        distillation=0.5,
    ),
    # To a smaller size, with fewer filters.
    "smallest": Recipe(
        stages=("prune_filters", "pack"),
        target_parameters=0.5,
        target_bytes=40_000,
        prune_filters_epochs=5,
        distillation=0.5,
    ),
    # Half of the operations, in 8-bit integers: quick in every runtime.
    "fast_inference": Recipe(
        stages=("prune_filters", "quantize"),
        prune_filters_epochs=12,
        finetune_learning_rate=3e-4,
        distillation=0.5,
        quantize_preserve="none",
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
