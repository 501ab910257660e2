"""Train a SqueezeNet on labeled images.

Writes model.keras (the epoch with the best validation accuracy), history.csv,
report.json, the model card README.md and a checkpoint. compress, pack, predict
and evaluate take the model.
"""

from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import runs
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.cli.flags import recipe_flags
from keras_squeezenet.cli.flags import recipe_help
from keras_squeezenet.cli.flags import teacher_flags
from keras_squeezenet.cli.flags import training_flags
from keras_squeezenet.training import training_recipe

FLAGS = command_flags.CommandFlags()

with FLAGS.group("Images"):
    dataset_flags.define(FLAGS)
with FLAGS.group("Network"):
    training_flags.define_network(FLAGS)
with FLAGS.group("Output"):
    output_flags.define_run(FLAGS, out="squeezenet_trained")
recipe_flags.define(FLAGS, training.RECIPES, recipe_help.TRAINING)
teacher_flags.define(FLAGS)
with FLAGS.group("Several devices"):
    FLAGS.define(
        ["mirrored", "multi_worker"],
        "distribution",
        None,
        "mirrored: all GPUs of this machine; multi_worker: the processes that "
        "TF_CONFIG names, each started with this command and the same --out",
    )


def main():
    recipe = recipe_flags.make(FLAGS, training.RECIPES)
    training_flags.require_valid(FLAGS)
    training_recipe.with_teacher(
        recipe, FLAGS.teacher, is_labeled=dataset_flags.has_labels(FLAGS)
    )
    teacher_flags.require_valid(FLAGS, recipe.distillation)
    from keras_squeezenet.training import training_run

    training_run.require_writable(FLAGS.out, FLAGS.overwrite, FLAGS.resume)
    workers = training.distribute(FLAGS.distribution)
    console = terminal.make_console(quiet=not workers.is_chief)
    progress = terminal.ConsoleProgress(console)
    model, dataset = runs.prepare(
        FLAGS, recipe, console, progress, FLAGS.image_size
    )
    with runs.resumable(FLAGS.out, training_run.LAST_FILE):
        result = training.train(
            model,
            dataset,
            recipe=recipe,
            progress=progress,
            distribution=workers,
            **FLAGS.values_of(
                *("teacher", "out", "overwrite", "resume", "tensorboard")
            ),
        )
    terminal.print_table(console, table(result))
    if result.several_labels:
        terminal.print_table(
            console, report.several_labels_table(result.several_labels)
        )
    terminal.print_trained(
        console, FLAGS, training_run.FILES, recipe.seed, result.several_labels
    )


def table(result):
    title = report.accuracy_title("Training", result.several_labels)
    if "validation" in result.dataset["labeled_by_teacher"]:
        title += ": agreement with the teacher"
    return report.Table.of(
        title,
        [{**vars(result), "epochs": len(result.history)}],
        {
            "epochs": "epochs",
            "best": "best_epoch",
            "validation": "validation_accuracy:.2%",
            "test": "test_accuracy:.2%",
            "seconds": "seconds:.1f",
            "images/s": "images_per_second:,.0f",
        },
    )
