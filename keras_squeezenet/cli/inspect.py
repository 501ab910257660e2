"""Show the layers of a network: shapes, density, distinct values, bits.

MODEL is a weights file, a .keras, .sqz or .tflite file, a SavedModel folder,
the output folder of compress, or pretrained weights by name. Nothing is run:
the weights are read and measured.
"""

import json
import os

from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags

ARGUMENTS = "MODEL"
FLAGS = command_flags.CommandFlags()

with FLAGS.group("Flags"):
    network_flags.define_model(
        FLAGS, "a file, a folder, or pretrained weights by name"
    )
    output_flags.define_json(FLAGS)


def main(positional):
    path = network_flags.take_model(FLAGS, positional)
    console = output_flags.make_console(FLAGS)
    report_path = os.path.join(path, report.JSON_FILE)
    if os.path.isfile(report_path):
        print_report(console, report_path)
        return
    from keras_squeezenet import inspection

    print_layers(console, path, inspection.load_kernels(path))


def print_report(console, path):
    summary = report.read(path)
    if FLAGS.json:
        print(json.dumps(summary, indent=2))
        return
    for table in report.tables(summary):
        terminal.print_table(console, table)


def print_layers(console, path, found):
    from keras_squeezenet.evaluation import kernel_statistics

    rows = [
        (name, kernel_statistics.measure(kernel))
        for name, kernel in found.items()
    ]
    if FLAGS.json:
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
