"""Compress a network: prune, quantize and pack it, and report on it.

MODEL is a trained network. Without one, a network is trained first: on 5,000
digits unless --dataset names other images. Every stage is checked, and the
output folder gets the Keras model, a .sqz file, SavedModels, LiteRT files and
a report.
"""

import os
import pathlib

from keras_squeezenet import compression
from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import runs
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.cli.flags import recipe_flags
from keras_squeezenet.cli.flags import recipe_help
from keras_squeezenet.cli.flags import teacher_flags
from keras_squeezenet.cli.flags import training_flags
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.training import training_recipe
from keras_squeezenet.utils import files

FLAGS = command_flags.CommandFlags("[MODEL]")

with FLAGS.group("Network and images"):
    network_flags.define_model(FLAGS)
    network_flags.define_normalization(FLAGS)
    dataset_flags.define(FLAGS, image_size=False)
with FLAGS.group("Output"):
    output_flags.define_run(FLAGS, out="squeezenet_compressed")
recipe_flags.define(FLAGS, compression.RECIPES, recipe_help.COMPRESSION)
teacher_flags.define(FLAGS)
with FLAGS.group("A new network, without MODEL"):
    training_flags.define_network(FLAGS)
    FLAGS.define(int, "train_epochs", 6, "epochs of its training", 1)
    FLAGS.define(
        float,
        "learning_rate",
        1e-3,
        "highest learning rate of its training",
        0.0,
    )
NEW_NETWORK = ("config", "weights", "train_epochs", "learning_rate")


def main(*positional):
    path = network_flags.take_model(FLAGS, positional, is_needed=False)
    recipe = recipe_flags.make(FLAGS, compression.RECIPES)
    require_valid(path, recipe)
    from keras_squeezenet import models
    from keras_squeezenet.compression import compression_run
    from keras_squeezenet.training import requirements
    from keras_squeezenet.training import training_run

    out = pathlib.Path(FLAGS.out)
    files.require_writable(out, FLAGS.overwrite, compression_run.IGNORED_FILES)
    console = terminal.make_console()
    progress = terminal.ConsoleProgress(console)
    options = {**FLAGS.values_of("overwrite", "resume"), "progress": progress}
    model = path and models.load(path, normalization=FLAGS.normalization)
    model, dataset = runs.prepare(
        FLAGS, recipe, console, progress, recipe.image_size, model
    )
    requirements.require_one_label(model, "compression")
    trained = None
    last_epoch = f"{compression_run.TRAINING_FOLDER}/{training_run.LAST_FILE}"
    with runs.resumable(out, compression_run.CHECKPOINT_FILE, last_epoch):
        if path is None:
            trained = train(model, dataset, recipe, out, options)
            model = trained.model
        result = compression.compress(
            model,
            dataset,
            recipe=recipe,
            teacher=FLAGS.teacher,
            out=out,
            tensorboard=FLAGS.tensorboard,
            trained=trained,
            **options,
        )
    values = result.to_json()
    for table in report.tables(values):
        terminal.print_table(console, table)
    packing = values.get("packing")
    sentence = packing and report.code_training(packing)
    if sentence:
        console.print(f"\n{sentence}")
    print_written(console, recipe.seed)


def require_valid(path, recipe):
    """Raise a `ValueError` for flags that have no effect."""
    training_flags.require_valid(FLAGS)
    is_labeled = dataset_flags.has_labels(FLAGS)
    # A new network is trained with labels, or by a teacher.
    can_be_itself = is_labeled or path is not None
    training_recipe.with_teacher(
        recipe, FLAGS.teacher, can_be_itself, is_labeled
    )
    teacher_flags.require_valid(FLAGS, recipe.distillation, is_itself=True)
    for name in NEW_NETWORK:
        if path is not None and FLAGS[name].present:
            raise ValueError(
                f"--{name} is for a new network, and a trained one is given: "
                f"leave one of the two out. Received: {path}, --{name}"
            )
    require_used(recipe)


def require_used(recipe):
    """Raise a `ValueError` for flags of stages that the recipe leaves out."""
    for stage, fields in compression_recipe.FIELDS_OF_STAGES.items():
        for name in fields:
            if stage not in recipe.stages and FLAGS[name].present:
                raise ValueError(
                    f"--{name} is for the stage {stage}, which the recipe does "
                    "not have: add it with --stages, or leave the flag out. "
                    f"Received: --{name}, stages={','.join(recipe.stages)}"
                )


def train(model, dataset, recipe, out, options):
    """Train a new network; its files are in `out` until all is done."""
    from keras_squeezenet.compression import compression_run

    if FLAGS.overwrite and not FLAGS.resume:
        files.sweep(out, compression_run.IGNORED_FILES)
    shared = ["batch_size", "max_train_steps", "seed", "validation_share"]
    shared += recipe_help.LOSS
    if FLAGS.teacher:
        shared += recipe_help.DISTILLATION
    return training.train(
        model,
        dataset,
        recipe=training.Recipe(
            epochs=FLAGS.train_epochs,
            learning_rate=FLAGS.learning_rate,
            augmentation=recipe.augmentation,
            **{name: getattr(recipe, name) for name in shared},
        ),
        teacher=FLAGS.teacher,
        normalization=FLAGS.normalization,
        out=out / compression_run.TRAINING_FOLDER,
        tensorboard=FLAGS.tensorboard and f"{FLAGS.tensorboard}/dense",
        **options,
    )


def print_written(console, seed):
    names = ("model.sqz", report.HTML_FILE)
    model, page = (os.path.join(FLAGS.out, name) for name in names)
    terminal.print_line(console, f"\nWritten to {FLAGS.out}")
    terminal.print_line(console, f"Report: {page}")
    terminal.print_next(
        console,
        ["predict", "PHOTOGRAPHS", f"--model={model}"],
        ["evaluate", model, *terminal.data_arguments(FLAGS, seed=seed)],
    )
