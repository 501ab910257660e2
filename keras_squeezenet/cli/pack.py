"""Pack a trained network into the smallest file: quantize, and entropy-code.

Writes model.sqz, a SavedModel that is about 32 kB larger, and a plot of the
rate-distortion curve. MODEL is a .keras or .sqz file, or pretrained weights by
name or by file. It is calibrated on some hundreds of photographs of the kind
that the network will see; labels are not needed. Nothing is trained unless
--finetune asks for it. The accuracy and the divergence are measured on the
validation set where the photographs have the classes of the network, and the
divergence on some of the photographs otherwise.
"""

import json
import os

from keras_squeezenet import packing
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.utils import files

FLAGS = command_flags.CommandFlags("MODEL --dataset=IMAGES")
SQZ_FILE = "model.sqz"
SAVED_MODEL_FOLDER = "saved_model"
JSON_FILE = "pack.json"
PLOT_FILE = "pack.png"
# The points of accuracy from which training is recommended.
NOTABLE_DROP = 1.0
BOUNDS = ("target_bytes", "max_kl", "max_accuracy_drop")

with FLAGS.group("Network and images"):
    network_flags.define_model(FLAGS)
    network_flags.define_variant(FLAGS)
    network_flags.define_normalization(FLAGS)
    dataset_flags.define(
        FLAGS,
        default=None,
        what="photographs: a folder, with sub-folders or without, a CSV file, "
        "or the name of a data set; labels are not needed, and measure the "
        "accuracy where they are the classes of the network; required",
        image_size=False,
    )
    FLAGS.define(
        int, "images", 500, "number of photographs to calibrate on", 10
    )
with FLAGS.group("Size and divergence"):
    FLAGS.define(
        int,
        "target_bytes",
        None,
        "largest size of the file; the file with the smallest divergence is "
        "written; give only one of this, --max_kl and --max_accuracy_drop",
        1,
    )
    FLAGS.define(
        float,
        "max_kl",
        None,
        "largest divergence of the outputs, as mean Kullback-Leibler "
        "divergence in nats; the smallest file is written (default: 0.02)",
        0.0,
    )
    FLAGS.define(
        float,
        "max_accuracy_drop",
        None,
        "points of accuracy on the validation set that may be lost; the "
        "smallest file is written",
        0.0,
    )
    FLAGS.define(
        int,
        "finetune",
        0,
        "steps in which the codes are trained, with the given network as the "
        "teacher",
        0,
    )
    FLAGS.define(int, "seed", 0, "seed of every random number")
with FLAGS.group("Output"):
    output_flags.define(
        FLAGS,
        f"{SQZ_FILE}, {SAVED_MODEL_FOLDER}, {JSON_FILE}, {PLOT_FILE} and the "
        "model card README.md",
        out="squeezenet_packed",
    )
    FLAGS.define(
        bool,
        "raw_images",
        False,
        f"give {SAVED_MODEL_FOLDER} two more signatures, for photographs of "
        "any size: raw_images takes uint8 RGB, encoded_images the bytes of "
        "JPEG and PNG files",
    )


def main(*positional):
    model = network_flags.take_model(FLAGS, positional)
    network_flags.require_config_used(FLAGS, model)
    require_valid()
    console = output_flags.make_console(FLAGS)
    packed = packing.pack(
        model,
        FLAGS.dataset,
        progress=terminal.ConsoleProgress(console),
        **FLAGS.values_of(
            *(*BOUNDS, "finetune", "images", "seed"),
            *("config", "normalization", "data_dir", "skip_bad_images"),
        ),
    )
    summary = write(packed)
    if FLAGS.json:
        print(json.dumps(summary, indent=2))
    else:
        print_summary(console, model, packed, summary)


def require_valid():
    """Raise a `ValueError` for flags that do not fit together."""
    if FLAGS.dataset is None:
        raise ValueError(
            "photographs must be given: --dataset=FOLDER, a CSV file, or the "
            "name of a data set. Received: none"
        )
    given = [f"--{name}" for name in BOUNDS if FLAGS[name].value is not None]
    if len(given) > 1:
        raise ValueError(
            "one of --target_bytes, --max_kl and --max_accuracy_drop must be "
            f"given. Received: {', '.join(given)}"
        )
    dataset_flags.require_valid(FLAGS)
    output_flags.require_valid(FLAGS)


def write(packed):
    """Write the files; return the content of `JSON_FILE`."""
    from keras_squeezenet.export import packed_saved_model
    from keras_squeezenet.report import model_card
    from keras_squeezenet.report import plots

    with files.new_folder(FLAGS.out, FLAGS.overwrite) as folder:
        packed.save(folder / SQZ_FILE)
        packed_saved_model.save(
            packed.content, folder / SAVED_MODEL_FOLDER, FLAGS.raw_images
        )
        saved_model_bytes = len(files.content(folder / SAVED_MODEL_FOLDER))
        summary = {
            "saved_model_bytes": saved_model_bytes,
            "network": describe_network(folder / SQZ_FILE),
            **packed.to_json(),
        }
        files.write_json(folder / JSON_FILE, summary)
        output_flags.write_plot(folder / PLOT_FILE, plots.pack(summary))
        model_card.write(summary, folder)
    return summary


def describe_network(path):
    """Return what a .sqz file takes, and the names of its classes."""
    from keras_squeezenet import codec
    from keras_squeezenet import imagenet

    found = codec.read_metadata(path)
    names = list(found.class_names)
    if codec.read_labels(path) == codec.IMAGENET:
        names = [name for _, name in imagenet.imagenet_classes()]
    return {
        "image_size": found.image_size,
        "channels": found.channels,
        "normalization": found.normalization,
        "classes": names,
    }


def print_summary(console, model, packed, summary):
    for table in tables(summary):
        terminal.print_table(console, table)
    console.print()
    for sentence in sentences(summary):
        console.print(sentence)
    sentence = report.code_training(summary)
    if sentence:
        console.print(sentence)
    terminal.print_line(console, f"\nWritten to {FLAGS.out}")
    path = os.path.join(FLAGS.out, SQZ_FILE)
    terminal.print_next(console, ["predict", "PHOTOGRAPHS", f"--model={path}"])
    if packed.test and (packed.test.accuracy_drop or 0) >= NOTABLE_DROP:
        console.print("Training for this size loses less:")
        size = f"--target_bytes={packed.point.bytes}"
        data = terminal.data_arguments(FLAGS, seed=FLAGS.seed)
        terminal.print_next(
            console, ["compress", model, *data, "--recipe=small", size]
        )


def sentences(summary):
    """Yield what was measured, on the validation and on the test set."""
    sets = [(report.measured_on(summary), summary)]
    if summary["test"]:
        name = f"{summary['test_images']:,} test images"
        sets.append((name, summary["test"]))
    for name, found in sets:
        parts = [
            f"divergence {found['kl']:.4f} ± {found['kl_error']:.4f} nats",
            f"agreement {found['agreement']:.2%} ± "
            f"{found['agreement_error']:.2%}",
        ]
        if found["accuracy"] is not None:
            parts.append(
                f"accuracy {found['accuracy']:.2%}, "
                f"{report.accuracy_change(found)} points"
            )
        yield f"On {name}: {', '.join(parts)}."


def tables(summary):
    layers = report.Table.of(
        "Layers",
        summary["layers"],
        {
            "layer": "name",
            "weights": "weights:,",
            "density": "density:.1%",
            "values": "distinct_values:,",
            "entropy": "entropy_bytes:,.0f",
            "bytes": "bytes:,",
        },
    )
    before, after = summary["float32_bytes"], summary["bytes"]
    saved_model = summary["saved_model_bytes"]
    sizes = report.Table(
        "Files",
        ("file", "bytes", "float32", "times smaller"),
        [
            (name, f"{size:,}", f"{before:,}", f"{before / size:.1f}")
            for name, size in (
                (SQZ_FILE, after),
                (f"{SAVED_MODEL_FOLDER}/", saved_model),
            )
        ],
    )
    return [layers, report.curve_table(summary), sizes]
