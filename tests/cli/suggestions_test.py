"""What the package tells users to type can be typed."""

import ast
import importlib
import io
import pathlib
import re
import shlex

import pytest
from absl.testing import flagsaver

import keras_squeezenet
from keras_squeezenet.cli import compress
from keras_squeezenet.cli import finetune
from keras_squeezenet.cli import main
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli import train
from keras_squeezenet.training import finetuning_run
from keras_squeezenet.training import training_run

PACKAGE = pathlib.Path(keras_squeezenet.__file__).parent
OUT = "it's my run"
IMAGES = {"dataset": "my pictures.csv", "data_dir": "$HOME/a & b"}
# Of another program, or of no one.
OTHER_FLAGS = {"check", "flag", "grey", "help", "version"}
SUGGESTION = re.compile(r"`keras-squeezenet (\w+)([^`]*)`")
# As styles of a page have them: var(--blue).
FLAG = re.compile(r"(?<![\w(])--(no)?([a-z][a-z_]+)")


def flags_of(command):
    module = importlib.import_module(f"keras_squeezenet.cli.{command}")
    return module.FLAGS


@pytest.fixture
def parse():
    """Return a function from a command line to its arguments and flags."""

    def parse(command, arguments):
        flag_values = flags_of(command)
        saved = flagsaver.save_flag_values(flag_values)
        try:
            positional = flag_values.parse(arguments)
            return positional, {
                name: flag_values[name].value
                for name in flag_values
                if flag_values[name].present
            }
        finally:
            flagsaver.restore_flag_values(saved, flag_values)

    return parse


PRINTED = {
    train: lambda console: terminal.print_trained(
        console, train.FLAGS, training_run.FILES, 7
    ),
    finetune: lambda console: terminal.print_trained(
        console, finetune.FLAGS, finetuning_run.FILES, 7
    ),
    compress: lambda console: compress.print_written(console, 7),
}


@pytest.mark.parametrize("command", PRINTED)
def test_next_commands_name_the_same_files_and_images(command, parse):
    saved = flagsaver.save_flag_values(command.FLAGS)
    file = io.StringIO()
    try:
        images = [f"--{name}={value}" for name, value in IMAGES.items()]
        command.FLAGS.parse([*images, f"--out={OUT}", "--skip_bad_images"])
        PRINTED[command](terminal.make_console(file=file))
    finally:
        flagsaver.restore_flag_values(saved, command.FLAGS)
    lines = re.findall("^Next: keras-squeezenet (.*)$", file.getvalue(), re.M)
    (predict, *photographs), (second, *arguments) = map(shlex.split, lines)
    positional, values = parse(predict, photographs)
    assert predict == "predict" and positional == ["PHOTOGRAPHS"]
    assert values["model"].startswith(f"{OUT}/model.")
    positional, values = parse(second, arguments)
    assert positional[0].startswith(f"{OUT}/model.")
    assert values["skip_bad_images"] and values["seed"] == 7
    assert {name: values[name] for name in IMAGES} == IMAGES


def texts():
    """Yield every text of the package, adjacent ones joined."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    getattr(part, "value", "X")
                    if isinstance(part, ast.Constant)
                    else "X"
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_commands_in_messages_can_be_typed(parse):
    found = {
        match.groups()
        for text in texts()
        for match in SUGGESTION.finditer(text)
    }
    assert ("weights", " list") in found
    for command, arguments in found - {
        ("COMMAND", arguments) for _, arguments in found
    }:
        assert command in main.COMMANDS
        parse(command, shlex.split(arguments))


def test_flags_in_messages_exist():
    known = {name for command in main.COMMANDS for name in flags_of(command)}
    found = {match[2] for text in texts() for match in FLAG.finditer(text)}
    assert len(found) > 20
    assert found - known - OTHER_FLAGS == set()
