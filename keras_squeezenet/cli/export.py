"""Export a network to the formats that other runtimes take.

MODEL is a .keras or .sqz file, or pretrained weights by name or by file. Every
file that is written is run in its own runtime and compared with the Keras
model, on the test images of --dataset, else on those of --calibration, else on
random ones; the table is printed, and is in export.json with the digest of each
file.

The format web takes a .sqz file as it is, and encodes any other model without
loss. `pack` makes it small first.

The formats are:
"""

import json
import os

from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import export_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.export import formats

LINES = [
    f"    {name:18}  {format.summary}"
    for name, format in formats.FORMATS.items()
]
__doc__ = "\n".join([__doc__ or "", *LINES])

FLAGS = command_flags.CommandFlags("MODEL --to=FORMAT,...")

with FLAGS.group("Network"):
    network_flags.define_model(FLAGS)
    FLAGS.define(list, "to", None, "the formats to write; required")
    FLAGS.define(
        ["photographs", "preprocessed"],
        "input",
        "photographs",
        "what the files take: photographs, RGB from 0 to 255 in uint8; or "
        "preprocessed, the float32 output of preprocess_input. A SavedModel "
        "has a signature for each, and a page takes photographs",
    )
    network_flags.define(FLAGS)
with FLAGS.group("Images"):
    export_flags.define_images(FLAGS)
with FLAGS.group("Output"):
    FLAGS.define(
        str,
        "runtime",
        None,
        "for the format web: the folder in which npm has installed "
        "TensorFlow.js, to copy it into the page; without it the page loads "
        "TensorFlow.js from its public address",
    )
    output_flags.define(
        FLAGS, f"the files and {formats.MANIFEST}", out="squeezenet_exported"
    )


def main(*positional):
    model = network_flags.take_model(FLAGS, positional)
    network_flags.require_config_used(FLAGS, model)
    formats.choose(FLAGS.to or [], FLAGS.calibration is not None)
    output_flags.require_valid(FLAGS)
    labels = network_flags.read_labels(FLAGS.labels)
    console = output_flags.make_console(FLAGS)
    from keras_squeezenet import export

    result = export.export(
        model,
        FLAGS.to,
        FLAGS.out,
        test=FLAGS.dataset,
        class_names=labels,
        progress=terminal.ConsoleProgress(console),
        **FLAGS.values_of(
            *("calibration", "input", "config", "image_size", "normalization"),
            *("images", "data_dir", "seed", "skip_bad_images", "runtime"),
            "overwrite",
        ),
    )
    summary = result.to_json()
    if FLAGS.json:
        print(json.dumps(summary, indent=2))
    else:
        print_summary(console, summary)


def print_summary(console, summary):
    terminal.print_table(console, table(summary))
    kind, count = summary["compared_on"], summary["compared_images"]
    accuracy = summary["accuracy"]
    console.print(
        f"\nCompared with the Keras model on {count:,} {kind} images"
        + ("." if accuracy is None else f"; its accuracy is {accuracy:.2%}.")
    )
    terminal.print_line(console, f"\nWritten to {FLAGS.out}")


def table(summary):
    """Return the table of the files that were written."""
    return report.Table.of(
        f"{os.path.basename(summary['model'])}, images of "
        f"{summary['image_size']}x{summary['image_size']}",
        summary["files"],
        {
            "file": "name",
            "bytes": "bytes:,",
            "difference": "max_difference:.1e",
            "agreement": "agreement:.2%",
            "accuracy": "accuracy:.2%",
        },
    )
