"""Runs notebooks from top to bottom, and keeps what they show.

What libraries say to stderr is not kept, as it tells of the machine. Each
notebook is run in the folder that it is in: python colab/run.py NOTEBOOK...
"""

import pathlib
import sys

import nbclient
import nbformat

# Of TensorFlow's messages, those that go to where a cell prints.
LOGGED = ("INFO:tensorflow:", "WARNING:tensorflow:")


def run(path):
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            tidy(cell)
    nbformat.write(notebook, path)


def tidy(cell):
    """Makes one text of what was printed; drops what libraries logged."""
    printed = [
        output for output in cell.outputs if output.get("name") == "stdout"
    ]
    shown = [
        output for output in cell.outputs if output.output_type != "stream"
    ]
    text = "".join(output.text for output in printed)
    lines = text.splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(LOGGED))
    cell.outputs = shown
    if text:
        cell.outputs = [nbformat.v4.new_output("stream", text=text), *shown]


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        run(pathlib.Path(argument).resolve())
