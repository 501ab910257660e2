"""The tables of a report, as formatted cells."""

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

NOTHING = "-"
# Entropy-coded files, which gzip cannot make smaller.
ENTROPY_CODED = ("model.sqz", "saved_model_packed/")
DENSITY = "share of the kernel weights that are not zero"
AGREEMENT = "agreement with the teacher"
ERRORS = "Behind ± are standard errors, of the accuracy that of the change."
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

    @classmethod
    def of(
        cls,
        title: str,
        rows: Iterable[Mapping[str, Any]],
        columns: Mapping[str, str],
        terms: Mapping[str, str] | None = None,
    ) -> "Table":
        """Return a table of a field of each row in each column.

        `columns` has the field, and perhaps a colon and its format, by the name
        of the column: `{"accuracy": "top1:.2%"}`. `None` becomes `-`.
        """
        fields = [field.partition(":") for field in columns.values()]
        cells = [
            tuple(_cell(row[name], form) for name, _, form in fields)
            for row in rows
        ]
        return cls(title, tuple(columns), cells, dict(terms or {}))


def _cell(value: Any, form: str) -> str:
    return NOTHING if value is None else format(value, form)


def several_labels_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Return the table of the classes of a network of several labels.

    Args:
        rows: those of `labeled_outputs.SeveralLabels.by_class`, each with a
            `label`.
    """
    return Table.of(
        "Classes",
        [{**row, "label": row["label"].replace("_", " ")} for row in rows],
        {
            "class": "label",
            "images": "images:,",
            "threshold": "threshold:.3f",
            "average precision": "average_precision:.2%",
            "F1": "f1:.2%",
        },
    )


def accuracy_title(title: str, several_labels: list[dict] | None) -> str:
    """Return a title that says what the accuracies of several labels are."""
    return f"{title}, mean average precision" if several_labels else title


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share as a percentage, or `-` for `None`.

    Give accuracies and agreements 2 digits, densities 1.
    """
    return NOTHING if share is None else f"{share:.{digits}%}"


def tables(report: dict[str, Any]) -> list[Table]:
    """Return the tables of a compression, at most 80 wide.

    They are those of the stages, layers, files and, if the network was packed,
    of the curve.
    """
    packing = report["packing"]
    return [
        stage_table(report),
        layer_table(report),
        file_table(report),
        *([curve_table(packing, is_agreement(report))] if packing else []),
    ]


def tested_on(report: Mapping[str, Any]) -> str:
    """Return the set on which the accuracies were measured."""
    return "test" if report["dataset"]["test_images"] else "validation"


def accuracy_of(dataset: Mapping[str, Any], split: str) -> str:
    """Return what the accuracy on a set is called.

    Where the labels are the classes that a teacher found, it is the agreement
    with it. `dataset` is that of a report, and `split` a name such as `"test"`.
    """
    # Reports of earlier versions do not have the field.
    if split in dataset.get("labeled_by_teacher", ()):
        return AGREEMENT
    return "accuracy"


def is_agreement(report: Mapping[str, Any]) -> bool:
    """Return whether the accuracies of a compression are agreement."""
    split = tested_on(report)
    return accuracy_of(report["dataset"], split) == AGREEMENT


def accuracy_term(report: Mapping[str, Any]) -> str:
    """Return what the accuracies of a compression are."""
    if is_agreement(report):
        return (
            f"share of the images of the {tested_on(report)} set for which it "
            "predicts the class that the teacher predicts; they have no labels"
        )
    return (
        "share of the correctly classified images of the "
        f"{tested_on(report)} set"
    )


def stage_table(report: dict[str, Any]) -> Table:
    accuracy = "teacher" if is_agreement(report) else "accuracy"
    return Table.of(
        "Stages",
        [_with_millions(row) for row in report["stages"]],
        {
            "stage": "name",
            accuracy: "accuracy:.2%",
            "density": "density:.1%",
            "values": "distinct_values:,",
            "seconds": "seconds:.1f",
            "MMACs": "millions:,.1f",
            "bytes": "bytes:,",
            "Huffman": "huffman_bytes:,",
        },
        {
            accuracy: accuracy_term(report),
            "density": DENSITY,
            "values": "most distinct values in one kernel, zero included",
            "MMACs": "millions of multiply-accumulates for an image",
            "bytes": "size of the float32 weights; of the stage packed, that "
            "of model.sqz",
            "Huffman": HUFFMAN,
        },
    )


def _with_millions(row):
    # Reports of earlier versions do not have the operations.
    macs = row.get("macs")
    return {**row, "millions": macs and macs / 1e6}


def layer_table(report: dict[str, Any]) -> Table:
    return Table.of(
        "Layers",
        report["layers"],
        {
            "layer": "name",
            "weights": "weights:,",
            "density": "density:.1%",
            "paper": "paper_density:.1%",
            "values": "distinct_values:,",
            "bits": "bits",
            "int8 density": "int8_density:.1%",
            "int8 values": "int8_distinct_values_per_channel:,",
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
    is_teacher = is_agreement(report)
    accuracy = "teacher" if is_teacher else "accuracy"
    return Table.of(
        "Files",
        files(report),
        {
            "file": "name",
            "bytes": "bytes:,",
            "gzipped": "gzip_bytes:,",
            accuracy: "accuracy:.2%",
            "agreement": "agreement:.2%",
            "difference": "max_difference:.1e",
        },
        {
            "gzipped": "no value for entropy-coded weights: gzip does not "
            "make them smaller",
            **({accuracy: accuracy_term(report)} if is_teacher else {}),
            "agreement": "share of the images for which the file predicts the "
            "class that its model predicts: the model after the last stage, or "
            "for int8 and saved_model_qat the same with 8-bit weights and "
            "activations",
            "difference": "largest difference between a probability of the "
            "file and that of its model",
        },
    )


def curve_table(packing: Mapping[str, Any], by_teacher: bool = False) -> Table:
    """Return the rate-distortion curve of packing, and its file's test set.

    `packing` is the JSON of a `packing.PackResult`, and `by_teacher` is whether
    the labels are the classes of a teacher.
    """
    accuracy = "teacher" if by_teacher else "accuracy"
    size = f"{packing['bytes']:,}"
    rows = [
        (point["bytes"], f"{point['bytes']:,}", point)
        for point in packing["curve"]
        if point["bytes"] != packing["bytes"]
    ]
    rows.append((packing["bytes"], f"{size} (this file)", packing))
    if packing["test"]:
        on_test = f"{size} (test set)"
        rows.append((packing["bytes"], on_test, packing["test"]))
    return Table(
        "Size and distortion",
        ("bytes", "divergence", "agreement", accuracy, "change"),
        [
            (name, *_measured(point))
            for _, name, point in sorted(rows, key=lambda row: row[0])
        ],
        {
            "bytes": "size of a .sqz file, with another lambda for each row, "
            f"measured on {measured_on(packing)}",
            "divergence": "mean Kullback-Leibler divergence from the outputs "
            "before packing, in nats",
            "agreement": "share of the images for which the file predicts the "
            "class that was predicted before packing",
            **({"teacher": AGREEMENT} if by_teacher else {}),
            "change": f"change of the {AGREEMENT if by_teacher else accuracy} "
            "by packing, in percentage "
            f"points. {ERRORS}",
        },
    )


def measured_on(packing: Mapping[str, Any]) -> str:
    """Return the images on which the curve of packing was measured."""
    count = packing["validation_images"]
    if packing["is_held_out"]:
        return f"{count:,} validation images"
    return f"{count:,} images that the network may have been trained on"


def _measured(point: Mapping[str, Any]) -> tuple[str, ...]:
    """Return divergence, agreement, accuracy and its change, with errors."""
    accuracy, change = NOTHING, NOTHING
    if point["accuracy"] is not None:
        accuracy = percent(point["accuracy"])
        change = accuracy_change(point)
    agreement = f"{point['agreement']:.2%} ± {point['agreement_error']:.2%}"
    return (
        f"{point['kl']:.4f} ± {point['kl_error']:.4f}",
        agreement,
        accuracy,
        change,
    )


def accuracy_change(point: Mapping[str, Any]) -> str:
    """Return the change of the accuracy in points, with its error."""
    change = 100 * (point["accuracy"] - point["accuracy_before"])
    # No -0.00.
    change = round(change, 2) + 0.0
    return f"{change:+.2f} ± {100 * point['accuracy_error']:.2f}"


def code_training(packing: Mapping[str, Any]) -> str | None:
    """Return what code training brought, a sentence; `None` without it."""
    before, *_ = packing["code_training"] or [None]
    if before is None:
        return None
    if before.items() <= packing.items():
        return "Code training found no better codes."
    return (
        f"Before code training: {before['bytes']:,} bytes, divergence "
        f"{before['kl']:.4f} nats, agreement {before['agreement']:.2%}."
    )


def files(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the files; the gzipped size of entropy-coded ones is `None`."""
    return [
        {**file, "gzip_bytes": None} if file["name"] in ENTROPY_CODED else file
        for file in report["files"]
    ]
