"""A report as Markdown, and sentences that the HTML page shares."""

import pathlib
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

from keras_squeezenet.report import report_tables
from keras_squeezenet.utils.text import one_line

# What has ended the stages of a run before the last one.
ENDS = {
    "accuracy_lost": "Accuracy was lost",
    "target_missed": "A target was missed",
}


def markdown(report: dict[str, Any]) -> str:
    """Return a report as Markdown."""
    lines = [f"# {title(report)}", "", summary(report)]
    if report["message"]:
        lines += ["", f"**{ENDS[report['status']]}**: {report['message']}"]
    for table in report_tables.tables(report):
        lines += ["", f"## {table.title}", "", *rows(table), ""]
        lines += [f"- {term}: {text}" for term, text in table.terms.items()]
    lines += ["", "## How it was made", "", made_with(report), ""]
    return "\n".join(lines)


def title(report: dict[str, Any]) -> str:
    names = report["model"]["name"], report["dataset"]["name"]
    return " on ".join(map(one_line, names))


def summary(report: dict[str, Any]) -> str:
    """Return a sentence on the network and the images."""
    dataset = report["dataset"]
    height, width, _ = report["model"]["input_shape"]
    test = f"{dataset['test_images']:,}" if dataset["test_images"] else "no"
    text = (
        f"{report['model']['parameters']:,} parameters, "
        f"{len(dataset['classes'])} classes, images of {height}x{width} "
        f"pixels: {dataset['train_images']:,} training, "
        f"{dataset['validation_images']:,} validation and {test} test images."
    )
    if report_tables.is_agreement(report):
        text += (
            f" The {report_tables.tested_on(report)} set has no labels: "
            "accuracy on it is agreement with the teacher."
        )
    skipped = len(dataset["skipped_images"])
    if skipped:
        files = "file" if skipped == 1 else "files"
        text += f" {skipped:,} {files} could not be read."
    return text


def made_with(report: dict[str, Any]) -> str:
    """Return recipe, teacher and environment, one paragraph each."""
    environment = report["environment"]
    packages = ", ".join(
        f"{name} {version or 'not installed'}"
        for name, version in environment["packages"].items()
    )
    paragraphs = (
        f"Recipe: {settings(report['recipe'])}.",
        teacher(report),
        f"Python {environment['python']} on {environment['machine']}, "
        f"{environment['cores']} cores; {packages}.",
    )
    return "\n\n".join(filter(None, paragraphs))


def teacher(report: dict[str, Any]) -> str:
    """Return a sentence on the teacher of a run; empty without one.

    Of a path it has the name of the file alone.
    """
    found = report.get("teacher")
    if not found:
        return ""
    name = found["name"]
    if "://" not in name:
        name = pathlib.PurePath(name).name
    return (
        f"Teacher: {one_line(name)}, whose weights have the SHA-256 digest "
        f"{found['digest']}."
    )


def settings(recipe: dict[str, Any]) -> str:
    """Return the fields of a recipe on one line."""
    return ", ".join(
        f"{name} {_setting(value)}" for name, value in recipe.items()
    )


def _setting(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"`{key}`:{number}" for key, number in value.items())
    if isinstance(value, list):
        return " ".join(value) or "none"
    return "none" if value is None else str(value)


def rows(table: report_tables.Table) -> Iterator[str]:
    """Yield the lines of a table."""
    yield _row(table.columns)
    yield f"|---|{'---:|' * (len(table.columns) - 1)}"
    yield from map(_row, table.rows)


def _row(cells: Iterable[str]) -> str:
    # Names of classes may have any character.
    texts = (one_line(cell).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(texts)} |"
