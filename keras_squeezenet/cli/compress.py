"""`keras-squeezenet compress`: the main job."""

import dataclasses

import keras
import rich.console
from absl import flags

from keras_squeezenet import architecture
from keras_squeezenet import compression
from keras_squeezenet import data
from keras_squeezenet import outputs
from keras_squeezenet import report
from keras_squeezenet import squeezenet
from keras_squeezenet.cli import console as consoles
from keras_squeezenet.compression import twin

# Images up to this side, in pixels, get a first convolution with stride 1.
SMALL_IMAGE_SIZE = 64

RECIPE_HELP = {
    "train_epochs": "epochs of training before any compression",
    "prune_epochs": "epochs of pruning",
    "cluster_epochs": "epochs of weight sharing",
    "quantize_epochs": "epochs of quantization-aware training",
    "max_train_steps": "an upper bound to each stage's steps, for trials",
    "batch_size": "images in a training step",
    "learning_rate": "of the first stage, at the end of its warm-up",
    "finetune_learning_rate": "of pruning; later stages take less",
    "target_density": "share of weights to keep in each kernel; conv1 and the "
    "squeeze layers stay dense",
    "number_of_clusters": "shared values of each kernel, zero included",
    "seed": "of every random number",
}

FLAGS = flags.FlagValues()

_DATASET = flags.DEFINE_string(
    "dataset",
    "mnist5k",
    "'mnist5k' (embedded, no download), 'folder', or the name of any image "
    "classification data set of TensorFlow Datasets",
    flag_values=FLAGS,
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "the folder of images, or of TensorFlow Datasets",
    flag_values=FLAGS,
)
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "side of the images; by default the data set's, or 224",
    flag_values=FLAGS,
)
_SKIP_BAD_IMAGES = flags.DEFINE_bool(
    "skip_bad_images",
    False,
    "go on without the images that cannot be read",
    flag_values=FLAGS,
)
_OUT = flags.DEFINE_string(
    "out",
    "squeezenet_compressed",
    "output folder",
    flag_values=FLAGS,
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite",
    False,
    "replace the files of an earlier run in --out",
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
for _field in dataclasses.fields(compression.Recipe):
    _define = (
        flags.DEFINE_float
        if isinstance(_field.default, float)
        else flags.DEFINE_integer
    )
    _define(
        _field.name,
        _field.default,
        RECIPE_HELP[_field.name],
        flag_values=FLAGS,
    )


def main():
    console = rich.console.Console(markup=False, highlight=False)
    recipe = make_recipe()
    outputs.require_writable(_OUT.value, _OVERWRITE.value)
    model = load_model() if _MODEL.value else None
    keras.utils.set_random_seed(recipe.seed)
    progress = consoles.ConsoleProgress(console)
    with progress.task("load data", None):
        dataset = data.load(
            _DATASET.value,
            data_dir=_DATA_DIR.value,
            image_size=_IMAGE_SIZE.value,
            skip_bad_images=_SKIP_BAD_IMAGES.value,
            seed=recipe.seed,
        )
    model = model or make_model(dataset)
    console.print(
        f"{model.name}, {model.count_params():,} parameters, on "
        f"{dataset.name}: {len(dataset.class_names)} classes, "
        f"{dataset.train_size:,} images of "
        f"{dataset.image_size}x{dataset.image_size} to train on, "
        f"{dataset.test_size:,} to test on"
    )
    for path in dataset.skipped:
        _print_path(console, "skipped, could not be read:", path)
    summary = compression.compress(
        model,
        dataset,
        recipe,
        _OUT.value,
        overwrite=_OVERWRITE.value,
        progress=progress,
    )
    for table in report.tables(summary):
        consoles.print_table(console, table)
    _print_path(console, "Written to", _OUT.value)


def make_recipe():
    values = FLAGS.flag_values_dict()
    names = [field.name for field in dataclasses.fields(compression.Recipe)]
    recipe = compression.Recipe(**{name: values[name] for name in names})
    if _MODEL.value and not FLAGS["train_epochs"].present:
        recipe = dataclasses.replace(recipe, train_epochs=0)
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


def _print_path(console, text, path):
    console.print(f"{text} {consoles.printable(path)}", soft_wrap=True)
