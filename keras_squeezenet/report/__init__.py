"""The report of a compression: JSON for programs, pages for people.

report.json   everything, as `schema.json` has it
report.md     the tables
report.html   the tables and pictures, in one file that needs nothing else
"""

import dataclasses
import importlib.metadata
import json
import os
import platform

from keras_squeezenet.report.markdown import markdown as markdown
from keras_squeezenet.report.tables import NOTHING as NOTHING
from keras_squeezenet.report.tables import Table as Table
from keras_squeezenet.report.tables import file_table as file_table
from keras_squeezenet.report.tables import layer_table as layer_table
from keras_squeezenet.report.tables import stage_table as stage_table
from keras_squeezenet.report.tables import tables as tables

# Of the schema: another one where a field goes or means something else.
VERSION = 2
JSON_FILE = "report.json"
MARKDOWN_FILE = "report.md"
HTML_FILE = "report.html"
PACKAGES = (
    "squeezenet-keras",
    "keras",
    "tensorflow",
    "tf-keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
)


def make(model, dataset, recipe, **measured):
    """Returns the report of a compression as a dict of plain values.

    Args:
        model: `keras.Model`.
        dataset: dict, as the report has it.
        recipe: `compression.Recipe`.
        **measured: the other fields that `schema.json` lists.
    """
    return {
        "version": VERSION,
        "model": {
            "name": model.name,
            "parameters": model.count_params(),
            "input_shape": list(model.input_shape[1:]),
        },
        "dataset": dataset,
        "recipe": _plain(dataclasses.asdict(recipe)),
        **measured,
        "environment": {
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "packages": {name: _version(name) for name in PACKAGES},
        },
    }


def write(report, folder, pictures=()):
    """Writes `report.json`, `report.md` and `report.html` into a folder.

    Args:
        report: what `make` returned.
        folder: `pathlib.Path`.
        pictures: uint8 RGB arrays of shape `(height, width, 3)`, one for each
            of the report's samples. Defaults to none.
    """
    # It takes matplotlib and Jinja with it.
    from keras_squeezenet.report import html_page

    for name, text in (
        (JSON_FILE, json.dumps(report, indent=2) + "\n"),
        (MARKDOWN_FILE, markdown(report)),
        (HTML_FILE, html_page.html(report, pictures)),
    ):
        (folder / name).write_text(text, encoding="utf-8")


def read(path):
    """Reads a `report.json`.

    Raises:
        ValueError: if it is no report of this version.
    """
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    version = report.get("version") if isinstance(report, dict) else None
    if version != VERSION:
        raise ValueError(
            f"{path} should be a report of `compress`, of version {VERSION}. "
            f"Received: version {version}"
            + ("; run `compress` again" if isinstance(version, int) else "")
        )
    return report


def _plain(value):
    """Returns what JSON makes of a value."""
    return json.loads(json.dumps(value))


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
