"""Count the training runs that leave the plateau at a loss of ln(classes).

    python benchmarks/plateau.py [--seeds=20] [--epochs=12]
        [--train_images=512]

The runs train a SqueezeNet v1.1 with Adam on digits of 16x16 pixels. Each row
is one setting with the seeds 0, 1, ... A run has left the plateau if the mean
loss of its last epoch is below 0.9 ln(10). The remedy is that of the default
recipe: no ReLU after conv10, warm-up, clipped gradients, and restarts at half
the learning rate.
"""

import dataclasses
import math
import tempfile

import keras
import numpy as np
import rich.console
from absl import app
from absl import flags

from keras_squeezenet import architecture
from keras_squeezenet import data
from keras_squeezenet import report
from keras_squeezenet import squeezenet
from keras_squeezenet import training
from keras_squeezenet.cli import terminal

_SEEDS = flags.DEFINE_integer("seeds", 20, "training runs for each setting")
_EPOCHS = flags.DEFINE_integer("epochs", 12, "epochs of each run")
_TRAIN_IMAGES = flags.DEFINE_integer(
    "train_images", 512, "training images of each run"
)

SIDE = 16
CLASSES = 10
BATCH_SIZE = 16
LEFT = 0.9 * math.log(CLASSES)
NOTHING = {"warmup": 0.0, "clip_norm": 0.0, "restarts": 0}
# The activation of conv10, and changes of the default recipe.
SETTINGS = {
    "ReLU after conv10, rate 1e-3": ("relu", NOTHING),
    "no ReLU, rate 3e-3": (None, {**NOTHING, "learning_rate": 3e-3}),
    "remedy, rate 3e-3": (None, {"learning_rate": 3e-3}),
    "remedy, rate 1e-3": (None, {}),
}


def main(argv):
    if len(argv) > 1:
        raise app.UsageError("no argument but flags is accepted")
    digits = data.load("mnist5k", image_size=SIDE)
    (images, labels), *_ = digits.epoch_batches(_TRAIN_IMAGES.value).take(1)
    images = np.asarray(images), np.asarray(labels)
    rows = []
    for name, (activation, changes) in SETTINGS.items():
        results = [
            train(images, activation, changes, seed)
            for seed in range(_SEEDS.value)
        ]
        losses = [result.history[-1]["loss"] for result in results]
        rows.append(
            (
                name,
                f"{sum(loss < LEFT for loss in losses)}/{len(losses)}",
                *(f"{np.quantile(losses, q):.2f}" for q in (0, 0.5, 1)),
                f"{sum(result.restarts for result in results)}",
            )
        )
        print(*rows[-1], flush=True)
    terminal.print_table(
        rich.console.Console(markup=False, highlight=False, width=80),
        report.Table(
            f"Loss of the last epoch of {_EPOCHS.value}",
            ("setting", "left", "min", "median", "max", "restarts"),
            rows,
        ),
    )


def train(images, activation, changes, seed):
    """Train one network and return its result."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    config = architecture.VARIANTS["1.1"].for_small_images()
    model = squeezenet.SqueezeNet(
        weights=None,
        input_shape=(SIDE, SIDE, 3),
        classes=CLASSES,
        config=dataclasses.replace(config, conv10_activation=activation),
    )
    recipe = training.Recipe(
        epochs=_EPOCHS.value,
        batch_size=BATCH_SIZE,
        learning_rate=1e-3,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as out:
        return training.train(
            model,
            images,
            (images[0][:32], images[1][:32]),
            recipe=recipe.replace(**changes),
            out=out,
        )


if __name__ == "__main__":
    app.run(main)
