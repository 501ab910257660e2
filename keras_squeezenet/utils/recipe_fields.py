"""Recipes: dataclasses with validated fields, also read from files.

The type of a field is `Annotated` with a rule, a pair: what a value must be, in
words, and a function that returns whether a value is valid.
"""

import contextlib
import dataclasses
import json
import math
import numbers
import os
import pathlib
import typing
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from typing import Annotated
from typing import Any

from keras_squeezenet.utils import files
from keras_squeezenet.utils import strict_json
from keras_squeezenet.utils import suggestions
from keras_squeezenet.utils.text import shortened
from keras_squeezenet.utils.text import shown

Rule = tuple[str, Callable[[Any], bool]]

SUFFIXES = (".json", ".yaml", ".yml")
MAX_BYTES = 2**18
MAX_DEPTH = 20
# Seeds have 32 bits, and no other value is larger.
MAX_INTEGER = 2**32 - 1
_TYPES = {
    bool: ("true or false", bool),
    int: ("an integer", int),
    float: ("a number", numbers.Real),
    str: ("a string", str),
}
_MANY = (tuple, Mapping)


def require_valid(recipe: Any) -> None:
    """Check the fields of a frozen dataclass; make lists in it tuples.

    A `ValueError` names the first field with a wrong type or value.
    """
    kinds = typing.get_type_hints(type(recipe))
    hints = typing.get_type_hints(type(recipe), include_extras=True)
    for field, annotation in hints.items():
        value = getattr(recipe, field)
        # Files have lists.
        if isinstance(value, list) and typing.get_origin(kinds[field]) in _MANY:
            value = tuple(value)
            object.__setattr__(recipe, field, value)
        if expected := _violated(annotation, value):
            raise ValueError(
                f"`{field}` must be {expected}. Received: {field}="
                f"{shown(value)}"
            )


def _violated(annotation, value):
    """Return what the value must be, or `None` if it is valid."""
    arguments = typing.get_args(annotation)
    if arguments[1:] == (type(None),):
        if value is None:
            return None
        expected = _violated(arguments[0], value)
        return expected and f"{expected}, or `None`"
    if typing.get_origin(annotation) is Annotated:
        kind, (expected, is_valid) = arguments
        if wrong_type := _violated(kind, value):
            return wrong_type
        # A file may have values of another type.
        with contextlib.suppress(TypeError, AttributeError):
            if is_valid(value):
                return None
        return expected
    expected, accepted = _TYPES.get(annotation, (None, object))
    # In Python `True` is an integer.
    is_bool = isinstance(value, bool)
    if not isinstance(value, accepted) or is_bool != (annotation is bool):
        return expected
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return f"{expected}, at most {MAX_INTEGER}"
    if isinstance(value, numbers.Real) and not math.isfinite(value):
        return f"{expected} that is finite"
    return None


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
            f"Received: {shortened(', '.join(unknown))}."
            f"{suggestions.did_you_mean(unknown[0], fields)}"
        )
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def parse(path: str | os.PathLike) -> Any:
    """Return the content of a JSON or YAML file.

    A `ValueError` is raised if it is not such a file, has aliases, or has a
    name twice.
    """
    text = files.read_text(path, MAX_BYTES)
    with files.as_value_error(f"{path} cannot be read"):
        if str(path).endswith(".json"):
            return json.loads(text, object_pairs_hook=strict_json.unique)
        import yaml

        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            # A few aliases can expand to any number of values.
            if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
                raise ValueError(
                    f"it must not have aliases, or more than {MAX_DEPTH} "
                    f"levels. Received: {event}"
                )
        nodes = [yaml.compose(text, yaml.SafeLoader)]
        for node in nodes:
            if isinstance(node, yaml.MappingNode):
                strict_json.unique(
                    [(str(key.value), ()) for key, _ in node.value]
                )
                nodes += [value for _, value in node.value]
            elif isinstance(node, yaml.SequenceNode):
                nodes += node.value
        return yaml.safe_load(text)


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
        lambda rules: (
            len(rules) > 0
            and all(isinstance(name, str) for name in rules)
            and not any(isinstance(value, bool) for value in rules.values())
            and all(map(is_valid, rules.values()))
        ),
    )


def _are_weights(weights):
    return len(weights) > 0 and all(
        isinstance(name, str)
        and not isinstance(weight, bool)
        and 0 < weight < math.inf
        for name, weight in weights.items()
    )


Count = Annotated[int, ("an integer, at least 1", lambda value: value >= 1)]
CountOrZero = Annotated[
    int, ("an integer, at least 0", lambda value: value >= 0)
]
Positive = Annotated[float, ("greater than 0", lambda value: value > 0)]
PositiveOrZero = Annotated[float, ("at least 0", lambda value: value >= 0)]
Fraction = Annotated[float, ("from 0 to 1", lambda value: 0 <= value <= 1)]
FractionBelowOne = Annotated[
    float, ("from 0 to below 1", lambda value: 0 <= value < 1)
]
Temperature = Annotated[
    float, ("from 0.01 to 100", lambda value: 0.01 <= value <= 100)
]
ClassWeight = Annotated[
    str | Mapping[str, float],
    (
        "'balanced', or a dict of the names of classes, each with a weight "
        "greater than 0",
        lambda weights: weights == "balanced" or _are_weights(weights),
    ),
]
ValidationShare = Annotated[
    float, ("greater than 0 and at most 0.5", lambda value: 0 < value <= 0.5)
]
