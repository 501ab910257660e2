import importlib

import pytest

from keras_squeezenet.cli import main
from keras_squeezenet.cli.flags import command_flags

# A new network has metaparameters; pretrained weights are of a variant. What
# `embed` writes is a file.
TWO_TYPES = {"config", "out"}
# What they say depends on what the command does.
SEVERAL_TEXTS = {
    *("config", "dataset", "image_size", "images", "max_train_steps", "model"),
    *("learning_rate", "out", "overwrite", "recipe", "seed", "top"),
    *("validation_share", "bits", "densities", "normalization"),
    *("distillation", "max_accuracy_drop", "max_kl", "target_bytes"),
}


@pytest.fixture
def flag_values():
    values = command_flags.CommandFlags("FILE...")
    with values.group("First"):
        values.define(int, "size", 5, "how large", 1, 9)
        values.define(float, "rate", None, "how fast")
    with values.group("Second"):
        values.define(bool, "train", True, "do not train")
        values.define(bool, "json", False, "print JSON")
        values.define(["a", "b"], "kind", None, "which")
        values.define(list, "names", ["x", "y"], "some")
        values.define(str, "out", "here", "where")
    return values


@pytest.fixture(scope="module")
def commands():
    return {
        name: importlib.import_module(f"keras_squeezenet.cli.{name}").FLAGS
        for name in main.COMMANDS
    }


def test_help_is_in_the_order_of_the_definitions(flag_values):
    assert flag_values.help().splitlines() == [
        "",
        "First:",
        "  --size=N",
        "      how large (default: 5)",
        "  --rate=X",
        "      how fast",
        "",
        "Second:",
        "  --notrain",
        "      do not train",
        "  --json",
        "      print JSON",
        "  --kind=a|b",
        "      which",
        "  --names=LIST",
        "      some (default: x,y)",
        "  --out=FOLDER",
        "      where (default: here)",
    ]


@pytest.mark.parametrize(
    "argument,expected",
    [
        ("--size=x", "an integer of at least 1 and at most 9"),
        ("--size=10", "an integer of at least 1 and at most 9"),
        ("--rate=fast", "a number"),
        ("--rate=nan", "a number that is finite"),
        ("--rate=inf", "a number that is finite"),
        ("--json=perhaps", "true or false"),
        ("--kind=c", "one of a, b"),
    ],
)
def test_wrong_value_is_refused_with_what_is_expected(
    argument, expected, flag_values
):
    name, _, _ = argument.partition("=")
    with pytest.raises(ValueError) as refused:
        flag_values.parse([argument])
    assert str(refused.value) == (
        f"{name} must be {expected}. Received: {argument}"
    )


def test_unknown_flag_is_refused_with_a_similar_one(flag_values):
    with pytest.raises(ValueError, match="no flag --rte. Did you mean '--rat"):
        flag_values.parse(["--rte=1"])
    with pytest.raises(ValueError, match="no flag --zzzz. --help lists"):
        flag_values.parse(["--zzzz"])


def test_flag_without_its_value_is_refused(flag_values):
    with pytest.raises(ValueError, match="--size"):
        flag_values.parse(["--size"])


def test_home_is_expanded(flag_values, monkeypatch):
    """Shells leave it in `--out=~/x`."""
    monkeypatch.setenv("HOME", "/home/me")
    flag_values.parse(["--out=~/x"])
    assert flag_values.out == "/home/me/x"


def test_arguments_without_a_flag_are_returned(flag_values):
    arguments = ["a", "--size=3", "b", "--", "--c"]
    assert flag_values.parse(arguments) == ["a", "b", "--c"]
    assert flag_values.values_of("size", "out") == {"size": 3, "out": "here"}


def test_flag_is_the_same_in_every_command(commands):
    usages, texts = {}, {}
    for flag_values in commands.values():
        for name in flag_values:
            flag = flag_values[name]
            usages.setdefault(name, set()).add(
                (flag.flag_type(), command_flags.metavar(flag), flag.boolean)
            )
            text, _, _ = flag.help.partition(" (default: ")
            texts.setdefault(name, set()).add(text)
    assert {name for name in usages if len(usages[name]) > 1} == TWO_TYPES
    assert {name for name in texts if len(texts[name]) > 1} == SEVERAL_TEXTS
    assert len(usages) > 60


def test_what_matters_comes_first(commands):
    for name, flag_values in commands.items():
        titles = [title for title, _ in flag_values.grouped()]
        assert titles[0] in (
            *("Images", "Network and images", "Network", "Grid", "Flags"),
        ), name
        assert titles[-1] != titles[0] or len(titles) == 1


def test_explanation_of_every_flag_is_a_plain_phrase(commands):
    for flag_values in commands.values():
        for name in flag_values:
            text = command_flags.explanation(flag_values[name])
            assert text and not text.startswith("("), name
            assert "default: no)" not in text or flag_values[name].boolean
