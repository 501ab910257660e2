"""Make, write and read a report."""

import dataclasses
import importlib.metadata
import json
import os
import pathlib
import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from keras_squeezenet.utils import files

if TYPE_CHECKING:
    import keras
    import numpy as np

# The version of the schema, raised when a field is removed or changes.
VERSION = 3
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


def make(
    model: "keras.Model", dataset: dict[str, Any], recipe: Any, **measured: Any
) -> dict[str, Any]:
    """Return the report of a compression as JSON-compatible values.

    The model is the compressed one; `measured` has all other fields of
    `schema.json`.
    """
    return {
        "version": VERSION,
        "model": {
            "name": model.name,
            "parameters": model.count_params(),
            "input_shape": list(model.input_shape[1:]),
        },
        "dataset": dataset,
        # Tuples become lists, as in the file.
        "recipe": json.loads(json.dumps(dataclasses.asdict(recipe))),
        **measured,
        "environment": {
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "packages": {name: _version(name) for name in PACKAGES},
        },
    }


def write(
    report: dict[str, Any],
    folder: pathlib.Path,
    images: "Sequence[tuple[np.ndarray, np.ndarray | None]]" = (),
) -> None:
    """Write `report.json`, `report.md`, `report.html` and the model card.

    The folder exists, and the card is `README.md` in it; `images` has each
    sample of the report without and with its heat map, if it has one, as uint8
    RGB arrays of shape `(height, width, 3)`.
    """
    # Only this function needs Matplotlib and Jinja.
    from keras_squeezenet.report import html_page
    from keras_squeezenet.report import markdown_page
    from keras_squeezenet.report import model_card

    for name, text in (
        (JSON_FILE, json.dumps(report, indent=2) + "\n"),
        (MARKDOWN_FILE, markdown_page.markdown(report)),
        (HTML_FILE, html_page.html(report, images)),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    model_card.write(report, folder)


def read(path: str | os.PathLike) -> dict[str, Any]:
    """Read a `report.json`.

    Raises:
        ValueError: if the file is not a report of this version.
    """
    report = files.read_json(path)
    version = report.get("version") if isinstance(report, dict) else None
    if version != VERSION:
        raise ValueError(
            f"{path} must be a report by `compress` of version {VERSION}. "
            f"Received: version={version}"
            + ("; run `compress` again" if isinstance(version, int) else "")
        )
    return report


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
