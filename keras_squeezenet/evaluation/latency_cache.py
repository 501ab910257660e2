"""The cache of measured latencies: a file for all that they depend on."""

import dataclasses
import importlib
import importlib.metadata
import json
import logging
import os
import pathlib
import platform
from typing import Any

import keras

from keras_squeezenet import graph
from keras_squeezenet.evaluation import latency_tables
from keras_squeezenet.evaluation.latency_tables import LayerLatencies
from keras_squeezenet.export import formats
from keras_squeezenet.pretrained import download
from keras_squeezenet.utils import cpu
from keras_squeezenet.utils import digests
from keras_squeezenet.utils import files

FOLDER = "squeezenet_latencies"
# To be raised when what is measured, or how, changes: cached files of other
# versions are not used.
VERSION = 1

logger = logging.getLogger(__name__)


def key_of(
    flat: keras.Model, runtime: str, threads: int, batch_size: int
) -> dict[str, Any]:
    """Return all that latencies depend on, as JSON-compatible values."""
    packages = formats.FORMATS[runtime].packages
    return {
        "version": VERSION,
        "runtime": runtime,
        "packages": {each: _version(each) for each in packages},
        "cpu": _cpu(),
        "threads": threads,
        "batch_size": batch_size,
        "layers": graph.describe(flat)["layers"],
    }


def path_of(
    cache: str | os.PathLike | bool, key: dict[str, Any]
) -> pathlib.Path | None:
    """Return the path of the cached latencies with a key, `None` for none."""
    if cache is False:
        return None
    folder = (
        download.cache_folder().with_name(FOLDER)
        if cache is True
        else pathlib.Path(cache).expanduser()
    )
    return folder / f"{_digest(key)[:32]}.json"


def read(path: pathlib.Path, key: dict[str, Any]) -> LayerLatencies | None:
    """Return cached latencies; `None` unless an intact file has them."""
    try:
        content = files.read_json(path)
        values = content["latencies"]
        if content["digest"] != _digest(key, values):
            return None
    except (OSError, ValueError, LookupError, TypeError):
        return None
    tables = {
        name: latency_tables.Table(
            tuple(table["inputs"]),
            tuple(table["outputs"]),
            tuple(map(tuple, table["milliseconds"])),
        )
        for name, table in values["tables"].items()
    }
    blocks = tuple(values["blocks"])
    return LayerLatencies(values["runtime"], values["rest"], blocks, tables)


def write(
    path: pathlib.Path, key: dict[str, Any], found: LayerLatencies
) -> None:
    """Cache latencies; if that fails, only log a warning."""
    values = dataclasses.asdict(found)
    content = {"key": key, "latencies": values, "digest": _digest(key, values)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, content)
    except OSError as error:
        logger.warning(
            "The latencies of layers are not cached, and will be measured "
            "again: %s",
            error,
        )


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        # A distribution may have another name than its package.
        return getattr(importlib.import_module(package), "__version__", None)


def _cpu():
    """Return what tells CPUs apart, on Linux with their instructions."""
    found = cpu.describe()
    # Others change from one moment to the next.
    known = ("vendor_id", "cpu family", "model", "model name", "flags")
    known += ("CPU implementer", "CPU part", "Features")
    return [
        platform.machine(),
        platform.processor(),
        *(found[key] for key in known if key in found),
    ]


def _digest(*values):
    return digests.of(json.dumps(values).encode())
