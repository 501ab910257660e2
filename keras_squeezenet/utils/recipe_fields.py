"""Recipes: dataclasses with validated fields, also read from files.

A rule is a pair: what a value must be, in words, and a function that returns
whether a value is valid.
"""

import dataclasses
import json
import numbers
import os
import pathlib
import typing
from collections.abc import Callable
from collections.abc import Collection
from typing import Any

from keras_squeezenet.utils import files
from keras_squeezenet.utils import suggestions

Rule = tuple[str, Callable[[Any], bool]]

SUFFIXES = (".json", ".yaml", ".yml")
POSITIVE: Rule = "greater than 0", lambda value: value > 0
_TYPES = {
    bool: ("true or false", bool),
    int: ("an integer", int),
    float: ("a number", numbers.Real),
    str: ("a string", str),
}


def require_valid(recipe: Any, rules: dict[str, Rule]) -> None:
    """Check the fields of a frozen dataclass; make lists in it tuples.

    A `ValueError` names the first field with a wrong type or value.
    """
    for field, annotation in typing.get_type_hints(type(recipe)).items():
        value = getattr(recipe, field)
        # Files have lists.
        if isinstance(value, list):
            object.__setattr__(recipe, field, tuple(value))
        if expected := _wrong_type(annotation, value):
            raise _error(field, expected, value)
    for field, (expected, is_valid) in rules.items():
        value = getattr(recipe, field)
        try:
            holds = is_valid(value)
        # A file may have values of another type.
        except (TypeError, AttributeError):
            holds = False
        if not holds:
            raise _error(field, expected, value)


def _wrong_type(annotation, value):
    """Return what the value must be, or `None` if it has the right type."""
    arguments = typing.get_args(annotation)
    is_optional = arguments[1:] == (type(None),)
    kind = arguments[0] if is_optional else annotation
    if kind not in _TYPES or (is_optional and value is None):
        return None
    expected, accepted = _TYPES[kind]
    # In Python `True` is an integer.
    is_bool = isinstance(value, bool)
    if isinstance(value, accepted) and is_bool == (kind is bool):
        return None
    return f"{expected}, or `None`" if is_optional else expected


def _error(field, expected, value):
    return ValueError(
        f"`{field}` must be {expected}. Received: {field}={value!r}"
    )


def load(kind: type, path: str | os.PathLike) -> Any:
    """Read a recipe of a `kind` from a JSON or YAML file of some of its fields.

    Raises:
        OSError: if the file does not exist.
        ValueError: if it is not such a file, or has an unknown field or an
            invalid value.
    """
    path = pathlib.Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"a recipe must be a file in {', '.join(SUFFIXES)}. "
            f"Received: {path}"
        )
    values = parse(path)
    if not isinstance(values, dict):
        raise ValueError(
            f"{path} must contain fields of a recipe and their values. "
            f"Received: {type(values).__name__}"
        )
    fields = [field.name for field in dataclasses.fields(kind)]
    unknown = sorted(map(str, set(values) - set(fields)))
    if unknown:
        raise ValueError(
            f"{path} must only have fields of a recipe: {', '.join(fields)}. "
            f"Received: {', '.join(unknown)}."
            f"{suggestions.did_you_mean(unknown[0], fields)}"
        )
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def parse(path: str | os.PathLike) -> Any:
    """Return the content of a JSON or YAML file.

    A `ValueError` is raised if it is not such a file.
    """
    path = pathlib.Path(path)
    text = path.read_text(encoding="utf-8")
    with files.as_value_error(f"{path} cannot be read"):
        if path.suffix == ".json":
            return json.loads(text)
        import yaml

        return yaml.safe_load(text)


def at_least(limit: float) -> Rule:
    """Return the rule of numbers with a lower bound."""
    return f"at least {limit}", lambda value: value >= limit


def integer(limit: int) -> Rule:
    """Return the rule of integers with a lower bound."""
    return (
        f"an integer, at least {limit}",
        lambda value: isinstance(value, int) and value >= limit,
    )


def optional(rule: Rule) -> Rule:
    """Return the rule that allows `None` too."""
    expected, is_valid = rule
    return (
        f"{expected}, or `None`",
        lambda value: value is None or is_valid(value),
    )


def one_of(choices: Collection) -> Rule:
    """Return the rule of one out of several values."""
    return (
        f"one of {', '.join(map(repr, choices))}",
        lambda value: value in choices,
    )


def some_of(choices: Collection) -> Rule:
    """Return the rule of a sequence of different values."""
    return (
        f"some of {', '.join(map(repr, choices))}, each once",
        lambda values: (
            set(values) <= set(choices) and len(set(values)) == len(values)
        ),
    )


def by_layer(rule: Rule) -> Rule:
    """Return the rule of a dict of patterns of layers to values."""
    expected, is_valid = rule
    return (
        f"a dict of patterns of layers, each with {expected}",
        lambda rules: len(rules) > 0 and all(map(is_valid, rules.values())),
    )
