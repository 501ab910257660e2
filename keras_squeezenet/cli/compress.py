"""`keras-squeezenet compress`: the main job."""

import keras
import rich.console
from absl import flags

from keras_squeezenet import compression
from keras_squeezenet import outputs
from keras_squeezenet import report
from keras_squeezenet.cli import common_flags
from keras_squeezenet.cli import console as consoles
from keras_squeezenet.cli import datasets
from keras_squeezenet.cli import recipe_flags
from keras_squeezenet.compression import recipe as recipe_fields
from keras_squeezenet.compression import state

HELP = {
    "stages": "in their order: " + ", ".join(recipe_fields.STAGES),
    "batch_size": "images in a training step",
    "max_train_steps": "an upper bound to each stage's steps, for trials",
    "seed": "of every random number",
    "augmentation": "of the training images: crop or flip_crop",
    "validation_share": "of the training images, held out to choose by",
    "train_epochs": "epochs of training before any compression",
    "learning_rate": "of the first stage, at the end of its warm-up",
    "finetune_learning_rate": "of pruning; other stages take less",
    "prune_epochs": "epochs of pruning",
    "prune_schedule": ", ".join(recipe_fields.SCHEDULES),
    "prune_rounds": "of the iterative schedule",
    "prune_pattern": "2:4 keeps two weights of every four",
    "densities": "share of weights to keep, by patterns of layers, the first "
    "that matches counts: conv1:1,*_squeeze1x1:1,*:0.25",
    "overall_density": "of all weights, instead",
    "density_split": "how an overall density is split: "
    + ", ".join(recipe_fields.SPLITS),
    "densify_epochs": "epochs of training all weights again after pruning",
    "cluster_epochs": "epochs of weight sharing",
    "bits": "of a code for a shared value, by patterns of layers: *:4",
    "average_bits": "of all weights; a scan chooses each layer's, instead",
    "cluster_initialization": ", ".join(recipe_fields.INITIALIZATIONS),
    "quantize_epochs": "epochs of quantization-aware training; 0 quantizes "
    "after training",
    "quantize_preserve": "of each kernel: "
    + ", ".join(recipe_fields.PRESERVED),
    "keep_frozen": "leave layers alone that are not trainable",
    "max_accuracy_drop": "points that a stage may lose; it is tried again, "
    "more gently, if it loses more",
    "max_retries": "how often",
    "sensitivity_images": "validation images of a scan",
    "litert": "the LiteRT files to write: "
    + ", ".join(recipe_fields.LITERT_FORMS),
}

FLAGS = flags.FlagValues()

datasets.define(FLAGS)
recipe_flags.define(FLAGS, compression.RECIPES, HELP)
common_flags.define_network(FLAGS)
common_flags.define_run(FLAGS, out="squeezenet_compressed")
_MODEL = flags.DEFINE_string(
    "model",
    None,
    "a trained .keras model to compress, instead of a new one",
    flag_values=FLAGS,
)


def main():
    console = rich.console.Console(markup=False, highlight=False)
    recipe = make_recipe()
    outputs.require_writable(
        FLAGS.out, FLAGS.overwrite, compression.IGNORED_FILES
    )
    model = load_model() if _MODEL.value else None
    keras.utils.set_random_seed(recipe.seed)
    progress = consoles.ConsoleProgress(console)
    dataset = datasets.load(FLAGS, recipe.seed, progress)
    dataset = dataset.hold_out(recipe.validation_share, recipe.seed)
    model = model or common_flags.build(FLAGS, dataset)
    consoles.print_header(console, model, dataset)
    with common_flags.resumable(FLAGS.out, state.FILE):
        summary = compression.compress(
            model,
            dataset,
            dataset.validation_batches(recipe.batch_size),
            recipe,
            FLAGS.out,
            test=dataset.test_batches(recipe.batch_size),
            overwrite=FLAGS.overwrite,
            resume=FLAGS.resume,
            tensorboard=FLAGS.tensorboard,
            progress=progress,
        )
    for table in report.tables(summary):
        consoles.print_table(console, table)
    consoles.print_path(console, "Written to", FLAGS.out)


def make_recipe():
    recipe = recipe_flags.make(FLAGS, compression.RECIPES)
    if _MODEL.value and not FLAGS["train_epochs"].present:
        recipe = recipe.replace(train_epochs=0)
    return recipe


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
