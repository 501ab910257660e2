"""`keras-squeezenet compress`: the main job.

Trains a network, unless --model names a trained one, and compresses it.
"""

import pathlib

import keras
import rich.console
from absl import flags

from keras_squeezenet import compression
from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import recipe_flags
from keras_squeezenet.cli.flags import training_flags
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import pipeline
from keras_squeezenet.training import trainer
from keras_squeezenet.utils import files

HELP = {
    "stages": "in their order: " + ", ".join(compression_recipe.STAGES),
    "batch_size": "images in a training step",
    "max_train_steps": "an upper bound to each stage's steps, for trials",
    "seed": "of every random number",
    "augmentation": "of the training images: crop or flip_crop",
    "validation_share": "of the training images, held out to choose by",
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
    "max_accuracy_drop": "points of accuracy that a stage may lose; it is "
    "relaxed and tried again if it loses more",
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
_TRAIN_EPOCHS = flags.DEFINE_integer(
    "train_epochs", 6, "epochs of a new network", 1, flag_values=FLAGS
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate", 1e-3, "highest, of a new network", flag_values=FLAGS
)
# What a killed run can be resumed from.
RESUMABLE = (
    pipeline.CHECKPOINT_FILE,
    f"{pipeline.TRAINING_FOLDER}/{trainer.LAST_FILE}",
)


def main():
    console = rich.console.Console(markup=False, highlight=False)
    recipe = recipe_flags.make(FLAGS, compression.RECIPES)
    new = make_training_recipe(recipe)
    out = pathlib.Path(FLAGS.out)
    files.require_writable(out, FLAGS.overwrite, pipeline.IGNORED_FILES)
    model = load_model() if _MODEL.value else None
    progress = terminal.ConsoleProgress(console)
    dataset = dataset_flags.load(FLAGS, recipe.seed, progress)
    dataset = dataset.hold_out(recipe.validation_share, recipe.seed)
    keras.utils.set_random_seed(recipe.seed)
    untrained = None if model else training_flags.build(FLAGS, dataset)
    terminal.print_header(console, model or untrained, dataset)
    options = {
        "overwrite": FLAGS.overwrite,
        "resume": FLAGS.resume,
        "progress": progress,
    }
    trained = None
    with training_flags.resumable(out, *RESUMABLE):
        if untrained:
            trained = train(untrained, dataset, new, out, options)
            model = trained.model
        result = compression.compress(
            model,
            dataset,
            recipe=recipe,
            out=out,
            tensorboard=FLAGS.tensorboard,
            trained=trained,
            **options,
        )
    for table in report.tables(result.to_json()):
        terminal.print_table(console, table)
    terminal.print_path(console, "Written to", FLAGS.out)


def make_training_recipe(recipe):
    """Returns the recipe that trains a new network."""
    if _MODEL.value:
        for flag in (_TRAIN_EPOCHS, _LEARNING_RATE):
            if flag.present:
                raise ValueError(
                    f"--{flag.name} is for a new network, and --model is a "
                    "trained one: give one of the two."
                )
        return None
    return training.Recipe(
        epochs=_TRAIN_EPOCHS.value,
        batch_size=recipe.batch_size,
        max_train_steps=recipe.max_train_steps,
        seed=recipe.seed,
        validation_share=recipe.validation_share,
        learning_rate=_LEARNING_RATE.value,
        augmentation=recipe.augmentation,
    )


def train(model, dataset, recipe, out, options):
    """Trains a new network; its files are in `out` until the end."""
    if FLAGS.overwrite and not FLAGS.resume:
        files.sweep(out, pipeline.IGNORED_FILES)
    logs = FLAGS.tensorboard and pathlib.Path(FLAGS.tensorboard) / "dense"
    return training.train(
        model,
        dataset,
        recipe=recipe,
        out=out / pipeline.TRAINING_FOLDER,
        tensorboard=logs,
        **options,
    )


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
    return models.load(_MODEL.value)
