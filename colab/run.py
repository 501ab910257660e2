"""Runs notebooks from top to bottom, and keeps what they show.

What libraries say to stderr is not kept, as it tells of the machine. Each
notebook is run in the folder that it is in: python colab/run.py NOTEBOOK...
"""

import pathlib
import sys

import nbclient
import nbformat


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
    """Drops what was said to stderr; makes one text of what was printed."""
    printed = [
        output for output in cell.outputs if output.get("name") == "stdout"
    ]
    shown = [
        output for output in cell.outputs if output.output_type != "stream"
    ]
    if printed:
        printed[0].text = "".join(output.text for output in printed)
    cell.outputs = [*printed[:1], *shown]


for argument in sys.argv[1:]:
    run(pathlib.Path(argument).resolve())
