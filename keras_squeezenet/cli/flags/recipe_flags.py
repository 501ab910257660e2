"""The fields of a recipe as flags, over a recipe by name or from a file."""

import typing
from collections.abc import Mapping

from keras_squeezenet.utils import recipe_fields
from keras_squeezenet.utils import suggestions

# The kind of the flag for a field of another type.
_KINDS = {
    int | None: int,
    float | None: float,
    str | None: str,
    tuple[str, ...]: list,
    Mapping[str, float]: list,
    Mapping[str, int]: list,
    str | Mapping[str, float] | None: list,
}
_NUMBERS = {Mapping[str, float]: float, Mapping[str, int]: int}


def define(flag_values, recipes, groups):
    """Define `--recipe` and a flag for each field of a recipe.

    `groups` has the help of each field, or its help and choices, by the title
    of the group and the name of the field.
    """
    default = recipes["default"]
    types = typing.get_type_hints(type(default))
    with flag_values.group("Recipe"):
        flag_values.define(
            str,
            "recipe",
            "default",
            f"{', '.join(recipes)}, or a JSON or YAML file of the fields "
            "below; a flag replaces its field",
        )
    for title, fields in groups.items():
        with flag_values.group(title):
            for field, text in fields.items():
                kind = _KINDS.get(types[field], types[field])
                if not isinstance(text, str):
                    text, kind = text
                value = _text(getattr(default, field))
                flag_values.define(
                    kind, field, None, f"{text} (default: {value})"
                )


def make(flag_values, recipes):
    types = typing.get_type_hints(type(recipes["default"]))
    changes = {
        field: value(field, kind, flag_values[field].value)
        for field, kind in types.items()
        if flag_values[field].value is not None
    }
    return _base(flag_values["recipe"].value, recipes).replace(**changes)


def _base(name, recipes):
    if name in recipes:
        return recipes[name]
    if not name.endswith(recipe_fields.SUFFIXES):
        raise ValueError(
            f"--recipe must be one of {', '.join(recipes)}, or a file ending "
            f"in {', '.join(recipe_fields.SUFFIXES)}. Received: "
            f"--recipe={name}.{suggestions.did_you_mean(name, recipes)}"
        )
    return recipe_fields.load(type(recipes["default"]), name)


def value(field, kind, given):
    """Return the value of a field from that of its flag."""
    if kind == str | None and given == "none":
        return None
    if kind == str | Mapping[str, float] | None:
        return class_weight(given)
    number = _NUMBERS.get(kind)
    return given if number is None else _rules(field, given, number)


def class_weight(items):
    """Parse `["balanced"]`, or `["rose:2", "tulip:0.5"]`."""
    if items == ["balanced"]:
        return "balanced"
    weights = {}
    for item in items:
        name, _, number = item.rpartition(":")
        _require_new("class_weight", name, weights)
        try:
            weights[name] = float(number)
        except ValueError:
            raise ValueError(
                "--class_weight must be balanced, or names of classes and "
                "weights, such as rose:2,tulip:0.5. Received: "
                f"--class_weight={','.join(items)}"
            ) from None
    return weights


def _rules(name, items, number):
    """Parse `["conv1:1", "*:0.25"]`; a number alone is for all layers."""
    rules = {}
    for item in items:
        pattern, _, text = item.rpartition(":")
        pattern = pattern.strip() or "*"
        _require_new(name, pattern, rules)
        try:
            rules[pattern] = number(text)
        except ValueError:
            raise ValueError(
                f"--{name} must be patterns of layers and numbers, such as "
                f"conv1:1,*:{1 if number is int else 0.25}. Received: "
                f"{','.join(items)}"
            ) from None
    return rules


def _require_new(flag, name, values):
    if name in values:
        raise ValueError(
            f"--{flag} must have each name once. Received: {name} twice. "
            "Leave one of the two out"
        )


def _text(value):
    if isinstance(value, dict):
        return ",".join(f"{key}:{number}" for key, number in value.items())
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
