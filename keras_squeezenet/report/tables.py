"""The tables of a report, of formatted cells."""

import dataclasses

NOTHING = "-"


@dataclasses.dataclass(frozen=True)
class Table:
    """A title, the names of the columns, and rows of formatted cells."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(report):
    """Returns the tables of a report: its stages, layers and files.

    They fit the 80 columns of a terminal.
    """
    return [stage_table(report), layer_table(report), file_table(report)]


def stage_table(report):
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
                _percent(stage["accuracy"]),
                f"{stage['density']:.1%}",
                f"{stage['distinct_values']:,}",
                f"{stage['seconds']:.1f}",
                f"{stage['bytes']:,}",
                f"{stage['gzip_bytes']:,}",
                f"{stage['huffman_bytes']:,}",
            )
            for stage in report["stages"]
        ],
    )


def layer_table(report):
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
                f"{layer['density']:.1%}",
                _optional(layer["paper_density"], ".0%"),
                f"{layer['distinct_values']:,}",
                str(layer["bits"]),
                _optional(layer["int8_density"], ".1%"),
                _optional(layer["int8_distinct_values_per_channel"], ","),
            )
            for layer in report["layers"]
        ],
    )


def file_table(report):
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
                f"{file['gzip_bytes']:,}",
                _percent(file["accuracy"]),
                _percent(file["agreement"]),
                _optional(file["max_difference"], ".1e"),
            )
            for file in report["files"]
        ],
    )


def _percent(value):
    return _optional(value, ".2%")


def _optional(value, form):
    return NOTHING if value is None else format(value, form)
