"""`keras-squeezenet sensitivity MODEL`: which layers bear compression.

Prunes each kernel of a .keras model by itself to several densities, shares
its weights in several numbers of bits, and measures the accuracy: on training
images of the data set, those that `compress` would hold out to choose by.
Nothing is trained, and MODEL stays as it is.
"""

import json

import keras
from absl import flags

from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import sensitivity
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.utils import files

ARGUMENTS = "MODEL"
FLAGS = flags.FlagValues()
JSON_FILE = "sensitivity.json"
PICTURE_FILE = "sensitivity.png"
BATCH_SIZE = 64

dataset_flags.define(FLAGS)
_IMAGES = flags.DEFINE_integer(
    "images", 256, "how many to measure on", flag_values=FLAGS, lower_bound=1
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "of the choice of the images", flag_values=FLAGS
)
_DENSITIES = flags.DEFINE_list(
    "densities",
    list(map(str, sensitivity.DENSITIES)),
    "shares of weights to keep",
    flag_values=FLAGS,
)
_BITS = flags.DEFINE_list(
    "bits",
    list(map(str, sensitivity.BITS)),
    "a kernel shares 2**bits values",
    flag_values=FLAGS,
)
output_flags.define(FLAGS, f"{JSON_FILE} and {PICTURE_FILE}")


def main(arguments):
    if len(arguments) != 1 or not arguments[0].endswith(".keras"):
        raise ValueError(
            "one .keras model is expected. Received: "
            f"{' '.join(arguments) or 'none'}"
        )
    densities = _numbers(_DENSITIES, float, compression_recipe.SHARE)
    bits = _numbers(_BITS, int, compression_recipe.CODE_BITS)
    console = output_flags.begin(FLAGS)
    model = keras.models.load_model(arguments[0])
    tf_keras_twin.require_squeezenet(model)
    progress = terminal.ConsoleProgress(console)
    dataset = dataset_flags.load(FLAGS, _SEED.value, progress)
    images, labels = choose_images(dataset)
    require_fit(model, images, dataset)
    scan = sensitivity.scan(
        model, images, labels, densities, bits, BATCH_SIZE, progress
    )
    if FLAGS["json"].value:
        print(json.dumps(scan, indent=2))
    else:
        for table in tables(scan):
            terminal.print_table(console, table)
    if FLAGS["out"].value:
        write(scan)
        terminal.print_path(console, "\nWritten to", FLAGS["out"].value)


def _numbers(flag, number, rule):
    expected, is_valid = rule
    try:
        values = [number(text) for text in flag.value]
    except ValueError:
        values = []
    if not values or not all(map(is_valid, values)):
        raise ValueError(
            f"--{flag.name} should be a list of numbers, each {expected}. "
            f"Received: --{flag.name}={','.join(flag.value)}"
        )
    return values


def choose_images(dataset):
    """Returns the images that `compress` holds out, at most `--images`."""
    share = compression_recipe.Recipe().validation_share
    held = dataset.hold_out(share, _SEED.value)
    return sensitivity.choose(
        held.validation_batches(BATCH_SIZE),
        held.validation_size,
        _IMAGES.value,
    )


def require_fit(model, images, dataset):
    expected = (None, *images.shape[1:]), (None, len(dataset.class_names))
    received = model.input_shape, model.output_shape
    if received != expected:
        raise ValueError(
            f"a model from {expected[0]} to {expected[1]} is expected: "
            f"{dataset.name!r} has images of that shape, and so many classes. "
            f"Received: a model from {received[0]} to {received[1]}"
        )


def tables(scan):
    """Returns a table of the densities and one of the bits, by layer."""
    base = (
        f"{scan['accuracy']:.2%} on {scan['images']:,} images with the weights "
        "as they are"
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

    with output_flags.new_folder(FLAGS) as folder:
        files.write_json(folder / JSON_FILE, scan)
        output_flags.write_picture(
            folder / PICTURE_FILE, plots.sensitivity(scan)
        )
