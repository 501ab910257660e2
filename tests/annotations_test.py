import ast
import pathlib

import pytest

import keras_squeezenet

PACKAGE = pathlib.Path(keras_squeezenet.__file__).parent


def exported():
    """Yields the module and the name of everything public but modules."""
    for stub in PACKAGE.rglob("__init__.pyi"):
        for node in ast.parse(stub.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                module = stub.parent.joinpath(*node.module.split("."))
                for alias in node.names:
                    yield module.with_suffix(".py"), alias.name


def functions(module, name):
    """Yields a public function, or the public methods of a public class."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if getattr(node, "name", None) != name:
            continue
        if isinstance(node, ast.FunctionDef):
            yield node
        for method in getattr(node, "body", ()):
            if isinstance(node, ast.ClassDef) and isinstance(
                method, ast.FunctionDef
            ):
                if method.name == "__init__" or method.name[0] != "_":
                    yield method


def is_annotated(function):
    arguments = function.args
    named = [
        argument
        for argument in [
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            *filter(None, [arguments.vararg, arguments.kwarg]),
        ]
        if argument.arg not in ("self", "cls")
    ]
    return all(argument.annotation for argument in named) and (
        function.returns is not None or function.name == "__init__"
    )


@pytest.mark.parametrize(
    "module, name",
    [
        pytest.param(module, name, id=f"{module.stem}.{name}")
        for module, name in exported()
    ],
)
def test_public_name_is_annotated(module, name):
    missing = [
        function.name
        for function in functions(module, name)
        if not is_annotated(function)
    ]
    assert not missing
