"""Values of files that no recipe can have, each refused in one line."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Annotated

import pytest

from keras_squeezenet.utils import recipe_fields


@dataclasses.dataclass(frozen=True)
class Recipe:
    steps: recipe_fields.Count = 1
    rate: recipe_fields.Positive = 0.5
    share: recipe_fields.Fraction | None = None
    name: Annotated[str, recipe_fields.one_of(("a", "b"))] = "a"
    rules: Annotated[
        Mapping[str, float], recipe_fields.by_layer(("a", lambda v: v > 0))
    ] = dataclasses.field(default_factory=lambda: {"*": 1})

    def __post_init__(self):
        recipe_fields.require_valid(self)


def load(path: pathlib.Path, text: str) -> Recipe:
    path.write_text(text)
    return recipe_fields.load(Recipe, path)


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
@pytest.mark.parametrize(
    "field, value",
    [
        ("rate", "1.0e+999"),
        ("rate", "true"),
        ("rate", "1" + 400 * "0"),
        ("steps", "true"),
        ("steps", "1.0"),
        ("steps", "4294967296"),
        ("steps", "1" + 400 * "0"),
        ("steps", "[1]"),
        ("share", "false"),
        ("share", "[]"),
        ("name", "[[]]"),
        ("name", json.dumps("c" * 10_000)),
        ("rules", "[0.5]"),
        ("rules", '{"*": true}'),
        ("rules", '{"*": "few"}'),
        ("rules", "{}"),
    ],
)
def test_field_is_named(name, field, value, tmp_path):
    text = json.dumps({field: "@"}).replace('"@"', value)
    with pytest.raises(ValueError, match=f"`{field}` must be .*") as raised:
        load(tmp_path / name, text)
    assert f"Received: {field}=" in str(raised.value)
    assert len(str(raised.value)) < 500 and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "name, value",
    [
        ("a.json", "Infinity"),
        ("a.json", "NaN"),
        ("a.json", "1e999"),
        ("a.yaml", ".inf"),
        ("a.yaml", "-.INF"),
        ("a.yaml", ".nan"),
        ("a.yaml", "0x" + 5000 * "f"),
        ("a.yaml", "2001-01-01"),
    ],
)
def test_value_of_one_format_is_refused_by_its_field(name, value, tmp_path):
    text = json.dumps({"rate": "@"}).replace('"@"', value)
    with pytest.raises(ValueError, match="`rate` must be a number.*: rate="):
        load(tmp_path / name, text)


def test_patterns_of_layers_are_strings(tmp_path):
    with pytest.raises(ValueError, match="`rules` must be a dict of patterns"):
        load(tmp_path / "a.yaml", "rules: {1: 0.5}")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        '{"rate": ' * 20_000,
        '{"rate": 1' + 5000 * "0" + "}",
    ],
    ids=["lists", "dicts", "digits"],
)
@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_what_cannot_be_read_is_refused(name, text, tmp_path):
    with pytest.raises(ValueError, match=f"{name} cannot be read") as raised:
        load(tmp_path / name, text)
    assert len(str(raised.value)) < 500


def test_aliases_are_refused(tmp_path):
    lines = ["a: &a [x, x]"]
    for before, name in zip("abc", "bcd"):
        lines.append(f"{name}: &{name} [*{before}, *{before}]")
    with pytest.raises(ValueError, match="must not have aliases.*Alias.*'a'"):
        load(tmp_path / "a.yaml", "\n".join(lines))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"rate": 0.5, "steps": 1, "rate": 0.1}'),
        ("a.yaml", "rate: 0.5\nsteps: 1\nrate: 0.1"),
        ("a.yaml", "- {steps: 1}\n- [{rate: 0.5, 'rate': 0.1}]"),
    ],
)
def test_name_that_is_there_twice_is_refused(name, text, tmp_path):
    with pytest.raises(ValueError, match="Received: 'rate' twice"):
        load(tmp_path / name, text)


def test_large_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe_fields, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match="at most 10 bytes. Received: 13"):
        load(tmp_path / "a.json", '{"rate": 0.5}')


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(OSError, match="must be a file. Received: a pipe"):
        recipe_fields.load(Recipe, tmp_path / "a.json")
