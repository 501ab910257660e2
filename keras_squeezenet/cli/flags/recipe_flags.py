"""The fields of a recipe as flags, over a recipe by name or from a file."""

import dataclasses
from collections.abc import Mapping

from absl import flags

from keras_squeezenet.utils import recipe_fields

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


def define(flag_values, recipes, help_texts):
    """Defines `--recipe` and a flag for each field of a recipe.

    Args:
        flag_values: `flags.FlagValues`.
        recipes: dict of recipes by name; the first one is the default.
        help_texts: dict of the fields' help.
    """
    name, default = _default(recipes)
    flags.DEFINE_string(
        "recipe",
        name,
        f"{', '.join(recipes)}, or a JSON or YAML file; the flags of its "
        "fields go before it",
        flag_values=flag_values,
    )
    for field in dataclasses.fields(default):
        _DEFINE[field.type](
            field.name,
            None,
            f"{help_texts[field.name]} (default: "
            f"{_text(getattr(default, field.name))})",
            flag_values=flag_values,
        )


def make(flag_values, recipes):
    """Returns the recipe that the flags ask for.

    Raises:
        ValueError: if a flag, or the recipe's file, is not as it should be.
        OSError: if there is no such file.
    """
    _, default = _default(recipes)
    changes = {
        field.name: _value(field, flag_values[field.name].value)
        for field in dataclasses.fields(default)
        if flag_values[field.name].value is not None
    }
    return _base(flag_values["recipe"].value, recipes).replace(**changes)


def _default(recipes):
    return next(iter(recipes.items()))


def _base(name, recipes):
    if name in recipes:
        return recipes[name]
    if not name.endswith(recipe_fields.SUFFIXES):
        raise ValueError(
            f"--recipe should be one of {', '.join(recipes)}, or a file in "
            f"{', '.join(recipe_fields.SUFFIXES)}. Received: --recipe={name}"
        )
    return recipe_fields.load(type(_default(recipes)[1]), name)


def _value(field, value):
    if field.type == str | None and value == "none":
        return None
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
