"""Fine-tune a pretrained SqueezeNet on labeled images.

Trains the head first, then the top modules too, then the whole network, and
writes model.keras, the best of the three by validation accuracy. compress,
pack, predict and evaluate take the model.
"""

import dataclasses

from absl import flags

from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import runs
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import output_flags
from keras_squeezenet.cli.flags import recipe_help
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
with FLAGS.group("Training"):
    for _phase, _what in zip(
        training_recipe.PHASES,
        (
            "epochs of the head and the top modules; 0 to leave them out",
            "epochs of the whole network; 0 to leave them out",
        ),
    ):
        flags.DEFINE_integer(
            f"{_phase.name}_epochs",
            _phase.recipe.epochs,
            _what,
            0,
            flag_values=FLAGS,
        )
    flags.DEFINE_integer(
        "batch_size",
        _DEFAULT.batch_size,
        "images in a batch",
        1,
        flag_values=FLAGS,
    )
    flags.DEFINE_float(
        "learning_rate_factor",
        1.0,
        "factor of the learning rates of all phases",
        flag_values=FLAGS,
    )
    flags.DEFINE_enum(
        "augmentation",
        _DEFAULT.augmentation,
        recipe_help.AUGMENTATIONS,
        "augmentation of the training images; crop is for digits and letters",
        flag_values=FLAGS,
    )
    flags.DEFINE_enum(
        "precision",
        _DEFAULT.precision,
        training_recipe.PRECISIONS,
        "what training computes in",
        flag_values=FLAGS,
    )
    flags.DEFINE_integer(
        "seed",
        _DEFAULT.seed,
        "seed of every random number",
        0,
        flag_values=FLAGS,
    )


def main():
    phases = make_phases()
    dataset_flags.require_valid(FLAGS)
    training_flags.require_valid(FLAGS)
    from keras_squeezenet.training import trainer
    from keras_squeezenet.training import transfer

    transfer.require_writable(FLAGS.out, FLAGS.overwrite, FLAGS.resume)
    console = terminal.make_console()
    progress = terminal.ConsoleProgress(console)
    model, dataset = runs.prepare(
        FLAGS, FLAGS.seed, _DEFAULT.validation_share, console, progress
    )
    with runs.resumable(FLAGS.out, "*/" + trainer.LAST_FILE):
        result = training.finetune(
            model,
            dataset,
            phases=phases,
            progress=progress,
            **FLAGS.values_of("out", "overwrite", "resume", "tensorboard"),
        )
    terminal.print_table(console, table(result))
    terminal.print_trained(console, FLAGS, transfer.FILES)


def make_phases():
    """Return the phases of the library, changed by the flags."""
    augmentation = FLAGS.augmentation
    return [
        dataclasses.replace(
            phase,
            recipe=phase.recipe.replace(
                epochs=FLAGS[f"{phase.name}_epochs"].value,
                learning_rate=phase.recipe.learning_rate
                * FLAGS.learning_rate_factor,
                augmentation=None if augmentation == "none" else augmentation,
                **FLAGS.values_of("batch_size", "precision", "seed"),
            ),
        )
        for phase in training_recipe.PHASES
        if FLAGS[f"{phase.name}_epochs"].value
    ]


def table(result):
    return report.Table(
        "Fine-tuning",
        ("phase", "epochs", "seconds", "validation", "test", "kept"),
        [
            (
                phase["name"],
                f"{len(phase['history'])}" if "history" in phase else "",
                f"{phase['seconds']:.1f}",
                f"{phase['validation_accuracy']:.2%}",
                f"{phase['test_accuracy']:.2%}",
                "yes" if phase["name"] == result.kept else "",
            )
            for phase in result.phases
        ],
    )
