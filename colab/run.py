"""Run a notebook from top to bottom, and keep its outputs.

    python colab/run.py NOTEBOOK [NAME=VALUE...]

Each NAME=VALUE sets a form field (`# @param`) for this run; the notebook keeps
the value that it has. The standard error of libraries is not kept, because it
describes the machine. The notebook runs in its own folder.
"""

import ast
import copy
import pathlib
import re
import sys
from typing import Any

import nbclient
import nbformat

TAG = "parameters"
# What TensorFlow logs where a cell or a command of it prints.
LOGGED = re.compile(r"(INFO|WARNING):tensorflow:|WARNING: All log|[IWE]0000 ")


def with_parameters(
    notebook: nbformat.NotebookNode, values: dict[str, Any]
) -> nbformat.NotebookNode:
    """Return a copy of a notebook with other values in its form fields.

    Raises:
        ValueError: If the notebook does not have such a field.
    """
    notebook = copy.deepcopy(notebook)
    for name, value in values.items():
        field = re.compile(rf"^{name} = .*(?=  # @param)", re.MULTILINE)
        cells = [
            cell
            for cell in notebook.cells
            if TAG in cell.metadata.get("tags", ())
            and field.search(cell.source)
        ]
        if not cells:
            raise ValueError(
                f"the notebook must have a form field of the name {name}"
            )
        for cell in cells:
            line = f"{name} = {value!r}"
            cell.source = field.sub(lambda _, line=line: line, cell.source)
    return notebook


def run(path: pathlib.Path, values: dict[str, Any]) -> None:
    notebook = nbformat.read(path, as_version=4)
    executed = nbclient.NotebookClient(
        with_parameters(notebook, values),
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    for cell, done in zip(notebook.cells, executed.cells):
        if cell.cell_type == "code":
            cell.execution_count = done.execution_count
            cell.outputs = tidy(done.outputs)
    nbformat.write(notebook, path)


def tidy(outputs: list[Any]) -> list[Any]:
    """Return the outputs with one text for all that was printed."""
    printed = [
        output.text for output in outputs if output.get("name") == "stdout"
    ]
    shown = [output for output in outputs if output.output_type != "stream"]
    lines = "".join(printed).splitlines(keepends=True)
    text = "".join(line for line in lines if not LOGGED.match(line))
    if text:
        shown.insert(0, nbformat.v4.new_output("stream", text=text))
    return shown


def _value(text: str) -> Any:
    """Return a Python literal, or the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    settings = (argument.split("=", 1) for argument in sys.argv[2:])
    run(
        pathlib.Path(sys.argv[1]).resolve(),
        {name: _value(text) for name, text in settings},
    )
