"""The flags of one command: in groups, parsed, explained and refused."""

import contextlib
import math
import os
import re
import textwrap
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from absl import flags

from keras_squeezenet.utils import suggestions

WIDTH = 80
INDENT = " " * 6
# How the value of a flag is written in the help, by its name or its type.
METAVARS = {
    "calibration": "NAME|FOLDER|CSV",
    "class_weight": "balanced|NAME:X,...",
    "config": "NAME|JSON",
    "data_dir": "FOLDER",
    "dataset": "NAME|FOLDER|CSV",
    "grid": "NAME|JSON|FILE",
    "explain": "FOLDER",
    "labels": "FILE",
    "model": "PATH|NAME",
    "out": "FOLDER",
    "recipe": "NAME|FILE",
    "similar_to": "IMAGE",
    "target_latency": "MS",
    "teacher": "PATH|NAME",
    "tensorboard": "FOLDER",
    "to": "FORMAT,...",
    "weights": "NAME|FILE",
}


class Milliseconds(flags.FloatParser):
    """The parser of a number that may have its unit, `1.2ms`."""

    def convert(self, argument):
        if isinstance(argument, str):
            argument = argument.strip().removesuffix("ms")
        return super().convert(argument)


def _define_milliseconds(name, default, text, flag_values):
    flags.DEFINE(Milliseconds(), name, default, text, flag_values=flag_values)


DEFINITIONS = {
    Milliseconds: _define_milliseconds,
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    list: flags.DEFINE_list,
}
TYPES = {"int": "N", "float": "X", "comma separated list of strings": "LIST"}
EXPECTED = {"int": "an integer", "float": "a number", "bool": "true or false"}
CHOICES = re.compile(r"^<[^>]*>: ")
# A JSON value may contain colons.
REFUSAL = re.compile(r"flag --(\w+)=(\{.*\}|.*?): (.*)", re.DOTALL)


class CommandFlags(flags.FlagValues):
    """Flags that keep the order and the groups of their definitions."""

    def __init__(self, arguments: str = "") -> None:
        """Define the flags of a command; say what its other arguments are."""
        super().__init__()
        self.__dict__.update(arguments=arguments, groups={}, title="Flags")

    @contextlib.contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Add the flags that the body defines to the group of a title."""
        before, self.__dict__["title"] = self.__dict__["title"], title
        yield
        self.__dict__["title"] = before

    def __setitem__(self, name, flag):
        super().__setitem__(name, flag)
        names = self.__dict__["groups"].setdefault(self.__dict__["title"], [])
        if flag.name not in names:
            names.append(flag.name)

    def define(
        self,
        kind: type | Sequence[str],
        name: str,
        default: Any,
        text: str,
        *limits: float,
    ) -> None:
        """Define a flag.

        Args:
            kind: bool, int, float, str, list, `Milliseconds`, or the values to
                choose from.
            name: of the flag.
            default: its value where it is not given.
            text: its help.
            *limits: the lowest and the highest number.
        """
        if isinstance(kind, type):
            define = DEFINITIONS[kind]
            define(name, default, text, *limits, flag_values=self)
        else:
            flags.DEFINE_enum(name, default, kind, text, flag_values=self)

    def values_of(self, *names: str) -> dict:
        """Return the values of flags by their names."""
        return {name: self[name].value for name in names}

    def grouped(self) -> Iterator[tuple[str, list[flags.Flag]]]:
        """Yield the title and the flags of each group."""
        for title, names in self.__dict__["groups"].items():
            yield title, [self[name] for name in names]

    def help(self) -> str:
        """Return what `--help` says of the flags."""
        lines = []
        for title, group in self.grouped():
            lines += ["", f"{title}:"]
            for flag in group:
                lines.append(f"  {usage(flag)}")
                lines += textwrap.wrap(
                    explanation(flag),
                    WIDTH,
                    initial_indent=INDENT,
                    subsequent_indent=INDENT,
                    break_on_hyphens=False,
                )
        return "\n".join(lines)

    def parse(self, arguments: list[str]) -> list[str]:
        """Parse the arguments of the command; return those without a flag."""
        try:
            _, *positional = self(["", *arguments])
        except flags.UnrecognizedFlagError as error:
            known = [f"--{name}" for name in self]
            raise ValueError(
                f"there is no flag --{error.flagname}."
                f"{suggestions.did_you_mean('--' + error.flagname, known)} "
                "--help lists the flags."
            ) from None
        except flags.IllegalFlagValueError as error:
            raise ValueError(self._refusal(str(error))) from None
        except flags.Error as error:
            raise ValueError(str(error)) from None
        for name in self:
            value = self[name].value
            # A shell expands `~` in an argument, but not after `--flag=`.
            if isinstance(value, str) and value.startswith("~"):
                self[name].value = os.path.expanduser(value)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(
                    f"--{name} must be a number that is finite. Received: "
                    f"--{name}={value}"
                )
        if positional and not self.__dict__["arguments"]:
            raise ValueError(
                "flags are expected, as in --flag=value. Received: "
                f"{' '.join(positional)}"
            )
        return positional

    def _refusal(self, message):
        found = REFUSAL.match(message)
        if found is None:
            return message
        name, value, reason = found.groups()
        expected = _expected(self[name])
        if expected is None:
            return f"--{name}: {reason}"
        return f"--{name} must be {expected}. Received: --{name}={value}"


def usage(flag: flags.Flag) -> str:
    """Return a flag as it is written, such as `--out=FOLDER`."""
    if flag.boolean:
        return f"--{'no' if flag.default else ''}{flag.name}"
    return f"--{flag.name}={metavar(flag)}"


def metavar(flag: flags.Flag) -> str:
    """Return what stands for the value of a flag."""
    choices = getattr(flag.parser, "enum_values", None)
    if choices:
        return "|".join(choices)
    if getattr(flag, "is_file", False):
        return "FILE"
    if flag.name in METAVARS:
        return METAVARS[flag.name]
    return TYPES.get(flag.flag_type(), "NAME")


def explanation(flag: flags.Flag) -> str:
    """Return the help of a flag, with its default."""
    # absl writes the choices in front of it.
    text = CHOICES.sub("", flag.help)
    default = flag.default_as_str
    if flag.boolean or default is None or "(default" in text:
        return text
    return f"{text} (default: {default.strip(chr(39))})"


def _expected(flag):
    choices = getattr(flag.parser, "enum_values", None)
    if choices:
        return f"one of {', '.join(choices)}"
    expected = EXPECTED.get(flag.flag_type())
    low = getattr(flag.parser, "lower_bound", None)
    high = getattr(flag.parser, "upper_bound", None)
    if expected and low is not None:
        expected += f" of at least {low}"
    if expected and high is not None:
        expected += f" and at most {high}"
    return expected
