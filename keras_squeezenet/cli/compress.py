"""`keras-squeezenet compress`: the main job."""

import keras
import rich.console
from absl import flags

from keras_squeezenet import compression
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import recipe_flags
from keras_squeezenet.cli.flags import training_flags
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import state
from keras_squeezenet.utils import files

HELP = {
    "stages": "in their order: " + ", ".join(compression_recipe.STAGES),
    "batch_size": "images in a training step",
    "max_train_steps": "an upper bound to each stage's steps, for trials",
    "seed": "of every random number",
    "augmentation": "of the training images: crop or flip_crop",
    "validation_share": "of the training images, held out to choose by",
    "train_epochs": "epochs of training before any compression",
    "learning_rate": "of the first stage, at the end of its warm-up",
    "finetune_learning_rate": "of pruning; other stages take less",
    "prune_epochs": "epochs of pruning",
    "prune_schedule": ", ".join(compression_recipe.SCHEDULES),
    "prune_rounds": "of the iterative schedule",
    "prune_pattern": "2:4 keeps two weights of every four",
    "densities": "share of weights to keep, by patterns of layers, the first "
    "that matches counts: conv1:1,*_squeeze1x1:1,*:0.25",
    "overall_density": "of all weights, instead",
    "density_split": "how an overall density is split: "
    + ", ".join(compression_recipe.SPLITS),
    "densify_epochs": "epochs of training all weights again after pruning",
    "cluster_epochs": "epochs of weight sharing",
    "bits": "of a code for a shared value, by patterns of layers: *:4",
    "average_bits": "of all weights; a scan chooses each layer's, instead",
    "cluster_initialization": ", ".join(compression_recipe.INITIALIZATIONS),
    "quantize_epochs": "epochs of quantization-aware training; 0 quantizes "
    "after training",
    "quantize_preserve": "of each kernel: "
    + ", ".join(compression_recipe.PRESERVED),
    "keep_frozen": "leave layers alone that are not trainable",
    "max_accuracy_drop": "points that a stage may lose; it is tried again, "
    "more gently, if it loses more",
    "max_retries": "how often",
    "sensitivity_images": "validation images of a scan",
    "litert": "the LiteRT files to write: "
    + ", ".join(compression_recipe.LITERT_FORMS),
}

FLAGS = flags.FlagValues()

dataset_flags.define(FLAGS)
recipe_flags.define(FLAGS, compression.RECIPES, HELP)
training_flags.define_network(FLAGS)
training_flags.define_run(FLAGS, out="squeezenet_compressed")
_MODEL = flags.DEFINE_string(
    "model",
    None,
    "a trained .keras model to compress, instead of a new one",
    flag_values=FLAGS,
)


def main():
    console = rich.console.Console(markup=False, highlight=False)
    recipe = make_recipe()
    files.require_writable(
        FLAGS.out, FLAGS.overwrite, compression.IGNORED_FILES
    )
    model = load_model() if _MODEL.value else None
    keras.utils.set_random_seed(recipe.seed)
    progress = terminal.ConsoleProgress(console)
    dataset = dataset_flags.load(FLAGS, recipe.seed, progress)
    dataset = dataset.hold_out(recipe.validation_share, recipe.seed)
    model = model or training_flags.build(FLAGS, dataset)
    terminal.print_header(console, model, dataset)
    with training_flags.resumable(FLAGS.out, state.FILE):
        result = compression.compress(
            model,
            dataset,
            recipe=recipe,
            out=FLAGS.out,
            overwrite=FLAGS.overwrite,
            resume=FLAGS.resume,
            tensorboard=FLAGS.tensorboard,
            progress=progress,
        )
    for table in report.tables(result.to_json()):
        terminal.print_table(console, table)
    terminal.print_path(console, "Written to", FLAGS.out)


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
