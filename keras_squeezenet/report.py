"""The report of a compression: JSON for programs, tables for people."""

import dataclasses
import gzip
import importlib.metadata
import json
import os
import platform

from keras_squeezenet import outputs

VERSION = 1
JSON_FILE = "report.json"
MARKDOWN_FILE = "report.md"
PACKAGES = (
    "keras-squeezenet",
    "keras",
    "tensorflow",
    "tf-keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
)


@dataclasses.dataclass(frozen=True)
class Table:
    """A title, the names of the columns, and rows of formatted cells."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def make(model, dataset, recipe, stages, layers, folder):
    """Returns the report of a compression as a dict of plain values.

    Args:
        model: `keras.Model`.
        dataset: `data.ImageDataset`.
        recipe: `compression.Recipe`.
        stages: list of dicts: name, accuracy, density, seconds, bytes and
            gzip_bytes of each stage.
        layers: list of dicts: what was measured on each kernel.
        folder: path of the folder with the files to list.
    """
    return {
        "version": VERSION,
        "model": {"name": model.name, "parameters": model.count_params()},
        "dataset": {
            "name": dataset.name,
            "image_size": dataset.image_size,
            "classes": list(dataset.class_names),
            "train_images": dataset.train_size,
            "test_images": dataset.test_size,
            "skipped_images": list(dataset.skipped),
        },
        "recipe": dataclasses.asdict(recipe),
        "stages": stages,
        "layers": layers,
        "files": [_file(path) for path in sorted(folder.iterdir())],
        "environment": {
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "packages": {name: _version(name) for name in PACKAGES},
        },
    }


def write(report, folder):
    """Writes `report.json` and `report.md` into a folder."""
    (folder / JSON_FILE).write_text(
        json.dumps(report, indent=2) + "\n", encoding="utf-8"
    )
    (folder / MARKDOWN_FILE).write_text(markdown(report), encoding="utf-8")


def tables(report):
    """Returns the tables of a report: its stages, layers and files."""
    return [stage_table(report), layer_table(report), file_table(report)]


def stage_table(report):
    return Table(
        "Stages",
        ("stage", "accuracy", "density", "seconds", "bytes", "gzipped"),
        [
            (
                stage["name"],
                f"{stage['accuracy']:.2%}",
                f"{stage['density']:.1%}",
                f"{stage['seconds']:.1f}",
                f"{stage['bytes']:,}",
                f"{stage['gzip_bytes']:,}",
            )
            for stage in report["stages"]
        ],
    )


def layer_table(report):
    return Table(
        "Layers",
        (
            "layer",
            "kernel",
            "weights",
            "density",
            "values",
            "bits",
            "int8 density",
            "int8 values",
        ),
        [
            (
                layer["name"],
                "x".join(map(str, layer["shape"])),
                f"{layer['weights']:,}",
                f"{layer['density']:.1%}",
                str(layer["distinct_values"]),
                str(layer["bits"]),
                f"{layer['int8_density']:.1%}",
                str(layer["int8_distinct_values_per_channel"]),
            )
            for layer in report["layers"]
        ],
    )


def file_table(report):
    return Table(
        "Files",
        ("file", "bytes", "gzipped"),
        [
            (
                file["name"],
                f"{file['bytes']:,}",
                f"{file['gzip_bytes']:,}",
            )
            for file in report["files"]
        ],
    )


def markdown(report):
    """Returns a report as Markdown."""
    dataset = report["dataset"]
    lines = [
        f"# {report['model']['name']} on {dataset['name']}",
        "",
        f"{report['model']['parameters']:,} parameters, "
        f"{len(dataset['classes'])} classes, images of "
        f"{dataset['image_size']}x{dataset['image_size']} pixels: "
        f"{dataset['train_images']:,} to train on, "
        f"{dataset['test_images']:,} to test on"
        + _skipped(dataset["skipped_images"]),
        "",
        "Accuracy is the share of the test images whose most probable class "
        "is theirs. The bytes of a stage are those of its weights as float32, "
        "and of the file for LiteRT; pruning and weight sharing show in the "
        "gzipped bytes only. Density is the share of kernel weights that are "
        "not zero, values are the distinct ones of a kernel, zero included, "
        "and bits are those of a code for one of them; in int8 they are "
        "counted within an output channel, which has a scale of its own.",
    ]
    for table in tables(report):
        lines += ["", f"## {table.title}", "", *_markdown_rows(table)]
    recipe = ", ".join(
        f"{name} {value}" for name, value in report["recipe"].items()
    )
    packages = ", ".join(
        f"{name} {version}"
        for name, version in report["environment"]["packages"].items()
    )
    environment = report["environment"]
    lines += [
        "",
        "## How it was made",
        "",
        f"Recipe: {recipe}.",
        "",
        f"Python {environment['python']} on {environment['machine']}, "
        f"{environment['cores']} cores; {packages}.",
        "",
    ]
    return "\n".join(lines)


def _markdown_rows(table):
    yield f"| {' | '.join(table.columns)} |"
    yield f"|---|{'---:|' * (len(table.columns) - 1)}"
    for row in table.rows:
        yield f"| {' | '.join(row)} |"


def _skipped(paths):
    if not paths:
        return "."
    return f"; {len(paths):,} could not be read and were left out."


def _file(path):
    content = outputs.content(path)
    return {
        "name": path.name + ("/" if path.is_dir() else ""),
        "bytes": len(content),
        "gzip_bytes": len(gzip.compress(content)),
    }


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
