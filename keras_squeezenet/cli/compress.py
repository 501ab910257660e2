"""`keras-squeezenet compress`: the main job."""

import dataclasses
import os

import keras
import rich.console
from absl import flags

from keras_squeezenet import architecture
from keras_squeezenet import compression
from keras_squeezenet import outputs
from keras_squeezenet import report
from keras_squeezenet import squeezenet
from keras_squeezenet.cli import console as consoles
from keras_squeezenet.cli import datasets
from keras_squeezenet.cli import recipe_flags
from keras_squeezenet.compression import checkpoints
from keras_squeezenet.compression import twin

# Images up to this side, in pixels, get a first convolution with stride 1.
SMALL_IMAGE_SIZE = 64

FLAGS = flags.FlagValues()

datasets.define(FLAGS)
recipe_flags.define(FLAGS)
_OUT = flags.DEFINE_string(
    "out", "squeezenet_compressed", "output folder", flag_values=FLAGS
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite",
    False,
    "replace the files of an earlier run in --out",
    flag_values=FLAGS,
)
_RESUME = flags.DEFINE_bool(
    "resume",
    False,
    "go on with the run in --out that was stopped, from its last epoch",
    flag_values=FLAGS,
)
_CONFIG = flags.DEFINE_enum(
    "config",
    "1.1",
    list(architecture.VARIANTS),
    "the network",
    flag_values=FLAGS,
)
_WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    "pretrained weights to start the training from: a public source such as "
    "'imagenet', or a file",
    flag_values=FLAGS,
)
_MODEL = flags.DEFINE_string(
    "model",
    None,
    "a trained .keras model to compress, instead of a new one",
    flag_values=FLAGS,
)
_TENSORBOARD = flags.DEFINE_string(
    "tensorboard", None, "folder of TensorBoard's logs", flag_values=FLAGS
)


def main():
    console = rich.console.Console(markup=False, highlight=False)
    recipe = make_recipe()
    outputs.require_writable(
        _OUT.value, _OVERWRITE.value, compression.IGNORED_FILES
    )
    model = load_model() if _MODEL.value else None
    keras.utils.set_random_seed(recipe.seed)
    progress = consoles.ConsoleProgress(console)
    dataset = datasets.load(FLAGS, recipe.seed, progress)
    dataset = dataset.hold_out(recipe.validation_share, recipe.seed)
    model = model or make_model(dataset)
    print_header(console, model, dataset)
    try:
        summary = compression.compress(
            model,
            dataset,
            dataset.validation_batches(recipe.batch_size),
            recipe,
            _OUT.value,
            test=dataset.test_batches(recipe.batch_size),
            overwrite=_OVERWRITE.value,
            resume=_RESUME.value,
            tensorboard=_TENSORBOARD.value,
            progress=progress,
        )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(*way_on()) from stop
    for table in report.tables(summary):
        consoles.print_table(console, table)
    consoles.print_path(console, "Written to", _OUT.value)


def print_header(console, model, dataset):
    console.print(
        f"{model.name}, {model.count_params():,} parameters, on "
        f"{dataset.name}: {len(dataset.class_names)} classes, images of "
        f"{dataset.image_size}x{dataset.image_size}: "
        f"{dataset.train_size:,} to train on, {dataset.validation_size:,} to "
        f"choose by, {dataset.test_size:,} to test on"
    )
    for path in dataset.skipped:
        consoles.print_path(console, "skipped, could not be read:", path)


def way_on():
    """Yields what to say after Ctrl-C, where there is something to go on."""
    if os.path.exists(os.path.join(_OUT.value, checkpoints.FILE)):
        yield (
            "The last epoch that was finished is kept: the same command with "
            "--resume goes on from there."
        )


def make_recipe():
    recipe = recipe_flags.make(FLAGS)
    if _MODEL.value and not FLAGS["train_epochs"].present:
        recipe = recipe.replace(train_epochs=0)
    return recipe


def make_model(dataset):
    """Builds the network for a data set, from scratch or pretrained."""
    config = architecture.get_config(_CONFIG.value)
    if dataset.image_size <= SMALL_IMAGE_SIZE:
        config = config.for_small_images()
    config = dataclasses.replace(config, conv10_activation=None)
    shape = (dataset.image_size, dataset.image_size, 3)
    model = squeezenet.SqueezeNet(
        weights=None,
        input_shape=shape,
        classes=len(dataset.class_names),
        config=config,
    )
    if _WEIGHTS.value:
        base = squeezenet.SqueezeNet(
            include_top=False,
            weights=_WEIGHTS.value,
            input_shape=shape,
            config=config,
        )
        twin.copy_weights(base, model)
    return model


def load_model():
    if not _MODEL.value.endswith(".keras"):
        raise ValueError(
            "--model should be a .keras file; --weights takes weights alone. "
            f"Received: --model={_MODEL.value}"
        )
    for flag in ("config", "weights"):
        if FLAGS[flag].present:
            raise ValueError(
                f"--{flag} is for a new network, and --model is a trained "
                "one: give one of the two."
            )
    return keras.models.load_model(_MODEL.value)
