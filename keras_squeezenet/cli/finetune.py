"""`keras-squeezenet finetune`: a pretrained network for your images.

The head is trained first, then the top modules, then all of it. What it
writes is a model that `compress`, `pack` and `predict` take.
"""

import dataclasses

import rich.console
from absl import flags

from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import training_flags
from keras_squeezenet.training import trainer
from keras_squeezenet.training import training_recipe
from keras_squeezenet.training import transfer

FLAGS = flags.FlagValues()

dataset_flags.define(FLAGS)
training_flags.define_network(FLAGS, weights="imagenet")
training_flags.define_run(FLAGS, out="squeezenet_finetuned")
_EPOCHS = {
    phase.name: flags.DEFINE_integer(
        f"{phase.name}_epochs",
        phase.recipe.epochs,
        what,
        0,
        flag_values=FLAGS,
    )
    for phase, what in zip(
        training.PHASES,
        (
            "of the head and the top modules; 0 for none",
            "of the whole network; 0 for none",
        ),
    )
}
_DEFAULT = training.PHASES[0].recipe
_AUGMENTATION = flags.DEFINE_string(
    "augmentation",
    _DEFAULT.augmentation,
    "flip_crop; crop, for digits and letters; or none",
    flag_values=FLAGS,
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", _DEFAULT.batch_size, "images in a step", 1, flag_values=FLAGS
)
_PRECISION = flags.DEFINE_enum(
    "precision",
    _DEFAULT.precision,
    training_recipe.PRECISIONS,
    "what is computed in",
    flag_values=FLAGS,
)
_RATE_FACTOR = flags.DEFINE_float(
    "learning_rate_factor",
    1.0,
    "what the learning rates of all phases are multiplied by",
    flag_values=FLAGS,
)
_SEED = flags.DEFINE_integer(
    "seed",
    _DEFAULT.seed,
    "of every random number",
    0,
    flag_values=FLAGS,
)


def main():
    console = rich.console.Console(markup=False, highlight=False)
    phases = make_phases()
    transfer.require_writable(FLAGS.out, FLAGS.overwrite, FLAGS.resume)
    progress = terminal.ConsoleProgress(console)
    model, dataset = training_flags.prepare(
        FLAGS, _SEED.value, _DEFAULT.validation_share, console, progress
    )
    with training_flags.resumable(FLAGS.out, "*/" + trainer.LAST_FILE):
        summary = training.finetune(
            model,
            dataset,
            phases=phases,
            out=FLAGS.out,
            overwrite=FLAGS.overwrite,
            resume=FLAGS.resume,
            tensorboard=FLAGS.tensorboard,
            progress=progress,
        ).to_json()
    terminal.print_table(console, table(summary))
    terminal.print_trained(console, FLAGS, transfer.FILES)


def make_phases():
    """Returns the phases of the library, as the flags change them."""
    augmentation = _AUGMENTATION.value
    return [
        dataclasses.replace(
            phase,
            recipe=phase.recipe.replace(
                epochs=_EPOCHS[phase.name].value,
                learning_rate=phase.recipe.learning_rate * _RATE_FACTOR.value,
                augmentation=None if augmentation == "none" else augmentation,
                batch_size=_BATCH_SIZE.value,
                precision=_PRECISION.value,
                seed=_SEED.value,
            ),
        )
        for phase in training.PHASES
        if _EPOCHS[phase.name].value
    ]


def table(summary):
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
                "yes" if phase["name"] == summary["kept"] else "",
            )
            for phase in summary["phases"]
        ],
    )
