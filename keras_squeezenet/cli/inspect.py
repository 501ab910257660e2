"""Show the layers of a network: shapes, density, distinct values, bits.

MODEL is a weights file, a .keras, .sqz, .tflite or .onnx file, a SavedModel
folder, the output folder of compress, or pretrained weights by name. Nothing is
run: the weights are read and measured.
"""

import os

from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.pretrained import hub
from keras_squeezenet.utils import files

FLAGS = command_flags.CommandFlags("MODEL")

with FLAGS.group("Flags"):
    network_flags.define_model(
        FLAGS,
        "a file, a folder, pretrained weights by name, or an address on the "
        "Hugging Face hub, hf://owner/name[/file][@revision]",
    )
    output_flags.define_json(FLAGS)


def main(*positional):
    located = hub.locate(network_flags.take_model(FLAGS, positional))
    path = located.path
    console = output_flags.make_console(FLAGS)
    report_path = os.path.join(path, report.JSON_FILE)
    if os.path.isfile(report_path):
        summary, tables = read_report(report_path)
        output_flags.print_result(FLAGS, console, summary, tables)
        return
    from keras_squeezenet import inspection

    kernels = inspection.load_kernels(path)
    print_layers(console, located.name, kernels, inspection.read_metadata(path))


def read_report(path):
    """Return a report and its tables."""
    summary = report.read(path)
    with files.as_value_error(f"{path} cannot be read as a report"):
        return summary, report.tables(summary)


def print_layers(console, path, found, metadata):
    from keras_squeezenet.evaluation import kernel_statistics

    rows = [
        _row(name, kernel_statistics.measure(kernel))
        for name, kernel in found.items()
    ]
    shown = [{**row, "shape": "x".join(map(str, row["shape"]))} for row in rows]
    columns = {
        "layer": "name",
        "kernel": "shape",
        "weights": "weights:,",
        "density": "density:.1%",
        "values": "distinct_values:,",
        "a channel": "distinct_values_per_channel:,",
        "bits": "bits",
    }
    table = report.Table.of("Layers", shown, columns)
    output_flags.print_result(FLAGS, console, rows, [table])
    if FLAGS.json:
        return
    size = sum(kernel.size for kernel in found.values())
    terminal.print_line(
        console,
        f"\n{path}: {len(rows)} kernels of {size:,} "
        f"weights, {kernel_statistics.overall_density(found):.1%} of them not "
        "zero",
    )
    if metadata:
        terminal.print_line(console, f"It takes {metadata}")


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
