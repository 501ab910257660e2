"""The tables of a report, as formatted cells."""

import dataclasses
from collections.abc import Callable
from typing import Any

NOTHING = "-"
# Entropy-coded files, which gzip cannot make smaller.
ENTROPY_CODED = ("model.sqz", "saved_model_packed/")
DENSITY = "share of the kernel weights that are not zero"
HUFFMAN = (
    "size of the weights as Deep Compression counts it: Huffman-coded values "
    "and gaps between them, codebooks, float32 biases"
)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of formatted cells.

    Attributes:
        title: the heading.
        columns: the names of the columns.
        rows: a tuple of cells for each row.
        terms: short explanations of the columns that need one, by name.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    terms: dict[str, str] = dataclasses.field(default_factory=dict)


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share as a percentage, or `-` for `None`.

    Give accuracies and agreements 2 digits, densities 1.
    """
    return NOTHING if share is None else f"{share:.{digits}%}"


def tables(report: dict[str, Any]) -> list[Table]:
    """Return the tables of stages, layers and files, at most 80 wide."""
    return [stage_table(report), layer_table(report), file_table(report)]


def tested_on(report: dict[str, Any]) -> str:
    """Return the set on which the accuracies were measured."""
    return "test" if report["dataset"]["test_images"] else "validation"


def stage_table(report: dict[str, Any]) -> Table:
    return _table(
        "Stages",
        report["stages"],
        {
            "stage": lambda stage: stage["name"],
            "accuracy": lambda stage: percent(stage["accuracy"]),
            "density": lambda stage: percent(stage["density"], 1),
            "values": lambda stage: f"{stage['distinct_values']:,}",
            "seconds": lambda stage: f"{stage['seconds']:.1f}",
            "bytes": lambda stage: f"{stage['bytes']:,}",
            "gzipped": lambda stage: f"{stage['gzip_bytes']:,}",
            "Huffman": lambda stage: f"{stage['huffman_bytes']:,}",
        },
        {
            "accuracy": "share of the correctly classified images of the "
            f"{tested_on(report)} set",
            "density": DENSITY,
            "values": "most distinct values in one kernel, zero included",
            "bytes": "size of the float32 weights",
            "gzipped": "size of the float32 weights after gzip",
            "Huffman": HUFFMAN,
        },
    )


def layer_table(report: dict[str, Any]) -> Table:
    return _table(
        "Layers",
        report["layers"],
        {
            "layer": lambda layer: layer["name"],
            "weights": lambda layer: f"{layer['weights']:,}",
            "density": lambda layer: percent(layer["density"], 1),
            "paper": lambda layer: percent(layer["paper_density"], 1),
            "values": lambda layer: f"{layer['distinct_values']:,}",
            "bits": lambda layer: str(layer["bits"]),
            "int8 density": lambda layer: percent(layer["int8_density"], 1),
            "int8 values": lambda layer: _optional(
                layer["int8_distinct_values_per_channel"]
            ),
        },
        {
            "density": DENSITY,
            "paper": "density in table 1 of the SqueezeNet paper",
            "values": "distinct values in the kernel, zero included",
            "bits": "fixed-length code for one of these values",
            "int8 density": "density in the int8 file",
            "int8 values": "most distinct values in one output channel of the "
            "int8 file; each channel has its own scale",
        },
    )


def file_table(report: dict[str, Any]) -> Table:
    return _table(
        "Files",
        report["files"],
        {
            "file": lambda file: file["name"],
            "bytes": lambda file: f"{file['bytes']:,}",
            "gzipped": lambda file: _optional(gzip_bytes(file)),
            "accuracy": lambda file: percent(file["accuracy"]),
            "agreement": lambda file: percent(file["agreement"]),
            "difference": lambda file: f"{file['max_difference']:.1e}",
        },
        {
            "gzipped": "no value for entropy-coded weights: gzip does not "
            "make them smaller",
            "agreement": "share of the images for which the file predicts the "
            "class that its model predicts (for int8 and saved_model_qat: the "
            "model after quantization-aware training)",
            "difference": "largest difference between a probability of the "
            "file and that of its model",
        },
    )


def gzip_bytes(file: dict[str, Any]) -> int | None:
    """Return the gzipped size, or `None` for an entropy-coded file."""
    return None if file["name"] in ENTROPY_CODED else file["gzip_bytes"]


def _table(
    title: str,
    rows: list[dict[str, Any]],
    columns: dict[str, Callable[[dict[str, Any]], str]],
    terms: dict[str, str],
) -> Table:
    cells = [tuple(cell(row) for cell in columns.values()) for row in rows]
    return Table(title, tuple(columns), cells, terms)


def _optional(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"
