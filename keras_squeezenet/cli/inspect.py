"""`keras-squeezenet inspect PATH`: what every layer of a network looks like.

PATH is a weights file, a .keras model, a SavedModel folder, a .tflite file,
the output folder of `compress`, or the name of a public source. Nothing is
run: the weights are read and measured.
"""

import json
import os

import rich.console
from absl import flags

from keras_squeezenet import inspection
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.evaluation import kernel_statistics

ARGUMENTS = "PATH"
FLAGS = flags.FlagValues()

_JSON = flags.DEFINE_bool(
    "json", False, "print JSON, for programs", flag_values=FLAGS
)


def main(arguments):
    if len(arguments) != 1:
        raise ValueError(
            "one file or folder is expected. Received: "
            f"{' '.join(arguments) or 'none'}"
        )
    (path,) = arguments
    console = rich.console.Console(markup=False, highlight=False)
    report_path = os.path.join(path, report.JSON_FILE)
    if os.path.isfile(report_path):
        print_report(console, report_path)
    else:
        print_layers(console, path, inspection.load_kernels(path))


def print_report(console, path):
    summary = report.read(path)
    if _JSON.value:
        print(json.dumps(summary, indent=2))
        return
    for table in report.tables(summary):
        terminal.print_table(console, table)


def print_layers(console, path, found):
    rows = [
        (name, kernel_statistics.measure(kernel))
        for name, kernel in found.items()
    ]
    if _JSON.value:
        print(json.dumps([_row(name, one) for name, one in rows], indent=2))
        return
    terminal.print_table(
        console,
        report.Table(
            "Layers",
            (
                "layer",
                "kernel",
                "weights",
                "density",
                "values",
                "a channel",
                "bits",
            ),
            [_cells(name, measured) for name, measured in rows],
        ),
    )
    size = sum(kernel.size for kernel in found.values())
    console.print(
        f"\n{terminal.printable(path)}: {len(rows)} kernels of {size:,} "
        f"weights, {kernel_statistics.overall_density(found):.1%} of them not "
        "zero",
        soft_wrap=True,
    )


def _row(name, measured):
    return {
        "name": name,
        "shape": list(measured.shape),
        "weights": measured.weights,
        "density": measured.density,
        "distinct_values": measured.distinct,
        "distinct_values_per_channel": measured.distinct_per_channel,
        "bits": measured.bits,
    }


def _cells(name, measured):
    return (
        name,
        "x".join(map(str, measured.shape)),
        f"{measured.weights:,}",
        f"{measured.density:.1%}",
        f"{measured.distinct:,}",
        f"{measured.distinct_per_channel:,}",
        str(measured.bits),
    )
