"""Fine-tune a pretrained SqueezeNet on labeled images.

Trains the head first, which tells at once what to expect, then the top modules
too, then the whole network, and writes model.keras, the best of the three by
validation accuracy, with a report and the model card README.md. compress, pack,
predict and evaluate take the model.
"""

import dataclasses

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
    training_flags.define_network(FLAGS, weights="imagenet")
with FLAGS.group("Output"):
    output_flags.define_run(FLAGS, out="squeezenet_finetuned")
_DEFAULT = training_recipe.PHASES[0].recipe
_HELP = recipe_help.TRAINING["Training"]
with FLAGS.group("Training"):
    for _phase, _what in zip(
        training_recipe.PHASES,
        (
            "epochs of the head and the top modules; 0 to leave them out",
            "epochs of the whole network; 0 to leave them out",
        ),
    ):
        FLAGS.define(
            int, f"{_phase.name}_epochs", _phase.recipe.epochs, _what, 0
        )
    FLAGS.define(int, "batch_size", _DEFAULT.batch_size, _HELP["batch_size"], 1)
    FLAGS.define(
        float,
        "learning_rate_factor",
        1.0,
        "factor of the learning rates of all phases",
    )
    for _name in ("augmentation", "precision"):
        _what, _choices = _HELP[_name]
        FLAGS.define(_choices, _name, getattr(_DEFAULT, _name), _what)
    FLAGS.define(
        float, "label_smoothing", 0.0, recipe_help.LABEL_SMOOTHING, 0.0
    )
    FLAGS.define(list, "class_weight", None, recipe_help.UNEVEN["class_weight"])
    FLAGS.define(float, "focal", 0.0, recipe_help.UNEVEN["focal"], 0.0)
    FLAGS.define(int, "seed", _DEFAULT.seed, _HELP["seed"], 0)
    FLAGS.define(
        bool,
        "learning_curve",
        False,
        "also fit the head to an eighth, a quarter and a half of the training "
        "images, which shows whether more of them would help",
    )
with FLAGS.group("Distillation"):
    for _name, _what in recipe_help.DISTILLATION.items():
        FLAGS.define(float, _name, getattr(_DEFAULT, _name), _what)
teacher_flags.define(FLAGS)


def main():
    recipe = make_recipe()
    phases = make_phases(recipe)
    training_flags.require_valid(FLAGS)
    training_recipe.phases_with_teacher(
        phases, FLAGS.teacher, dataset_flags.has_labels(FLAGS)
    )
    teacher_flags.require_valid(FLAGS, FLAGS.distillation)
    from keras_squeezenet.training import finetuning_run
    from keras_squeezenet.training import training_run

    finetuning_run.require_writable(
        FLAGS.out, phases, FLAGS.overwrite, FLAGS.resume
    )
    console = terminal.make_console()
    progress = terminal.ConsoleProgress(console)
    model, dataset = runs.prepare(
        FLAGS, recipe, console, progress, FLAGS.image_size
    )
    with runs.resumable(FLAGS.out, "*/" + training_run.LAST_FILE):
        result = training.finetune(
            model,
            dataset,
            phases=phases,
            recipe=recipe,
            progress=progress,
            **FLAGS.values_of(
                *("teacher", "out", "overwrite", "resume", "tensorboard"),
                "learning_curve",
            ),
        )
    terminal.print_table(console, table(result))
    if result.several_labels:
        terminal.print_table(
            console, report.several_labels_table(result.several_labels)
        )
    terminal.print_trained(
        console, FLAGS, finetuning_run.FILES, FLAGS.seed, result.several_labels
    )


def make_recipe():
    """Return the recipe of the head; those of the phases differ in few."""
    augmentation, weights = FLAGS.augmentation, FLAGS.class_weight
    return _DEFAULT.replace(
        augmentation=None if augmentation == "none" else augmentation,
        class_weight=weights and recipe_flags.class_weight(weights),
        **FLAGS.values_of(
            *("batch_size", "precision", "seed", "label_smoothing", "focal")
        ),
    )


def make_phases(recipe):
    return [
        dataclasses.replace(
            phase,
            recipe=recipe.replace(
                epochs=FLAGS[f"{phase.name}_epochs"].value,
                learning_rate=phase.recipe.learning_rate
                * FLAGS.learning_rate_factor,
                **FLAGS.values_of(*recipe_help.DISTILLATION),
            ),
        )
        for phase in training_recipe.PHASES
        if FLAGS[f"{phase.name}_epochs"].value
    ]


def table(result):
    rows = [
        {
            **phase,
            "epochs": len(phase["history"]) if "history" in phase else "",
            "kept": "yes" if phase["name"] == result.kept else "",
        }
        for phase in result.phases
    ]
    columns = {
        "phase": "name",
        "epochs": "epochs",
        "seconds": "seconds:.1f",
        "validation": "validation_accuracy:.2%",
        "test": "test_accuracy:.2%",
        "kept": "kept",
    }
    title = report.accuracy_title("Fine-tuning", result.several_labels)
    if "validation" in result.dataset["labeled_by_teacher"]:
        title += ": agreement with the teacher"
    return report.Table.of(title, rows, columns)
