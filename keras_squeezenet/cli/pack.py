"""`keras-squeezenet pack MODEL`: the smallest file of a trained network.

Writes the .sqz file of a .keras model, a .sqz file, or pretrained weights by
name or file, and a SavedModel that is nearly as small. Some hundreds of
photographs of the kind that the network is for, without labels, tell which
weights matter. Nothing is trained unless --finetune asks for it.
"""

import json
import os

from absl import flags

from keras_squeezenet import architecture
from keras_squeezenet import classifier
from keras_squeezenet import data
from keras_squeezenet import packing
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.packing import packer
from keras_squeezenet.utils import files

ARGUMENTS = "MODEL"
FLAGS = flags.FlagValues()
SQZ_FILE = "model.sqz"
SAVED_MODEL_FOLDER = "saved_model"
JSON_FILE = "pack.json"
PICTURE_FILE = "pack.png"

_CALIBRATION = flags.DEFINE_string(
    "calibration",
    None,
    "a folder of photographs, or the name of a data set",
    flag_values=FLAGS,
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "the folder of TensorFlow Datasets, for a data set's name",
    flag_values=FLAGS,
)
_IMAGES = flags.DEFINE_integer(
    "images", 500, "how many to use", flag_values=FLAGS, lower_bound=1
)
_TARGET_BYTES = flags.DEFINE_integer(
    "target_bytes",
    None,
    "the most that the file may have; the best one that fits is written",
    flag_values=FLAGS,
    lower_bound=1,
)
_MAX_KL = flags.DEFINE_float(
    "max_kl",
    None,
    "the most that the outputs may change by, as mean Kullback-Leibler "
    "divergence in nats; the smallest file that keeps to it is written "
    f"(default: {packer.MAX_KL})",
    flag_values=FLAGS,
    lower_bound=0.0,
)
_FINETUNE = flags.DEFINE_integer(
    "finetune",
    0,
    "for how many batches of the images the codes are trained to say what the "
    "network says; 0 for no training",
    flag_values=FLAGS,
    lower_bound=0,
)
_CONFIG = flags.DEFINE_enum(
    "config",
    None,
    list(architecture.VARIANTS),
    "the network, for weights; by default the one that they fit",
    flag_values=FLAGS,
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "of every random number", flag_values=FLAGS
)
_RAW_IMAGES = flags.DEFINE_bool(
    "raw_images",
    False,
    f"give {SAVED_MODEL_FOLDER} a second signature, raw_images, that takes "
    "photographs as they are: uint8 RGB of any size",
    flag_values=FLAGS,
)
output_flags.define(
    FLAGS,
    f"{SQZ_FILE}, {SAVED_MODEL_FOLDER}, {JSON_FILE} and {PICTURE_FILE}",
    out="squeezenet_packed",
)


def main(arguments):
    require_valid(arguments)
    (path,) = arguments
    console = output_flags.begin(FLAGS)
    progress = terminal.ConsoleProgress(console)
    packed = packing.pack(
        path,
        source(path),
        target_bytes=_TARGET_BYTES.value,
        max_kl=_MAX_KL.value,
        finetune=_FINETUNE.value,
        images=_IMAGES.value,
        seed=_SEED.value,
        config=_CONFIG.value,
        progress=progress,
    )
    summary = write(packed)
    if FLAGS["json"].value:
        print(json.dumps(summary, indent=2))
    else:
        for table in tables(summary):
            terminal.print_table(console, table)
        console.print(
            f"\nOn {packed.validation_images} validation images: divergence "
            f"{summary['kl']:.4f} nats, the same first class for "
            f"{summary['agreement']:.1%}."
        )
        before, *_ = packed.code_training or [None]
        if before == packed.point:
            console.print("Training the values found none that are better.")
        elif before:
            console.print(
                f"Before training: {before.bytes:,} bytes, divergence "
                f"{before.kl:.4f} nats, {before.agreement:.1%}."
            )
        terminal.print_path(console, "\nWritten to", FLAGS["out"].value)


def require_valid(arguments):
    if len(arguments) != 1:
        raise ValueError(
            "one network is expected: a .keras or .sqz file, or pretrained "
            f"weights. Received: {' '.join(arguments) or 'none'}"
        )
    if _CALIBRATION.value is None:
        raise ValueError(
            "--calibration should be a folder of photographs, or the name of a "
            "data set. Received: none"
        )
    if _TARGET_BYTES.value and _MAX_KL.value is not None:
        raise ValueError(
            "one of --target_bytes and --max_kl is expected. Received: both"
        )


def source(path):
    """Returns what `packing.pack` takes as data."""
    if os.path.isdir(_CALIBRATION.value) or _DATA_DIR.value is None:
        return _CALIBRATION.value
    return data.load(
        _CALIBRATION.value,
        data_dir=_DATA_DIR.value,
        image_size=classifier.load(path, _CONFIG.value).image_size,
        seed=_SEED.value,
    )


def write(packed):
    """Writes the files; returns what `JSON_FILE` has."""
    from keras_squeezenet.export import packed_saved_model
    from keras_squeezenet.report import plots

    with output_flags.new_folder(FLAGS) as folder:
        packed.save(folder / SQZ_FILE)
        packed_saved_model.save(
            packed.content, folder / SAVED_MODEL_FOLDER, _RAW_IMAGES.value
        )
        saved_model_bytes = len(files.content(folder / SAVED_MODEL_FOLDER))
        summary = {
            "saved_model_bytes": saved_model_bytes,
            **packed.to_json(),
        }
        files.write_json(folder / JSON_FILE, summary)
        output_flags.write_picture(folder / PICTURE_FILE, plots.pack(summary))
    return summary


def tables(summary):
    """Returns a table of the layers and one of the file."""
    layers = report.Table(
        "Layers",
        ("layer", "weights", "density", "values", "entropy", "bytes"),
        [
            (
                layer["name"],
                f"{layer['weights']:,}",
                f"{layer['density']:.1%}",
                f"{layer['distinct_values']:,}",
                f"{layer['entropy_bytes']:,.0f}",
                f"{layer['bytes']:,}",
            )
            for layer in summary["layers"]
        ],
    )
    files = report.Table(
        "Files",
        ("file", "bytes", "float32", "ratio"),
        [
            (
                name,
                f"{summary[key]:,}",
                f"{summary['float32_bytes']:,}",
                f"{summary['float32_bytes'] / summary[key]:.1f}",
            )
            for name, key in (
                (SQZ_FILE, "bytes"),
                (f"{SAVED_MODEL_FOLDER}/", "saved_model_bytes"),
            )
        ],
    )
    return [layers, files]
