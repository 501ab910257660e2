"""The fields of a recipe as flags, over a recipe by name or from a file."""

import dataclasses
from collections.abc import Mapping

from absl import flags

from keras_squeezenet.utils import recipe_fields
from keras_squeezenet.utils import suggestions

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


def define(flag_values, recipes, groups):
    """Define `--recipe` and a flag for each field of a recipe.

    Args:
        flag_values: `CommandFlags` of the command.
        recipes: dict of recipes by name; the first one is the default.
        groups: dict of the title of a group to a dict of its fields and their
            help, or their help and choices.
    """
    name, default = _default(recipes)
    types = {field.name: field.type for field in dataclasses.fields(default)}
    with flag_values.group("Recipe"):
        flags.DEFINE_string(
            "recipe",
            name,
            f"{', '.join(recipes)}, or a JSON or YAML file of the fields "
            "below; a flag replaces its field",
            flag_values=flag_values,
        )
    for title, fields in groups.items():
        with flag_values.group(title):
            for field, text in fields.items():
                text, *choices = [text] if isinstance(text, str) else text
                define_ = (
                    flags.DEFINE_enum if choices else _DEFINE[types[field]]
                )
                define_(
                    field,
                    None,
                    *choices,
                    f"{text} (default: {_text(getattr(default, field))})",
                    flag_values=flag_values,
                )


def make(flag_values, recipes):
    """Return the recipe that the flags describe.

    Raises:
        ValueError: if a flag, or the file of the recipe, has a bad value.
        OSError: if there is no such file.
    """
    _, default = _default(recipes)
    changes = {
        field.name: _value(field, flag_values[field.name].value)
        for field in dataclasses.fields(default)
        if field.name in flag_values
        and flag_values[field.name].value is not None
    }
    return _base(flag_values["recipe"].value, recipes).replace(**changes)


def _default(recipes):
    return next(iter(recipes.items()))


def _base(name, recipes):
    if name in recipes:
        return recipes[name]
    if not name.endswith(recipe_fields.SUFFIXES):
        raise ValueError(
            f"--recipe must be one of {', '.join(recipes)}, or a file ending "
            f"in {', '.join(recipe_fields.SUFFIXES)}. Received: "
            f"--recipe={name}.{suggestions.did_you_mean(name, recipes)}"
        )
    return recipe_fields.load(type(_default(recipes)[1]), name)


def _value(field, value):
    if field.type == str | None and value == "none":
        return None
    number = _NUMBERS.get(field.type)
    return value if number is None else _rules(field.name, value, number)


def _rules(name, items, number):
    """Parse `["conv1:1", "*:0.25"]`; a number alone is for all layers."""
    rules = {}
    for item in items:
        pattern, _, text = item.rpartition(":")
        try:
            rules[pattern.strip() or "*"] = number(text)
        except ValueError:
            raise ValueError(
                f"--{name} must be patterns of layers and numbers, such as "
                f"conv1:1,*:{1 if number is int else 0.25}. Received: "
                f"{','.join(items)}"
            ) from None
    return rules


def _text(value):
    if isinstance(value, dict):
        return ",".join(f"{key}:{number}" for key, number in value.items())
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
