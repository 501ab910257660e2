"""`keras-squeezenet sensitivity MODEL`: which layers bear compression.

Prunes each kernel of a .keras model by itself to several densities, shares
its weights in several numbers of bits, and measures the accuracy: on training
images of the data set, those that `compress` would hold out to choose by.
Nothing is trained, and MODEL stays as it is.
"""

import json

from absl import flags

from keras_squeezenet import compression
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import sensitivity
from keras_squeezenet.utils import files

ARGUMENTS = "MODEL"
FLAGS = flags.FlagValues()
JSON_FILE = "sensitivity.json"
PICTURE_FILE = "sensitivity.png"

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
    progress = terminal.ConsoleProgress(console)
    dataset = dataset_flags.load(FLAGS, _SEED.value, progress)
    scan = compression.scan_sensitivity(
        arguments[0],
        dataset,
        densities=densities,
        bits=bits,
        images=_IMAGES.value,
        seed=_SEED.value,
        progress=progress,
    ).to_json()
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
