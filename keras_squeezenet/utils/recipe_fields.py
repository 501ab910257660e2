"""Recipes: dataclasses whose fields are checked, and files of them.

A rule is what a field should be, in words, and a function that says whether a
value is that.
"""

import dataclasses
import json
import pathlib

SUFFIXES = (".json", ".yaml", ".yml")
POSITIVE = "greater than 0", lambda value: value > 0


def require_valid(recipe, rules):
    """Checks the fields of a frozen dataclass; makes lists in it tuples.

    Args:
        recipe: the dataclass's instance.
        rules: dict of names of fields to their rules.

    Raises:
        ValueError: naming the first field whose value is out of range.
    """
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        # As a file has them.
        if isinstance(value, list):
            object.__setattr__(recipe, field.name, tuple(value))
    for field, (expected, is_valid) in rules.items():
        value = getattr(recipe, field)
        if not _holds(is_valid, value):
            raise ValueError(
                f"`{field}` should be {expected}. Received: {field}={value}"
            )


def load(kind, path):
    """Reads a recipe from a JSON or YAML file of some of its fields.

    Args:
        kind: the class of the recipe.
        path: path of the file.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is neither, or has a field that is none, or a value
            out of range.
    """
    path = pathlib.Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"a recipe should be a file in {', '.join(SUFFIXES)}. "
            f"Received: {path}"
        )
    values = parse(path)
    if not isinstance(values, dict):
        raise ValueError(
            f"{path} should hold fields of a recipe and their values. "
            f"Received: {type(values).__name__}"
        )
    fields = [field.name for field in dataclasses.fields(kind)]
    unknown = sorted(map(str, set(values) - set(fields)))
    if unknown:
        raise ValueError(
            f"{path} should have fields of a recipe only: "
            f"{', '.join(fields)}. Received: {', '.join(unknown)}"
        )
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def parse(path):
    """Returns what a JSON or YAML file holds.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is neither.
    """
    path = pathlib.Path(path)
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".json":
            return json.loads(text)
        import yaml

        return yaml.safe_load(text)
    # Of either library.
    except Exception as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _holds(is_valid, value):
    try:
        return bool(is_valid(value))
    # A value of a wrong type, as a file may have it.
    except (TypeError, AttributeError):
        return False


def at_least(limit):
    return f"at least {limit}", lambda value: value >= limit


def integer(limit):
    return (
        f"an integer, at least {limit}",
        lambda value: isinstance(value, int) and value >= limit,
    )


def optional(rule):
    expected, is_valid = rule
    return (
        f"{expected}, or `None`",
        lambda value: value is None or is_valid(value),
    )


def one_of(choices):
    return (
        f"one of {', '.join(map(repr, choices))}",
        lambda value: value in choices,
    )


def some_of(choices):
    return (
        f"some of {', '.join(map(repr, choices))}, each once",
        lambda values: (
            set(values) <= set(choices) and len(set(values)) == len(values)
        ),
    )


def by_layer(rule):
    expected, is_valid = rule
    return (
        f"a dict of patterns of layers, each with {expected}",
        lambda rules: len(rules) > 0 and all(map(is_valid, rules.values())),
    )
