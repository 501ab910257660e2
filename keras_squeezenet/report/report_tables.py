"""The tables of a report, as formatted cells."""

import dataclasses
from typing import Any

NOTHING = "-"
# Gzip cannot make these smaller: their codes are entropy-coded.
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
        title: What is above the table.
        columns: The names of the columns.
        rows: One tuple of cells for each row.
        terms: What the columns mean where that is not plain: a name, and a
            short explanation.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    terms: dict[str, str] = dataclasses.field(default_factory=dict)


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share as a percentage, or `-` for None.

    Accuracies and agreements have 2 digits, densities have 1.
    """
    return NOTHING if share is None else f"{share:.{digits}%}"


def tables(report: dict[str, Any]) -> list[Table]:
    """Return the tables of a report: its stages, layers and files.

    They fit the 80 columns of a terminal.
    """
    return [stage_table(report), layer_table(report), file_table(report)]


def tested_on(report: dict[str, Any]) -> str:
    """Return the name of the set on which accuracies were measured."""
    return "test" if report["dataset"]["test_images"] else "validation"


def stage_table(report: dict[str, Any]) -> Table:
    return Table(
        "Stages",
        (
            "stage",
            "accuracy",
            "density",
            "values",
            "seconds",
            "bytes",
            "gzipped",
            "Huffman",
        ),
        [
            (
                stage["name"],
                percent(stage["accuracy"]),
                percent(stage["density"], 1),
                f"{stage['distinct_values']:,}",
                f"{stage['seconds']:.1f}",
                f"{stage['bytes']:,}",
                f"{stage['gzip_bytes']:,}",
                f"{stage['huffman_bytes']:,}",
            )
            for stage in report["stages"]
        ],
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
    return Table(
        "Layers",
        (
            "layer",
            "weights",
            "density",
            "paper",
            "values",
            "bits",
            "int8 density",
            "int8 values",
        ),
        [
            (
                layer["name"],
                f"{layer['weights']:,}",
                percent(layer["density"], 1),
                percent(layer["paper_density"], 1),
                f"{layer['distinct_values']:,}",
                str(layer["bits"]),
                percent(layer["int8_density"], 1),
                _optional(layer["int8_distinct_values_per_channel"], ","),
            )
            for layer in report["layers"]
        ],
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
    return Table(
        "Files",
        (
            "file",
            "bytes",
            "gzipped",
            "accuracy",
            "agreement",
            "difference",
        ),
        [
            (
                file["name"],
                f"{file['bytes']:,}",
                _optional(gzip_bytes(file), ","),
                percent(file["accuracy"]),
                percent(file["agreement"]),
                f"{file['max_difference']:.1e}",
            )
            for file in report["files"]
        ],
        {
            "gzipped": "- where the weights are entropy-coded: gzip gains "
            "nothing there",
            "agreement": "share of the images for which the file predicts the "
            "class that its model predicts (for int8 and saved_model_qat: the "
            "model after quantization-aware training)",
            "difference": "largest difference between a probability of the "
            "file and that of its model",
        },
    )


def gzip_bytes(file: dict[str, Any]) -> int | None:
    """Return the gzipped size of a file, or None if it is entropy-coded."""
    return None if file["name"] in ENTROPY_CODED else file["gzip_bytes"]


def _optional(value: int | None, spec: str) -> str:
    return NOTHING if value is None else format(value, spec)
