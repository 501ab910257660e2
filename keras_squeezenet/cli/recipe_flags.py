"""The fields of a recipe as flags, over a recipe by name or from a file."""

import dataclasses
from collections.abc import Mapping

from absl import flags

from keras_squeezenet.compression import recipe as recipe_module
from keras_squeezenet.compression import recipes

HELP = {
    "stages": "in their order: " + ", ".join(recipe_module.STAGES),
    "batch_size": "images in a training step",
    "max_train_steps": "an upper bound to each stage's steps, for trials",
    "seed": "of every random number",
    "augmentation": "of the training images: crop or flip_crop",
    "validation_share": "of the training images, held out to choose by",
    "train_epochs": "epochs of training before any compression",
    "learning_rate": "of the first stage, at the end of its warm-up",
    "finetune_learning_rate": "of pruning; other stages take less",
    "prune_epochs": "epochs of pruning",
    "prune_schedule": ", ".join(recipe_module.SCHEDULES),
    "prune_rounds": "of the iterative schedule",
    "prune_pattern": "2:4 keeps two weights of every four",
    "densities": "share of weights to keep, by patterns of layers, the first "
    "that matches counts: conv1:1,*_squeeze1x1:1,*:0.25",
    "overall_density": "of all weights, instead",
    "density_split": "how an overall density is split: "
    + ", ".join(recipe_module.SPLITS),
    "densify_epochs": "epochs of training all weights again after pruning",
    "cluster_epochs": "epochs of weight sharing",
    "bits": "of a code for a shared value, by patterns of layers: *:4",
    "average_bits": "of all weights; a scan chooses each layer's, instead",
    "cluster_initialization": ", ".join(recipe_module.INITIALIZATIONS),
    "quantize_epochs": "epochs of quantization-aware training; 0 quantizes "
    "after training",
    "quantize_preserve": "of each kernel: "
    + ", ".join(recipe_module.PRESERVED),
    "keep_frozen": "leave layers alone that are not trainable",
    "max_accuracy_drop": "points that a stage may lose; it is tried again, "
    "more gently, if it loses more",
    "max_retries": "how often",
    "sensitivity_images": "validation images of a scan",
    "litert": "the LiteRT files to write: "
    + ", ".join(recipe_module.LITERT_FORMS),
}
# What is defined here is a flag of the command that calls `define`.
flags.disclaim_key_flags()
_DEFINE = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    int | None: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    float | None: flags.DEFINE_float,
    str: flags.DEFINE_string,
    str | None: flags.DEFINE_string,
    tuple[str, ...]: flags.DEFINE_list,
    Mapping[str, float]: flags.DEFINE_list,
    Mapping[str, int]: flags.DEFINE_list,
}
_NUMBERS = {Mapping[str, float]: float, Mapping[str, int]: int}


def define(flag_values):
    """Defines `--recipe` and a flag for each field of a recipe."""
    flags.DEFINE_string(
        "recipe",
        "default",
        f"{', '.join(recipes.RECIPES)}, or a JSON or YAML file; the flags of "
        "its fields go before it",
        flag_values=flag_values,
    )
    for field in dataclasses.fields(recipe_module.Recipe):
        default = getattr(recipes.RECIPES["default"], field.name)
        _DEFINE[field.type](
            field.name,
            None,
            f"{HELP[field.name]} (default: {_text(default)})",
            flag_values=flag_values,
        )


def make(flag_values):
    """Returns the `Recipe` that the flags ask for.

    Raises:
        ValueError: if a flag, or the recipe's file, is not as it should be.
        OSError: if there is no such file.
    """
    changes = {
        field.name: _value(field, flag_values[field.name].value)
        for field in dataclasses.fields(recipe_module.Recipe)
        if flag_values[field.name].value is not None
    }
    return _base(flag_values["recipe"].value).replace(**changes)


def _base(name):
    if name in recipes.RECIPES:
        return recipes.RECIPES[name]
    if not name.endswith(recipe_module.SUFFIXES):
        raise ValueError(
            f"--recipe should be one of {', '.join(recipes.RECIPES)}, or a "
            f"file in {', '.join(recipe_module.SUFFIXES)}. Received: "
            f"--recipe={name}"
        )
    return recipe_module.load(name)


def _value(field, value):
    number = _NUMBERS.get(field.type)
    return value if number is None else _rules(field.name, value, number)


def _rules(name, items, number):
    """Parses `["conv1:1", "*:0.25"]`; a number alone is for all layers."""
    rules = {}
    for item in items:
        pattern, _, text = item.rpartition(":")
        try:
            rules[pattern.strip() or "*"] = number(text)
        except ValueError:
            raise ValueError(
                f"--{name} should be patterns of layers and numbers, such as "
                f"conv1:1,*:{1 if number is int else 0.25}. Received: "
                f"{','.join(items)}"
            ) from None
    return rules


def _text(value):
    if isinstance(value, dict):
        return ",".join(f"{key}:{number}" for key, number in value.items())
    if isinstance(value, tuple):
        return ",".join(value)
    return "none" if value is None else str(value)
