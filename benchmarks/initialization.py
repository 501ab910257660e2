"""Count the trainings with plain `compile` and `fit` that leave the plateau.

    python benchmarks/initialization.py RESULTS.jsonl [--flowers=FOLDER]
        [--cases=digits,hues] [--kernels=built,mirrored] [--conv10=0,3,linear]
        [--optimizers=adam,sgd,sgd_clipped] [--seeds=0,1,2] [--steps=400]

Every run trains a SqueezeNet on batches of 32 images, with
`compile("adam", ...)` and `fit`, or with another optimizer. A run has left the
plateau if the mean loss of its last 50 steps is below 0.9 ln(classes), and is
stopped below 0.5 ln(classes). `--kernels` names the initializer of all kernels
but that of `conv10`. `--conv10` is the initial bias of `conv10`, or `linear`
for a `conv10` without a ReLU. RESULTS gets a line for each run, and runs that
it already has are not repeated. Only training images are used.
"""

import colorsys
import dataclasses
import functools
import itertools
import json
import math
import pathlib
import time

import keras
import numpy as np
import rich.console
import tensorflow as tf
from absl import app
from absl import flags

from keras_squeezenet import architecture
from keras_squeezenet import data
from keras_squeezenet import report
from keras_squeezenet import squeezenet
from keras_squeezenet.cli import terminal

_FLOWERS = flags.DEFINE_string("flowers", None, "folder of a data set")
_CASES = flags.DEFINE_list("cases", ["digits", "parity", "hues"], "cases")
_KERNELS = flags.DEFINE_list("kernels", ["built"], "initial kernels")
_CONV10 = flags.DEFINE_list(
    "conv10", ["built"], "initial biases of conv10, or `linear`"
)
_OPTIMIZERS = flags.DEFINE_list("optimizers", ["adam"], "adam or sgd")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "seeds")
_STEPS = flags.DEFINE_integer("steps", 400, "steps of each run, at most")

BATCH_SIZE = 32
WINDOW = 50
MEAN = np.array([103.939, 116.779, 123.68], "float32")
STOCK = architecture.VARIANTS["1.1"]
SMALL = STOCK.for_small_images()
OPTIMIZERS = {
    "adam": lambda: "adam",
    "slow_adam": lambda: keras.optimizers.Adam(3e-4),
    "sgd": lambda: keras.optimizers.SGD(0.02, momentum=0.9),
    "sgd_clipped": lambda: keras.optimizers.SGD(
        0.02, momentum=0.9, global_clipnorm=1.0
    ),
}


def digits(side):
    """Return the training digits of `mnist5k`."""
    examples = data.load("mnist5k", image_size=side)
    (images, labels), *_ = examples.epoch_batches(4000).take(1)
    return np.asarray(images), np.asarray(labels)


def parity(side):
    """Return even and odd digits: 2 classes."""
    images, labels = digits(side)
    return images, labels % 2


def hues(side):
    """Return digits in ten hues: 100 classes."""
    images, labels = digits(side)
    hue = np.random.default_rng(0).integers(0, 10, len(labels))
    palette = [colorsys.hsv_to_rgb(i / 10, 1, 1) for i in range(10)]
    colors = np.array(palette, "float32")[hue, None, None]
    return (images + MEAN) * colors - MEAN, 10 * labels + hue


def flowers(side):
    """Return all training images of the folder `--flowers`."""
    examples = data.load(_FLOWERS.value, image_size=side)
    batches = list(examples.epoch_batches(BATCH_SIZE))
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def two_flowers(side):
    """Return the flowers in two halves of their classes: 2 classes."""
    images, labels = flowers(side)
    return images, (labels > labels.max() // 2).astype(labels.dtype)


# The data, the classes, the side of an image and the network.
CASES = {
    "digits": (digits, 10, 32, STOCK),
    "parity": (parity, 2, 32, STOCK),
    "hues": (hues, 100, 32, STOCK),
    "flowers": (flowers, 12, 64, STOCK),
    "two_flowers": (two_flowers, 2, 64, STOCK),
    "v1_0": (digits, 10, 32, architecture.VARIANTS["1.0"]),
    "simple_bypass": (digits, 10, 32, architecture.VARIANTS["simple_bypass"]),
    "complex_bypass": (digits, 10, 32, architecture.VARIANTS["complex_bypass"]),
    "small_digits": (digits, 10, 28, SMALL),
    "small_parity": (parity, 2, 28, SMALL),
    "small_hues": (hues, 100, 28, SMALL),
}


def mirrored(shape, seed):
    """Return the authors' filters, every second one the negative of the last.

    The next layer subtracts the two. But for its poolings, the network starts
    linear (Balduzzi et al., 2017, "The Shattered Gradients Problem").
    """
    kernel = np.asarray(keras.initializers.LecunUniform(seed)(shape))
    if shape[2] == 3:
        return np.kron(kernel[..., ::2], [1, -1])
    return np.kron(kernel[:, :, ::2, ::2], [[1, -1], [-1, 1]])


def scaled(scale):
    """Return the authors' initializer with `scale` times its variance."""
    return lambda shape, seed: keras.initializers.VarianceScaling(
        scale, "fan_in", "uniform", seed
    )(shape)


def orthogonal(shape, seed):
    """Return orthogonal filters of norm sqrt(2), or less if there are many."""
    kernel = keras.initializers.Orthogonal(2**0.5, seed)(shape)
    return np.asarray(kernel) / max(1, shape[-1] / np.prod(shape[:-1])) ** 0.5


def he_after_small_conv1(shape, seed):
    """Return He's kernels, divided by 10 for `conv1`."""
    kernel = np.asarray(keras.initializers.HeNormal(seed)(shape))
    return kernel / 10 if shape[2] == 3 else kernel


KERNELS = {
    "xavier": scaled(1),
    "xavier_1.2": scaled(1.44),
    "he_uniform": scaled(2),
    "he_normal": lambda shape, seed: keras.initializers.HeNormal(seed)(shape),
    "he_small_conv1": he_after_small_conv1,
    "orthogonal": orthogonal,
    "lsuv": orthogonal,
    "mirrored": mirrored,
}


def initialize(model, kernels, conv10, seed, images):
    """Give `model` its initial weights."""
    keras.utils.set_random_seed(seed)
    built = rebuild(model).get_weights()
    model.set_weights(built)
    for index, layer in enumerate(model.layers):
        if not layer.weights:
            continue
        kernel, bias = layer.get_weights()
        if layer.name == "conv10":
            if conv10 not in ("built", "linear"):
                bias[:] = float(conv10)
        elif kernels != "built":
            layer_seed = 1000 * seed + index
            kernel = np.asarray(KERNELS[kernels](kernel.shape, layer_seed))
            layer.set_weights([kernel, bias])
            if kernels == "lsuv":
                output = keras.Model(model.input, layer.output)(images)
                kernel = kernel / np.std(output)
        layer.set_weights([kernel, bias])


def rebuild(model):
    """Return a new network like `model`."""
    return squeezenet.SqueezeNet(
        weights=None,
        input_shape=model.input_shape[1:],
        classes=model.output_shape[1],
        config=model.squeezenet_config,
    )


class Watch(keras.callbacks.Callback):
    """Keep the loss of each step, and stop a run that has learned."""

    def __init__(self, classes):
        super().__init__()
        self.guess = math.log(classes)
        self.total = 0.0
        self.losses = []
        self.left = None

    def mean(self):
        return float(np.mean(self.losses[-WINDOW:]))

    def on_train_batch_end(self, batch, logs):
        total = logs["loss"] * (batch + 1)
        self.losses.append(total - self.total)
        self.total = total
        if not math.isfinite(total):
            self.model.stop_training = True
        elif len(self.losses) >= WINDOW:
            if self.left is None and self.mean() < 0.9 * self.guess:
                self.left = len(self.losses)
            self.model.stop_training = self.mean() < 0.5 * self.guess


@functools.lru_cache(maxsize=1)
def load(case):
    read, _, side, _ = CASES[case]
    return read(side)


@functools.lru_cache(maxsize=1)
def compiled(case, linear, optimizer):
    """Return a compiled network and the initial state of its optimizer."""
    keras.utils.clear_session()
    _, classes, side, config = CASES[case]
    if linear:
        config = dataclasses.replace(config, conv10_activation=None)
    model = squeezenet.SqueezeNet(
        weights=None,
        input_shape=(side, side, 3),
        classes=classes,
        config=config,
    )
    model.squeezenet_config = config
    model.compile(OPTIMIZERS[optimizer](), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model, [v.numpy() for v in model.optimizer.variables]


def run(case, optimizer, kernels, conv10, seed):
    """Train one network; return its row of the results."""
    images, labels = load(case)
    model, state = compiled(case, conv10 == "linear", optimizer)
    initialize(model, kernels, conv10, seed, images[:64])
    for variable, value in zip(model.optimizer.variables, state, strict=True):
        variable.assign(value)
    batches = tf.data.Dataset.from_tensor_slices((images, labels))
    batches = batches.shuffle(len(labels), seed=seed).repeat()
    watch = Watch(CASES[case][1])
    started = time.monotonic()
    model.fit(
        batches.batch(BATCH_SIZE),
        steps_per_epoch=_STEPS.value,
        callbacks=[watch],
        verbose=0,
    )
    return {
        "first": watch.left,
        "steps": len(watch.losses),
        "loss": round(watch.mean(), 4),
        "has_left": 0 <= watch.mean() < 0.9 * watch.guess,
        "seconds": round(time.monotonic() - started, 1),
    }


def main(argv):
    if len(argv) != 2:
        raise app.UsageError("the file for the results must be given")
    path = pathlib.Path(argv[1])
    lines = path.read_text().splitlines() if path.exists() else []
    rows = {tuple(row["run"]): row for row in map(json.loads, lines)}
    table = []
    settings = (_CASES, _OPTIMIZERS, _CONV10, _KERNELS)
    for setting in itertools.product(*(flag.value for flag in settings)):
        case, optimizer, conv10, kernels = setting
        found = []
        for seed in map(int, _SEEDS.value):
            key = (*setting, seed, _STEPS.value)
            if key not in rows:
                row = run(case, optimizer, kernels, conv10, seed)
                rows[key] = {"run": key, **row}
                with path.open("a") as file:
                    print(json.dumps(rows[key]), file=file)
            found.append(rows[key])
        firsts = [row["first"] or math.inf for row in found]
        table.append(
            (
                *setting,
                f"{sum(row['has_left'] for row in found)}/{len(found)}",
                *(f"{q(firsts):.0f}" for q in (np.median, max)),
                f"{np.median([row['loss'] for row in found]):.2f}",
                f"{np.median([row['steps'] for row in found]):.0f}",
            )
        )
        print(*table[-1], flush=True)
    columns = "case optimizer conv10 kernels left after most loss steps"
    terminal.print_table(
        rich.console.Console(markup=False, highlight=False, width=100),
        report.Table("Runs that leave the plateau", columns.split(), table),
    )


if __name__ == "__main__":
    app.run(main)
