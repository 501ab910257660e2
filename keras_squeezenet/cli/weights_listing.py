"""List and fetch pretrained weights."""

import json

from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.weights import FLAGS
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import registry

BEST = (
    "Take imagenet_imgclsmob for v1.1, or imagenet_dsd where 2.2 times the "
    "computation (v1.0) are worth 0.8 points. The most accurate come first."
)


def list_(console):
    rows = [_row(entry) for entry in registry.ENTRIES]
    if FLAGS.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        row["top_1/5"] = f"{row['top_1']:.1f}/{row['top_5']:.1f}"
        row["kB"] = f"{row['bytes'] / 1000:.0f}" if row["bytes"] else "?"
        row["here"] = "yes" if row["cached"] else "no"
    columns = {
        "weights=": "name",
        "config=": "config",
        "top-1/5": "top_1/5",
        "kB": "kB",
        "here": "here",
        "license": "license",
    }
    table = report.Table.of("Pretrained weights", rows, columns)
    terminal.print_line(console, BEST)
    terminal.print_table(console, table)
    terminal.print_line(
        console,
        "\nTop-1/5: accuracies in percent as their publishers report them, on "
        "ImageNet or on the data set of the name. Here: with the package, or "
        f"in {download.cache_folder()}.",
    )


def _row(entry):
    return {
        "name": entry.name,
        "config": entry.variant,
        "title": entry.title,
        "url": entry.file.url,
        "digest": str(entry.file.digest),
        "bytes": entry.file.size,
        "no_top_url": entry.no_top.url if entry.no_top else None,
        "top_1": entry.top_1,
        "top_5": entry.top_5,
        "reported_by": entry.reported_by,
        "normalization": entry.normalization,
        "license": entry.license,
        "citation": entry.citation,
        "read_by_tests": entry.file.verified,
        "cached": download.is_available(entry.file),
    }


def fetch(console, *names):
    if names == ("all",):
        entries = [
            entry
            for entry in registry.ENTRIES
            if FLAGS.config in (None, entry.variant)
        ]
    else:
        entries = [registry.find(name, FLAGS.config) for name in names]
    for entry in entries:
        path = download.fetch(entry.file)
        terminal.print_line(console, f"{entry.name}, {entry.variant}: {path}")


ACTIONS = {"list": list_, "fetch": fetch}
