"""Measure how pruning and weight sharing change each layer, without training.

MODEL is a trained SqueezeNet. One layer at a time is pruned to several
densities, or shares its weights in several numbers of bits, and the accuracy is
measured on the validation images that compress would use. MODEL is not changed.
"""

from keras_squeezenet import compression
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.utils import files

FLAGS = command_flags.CommandFlags("MODEL")
JSON_FILE = "sensitivity.json"
PLOT_FILE = "sensitivity.png"

with FLAGS.group("Network and images"):
    network_flags.define_model(FLAGS)
    network_flags.define_normalization(FLAGS)
    dataset_flags.define(FLAGS, image_size=False)
    FLAGS.define(int, "images", 256, "number of images to measure on", 1)
    FLAGS.define(int, "seed", 0, "seed of the choice of the images")
with FLAGS.group("Measurements"):
    FLAGS.define(
        list,
        "densities",
        list(map(str, compression_recipe.SCAN_DENSITIES)),
        "shares of the weights to keep",
    )
    FLAGS.define(
        list,
        "bits",
        list(map(str, compression_recipe.SCAN_BITS)),
        "bits of the code of a shared weight",
    )
with FLAGS.group("Output"):
    output_flags.define(FLAGS, f"{JSON_FILE} and {PLOT_FILE}")


def main(*positional):
    path = network_flags.take_model(FLAGS, positional)
    densities = _numbers("densities", float, compression_recipe.SHARE)
    bits = _numbers("bits", int, compression_recipe.CODE_BITS)
    dataset_flags.require_valid(FLAGS)
    output_flags.require_valid(FLAGS)
    from keras_squeezenet import models

    console = output_flags.make_console(FLAGS)
    model = models.load(path, normalization=FLAGS.normalization)
    progress = terminal.ConsoleProgress(console)
    found = compression.scan_sensitivity(
        model,
        dataset_flags.load(FLAGS, FLAGS.seed, progress, model.input_shape[1]),
        densities=densities,
        bits=bits,
        images=FLAGS.images,
        seed=FLAGS.seed,
        progress=progress,
    ).to_json()
    output_flags.print_result(FLAGS, console, found, tables(found))
    if FLAGS.out:
        write(found)
        terminal.print_line(console, f"\nWritten to {FLAGS.out}")


def _numbers(name, number, rule):
    expected, is_valid = rule
    texts = FLAGS[name].value
    try:
        values = [number(text) for text in texts]
    except ValueError:
        values = []
    if not values or not all(map(is_valid, values)):
        raise ValueError(
            f"--{name} must be a list of numbers, each {expected}. "
            f"Received: --{name}={','.join(texts)}"
        )
    return values


def tables(scan):
    base = (
        f"{scan['accuracy']:.2%} on {scan['images']:,} images without "
        "compression"
    )
    return [
        _table(scan, f"Accuracy by density, {base}", "densities", "density"),
        _table(scan, "Accuracy by bits", "bits", "bits"),
    ]


def _table(scan, title, points, key):
    names = [
        f"{point[key]:.0%}" if key == "density" else f"{point[key]} bits"
        for point in scan["layers"][0][points]
    ]
    return report.Table(
        title,
        ("layer", "weights", *names),
        [
            (
                row["name"],
                f"{row['weights']:,}",
                *(f"{point['accuracy']:.2%}" for point in row[points]),
            )
            for row in scan["layers"]
        ],
    )


def write(scan):
    from keras_squeezenet.report import plots

    with files.new_folder(FLAGS.out, FLAGS.overwrite) as folder:
        files.write_json(folder / JSON_FILE, scan)
        output_flags.write_plot(folder / PLOT_FILE, plots.sensitivity(scan))
