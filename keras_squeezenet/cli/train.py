"""`keras-squeezenet train`: a network for your images.

What it writes is a model that `compress`, `pack` and `predict` take.
"""

import rich.console
from absl import flags

from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import recipe_flags
from keras_squeezenet.cli.flags import training_flags
from keras_squeezenet.training import distributed
from keras_squeezenet.training import trainer
from keras_squeezenet.training import training_recipe

HELP = {
    "epochs": "at most",
    "batch_size": "images in a step",
    "accumulation": "steps that make one update of the weights",
    "max_train_steps": "an upper bound to the steps, for trials",
    "seed": "of every random number",
    "validation_share": "of the training images, held out to choose by",
    "optimizer": ", ".join(training_recipe.OPTIMIZERS),
    "momentum": "of sgd",
    "learning_rate": "the highest",
    "schedule": "how the learning rate falls: "
    + ", ".join(training_recipe.SCHEDULES),
    "warmup": "share of the steps in which the learning rate rises",
    "clip_norm": "of all gradients together; 0 for no bound",
    "restarts": "how often to begin anew, at half the learning rate, where "
    "the loss stays at ln(classes)",
    "weight_decay": "of weights and biases",
    "label_smoothing": "what the other classes share of a label",
    "augmentation": "flip_crop; crop, for digits and letters; or none",
    "rand_augment": "strength of RandAugment, from 0 to 1",
    "mixup": "alpha of MixUp, from 0 to 1",
    "cutmix": "factor of CutMix, from 0 to 1",
    "average": "momentum of a moving average of the weights, which is kept; "
    "0 for none",
    "patience": "epochs without a better one after which training ends",
    "precision": ", ".join(training_recipe.PRECISIONS),
}

FLAGS = flags.FlagValues()

dataset_flags.define(FLAGS)
recipe_flags.define(FLAGS, training.RECIPES, HELP)
training_flags.define_network(FLAGS)
training_flags.define_run(FLAGS, out="squeezenet_trained")
flags.DEFINE_enum(
    "distribution",
    None,
    distributed.NAMES,
    "mirrored: all GPUs of this machine; multi_worker: the processes that "
    f"{distributed.VARIABLE} names, each started with this command and an "
    "--out that they share",
    flag_values=FLAGS,
)


def main():
    recipe = recipe_flags.make(FLAGS, training.RECIPES)
    trainer.require_writable(FLAGS.out, FLAGS.overwrite, FLAGS.resume)
    workers = distributed.distribute(FLAGS.distribution)
    console = rich.console.Console(
        markup=False, highlight=False, quiet=not workers.is_chief
    )
    progress = terminal.ConsoleProgress(console)
    model, dataset = training_flags.prepare(
        FLAGS, recipe.seed, recipe.validation_share, console, progress
    )
    with training_flags.resumable(FLAGS.out, trainer.LAST_FILE):
        summary = training.train(
            model,
            dataset,
            recipe=recipe,
            out=FLAGS.out,
            overwrite=FLAGS.overwrite,
            resume=FLAGS.resume,
            tensorboard=FLAGS.tensorboard,
            progress=progress,
            distribution=workers,
        ).to_json()
    terminal.print_table(console, table(summary))
    terminal.print_trained(console, FLAGS, trainer.FILES)


def table(summary):
    return report.Table(
        "Training",
        ("epochs", "best", "validation", "test", "seconds", "images/s"),
        [
            (
                f"{len(summary['history'])}",
                f"{summary['best_epoch']}",
                f"{summary['validation_accuracy']:.2%}",
                f"{summary['test_accuracy']:.2%}",
                f"{summary['seconds']:.1f}",
                f"{summary['images_per_second']:,.0f}",
            )
        ],
    )
