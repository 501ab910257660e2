"""Compare float32 and bfloat16 on this CPU: time of a prediction and of a step.

    python benchmarks/bfloat16.py MODEL... [--batch_size=32] [--rounds=10]

Each MODEL is one that `models.load` takes. Both precisions predict and train on
one batch of random images, in turns; the times are medians.
"""

import statistics
import time

import numpy as np
import rich.console
from absl import app
from absl import flags

from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet.cli import terminal

_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "images in a batch", 1)
_ROUNDS = flags.DEFINE_integer("rounds", 10, "calls of each kind", 1)
PRECISIONS = "float32", "mixed_bfloat16"


def main(argv):
    if len(argv) < 2:
        raise app.UsageError("at least one MODEL must be given")
    rows = [row for path in argv[1:] for row in compare(path)]
    terminal.print_table(
        rich.console.Console(markup=False, highlight=False),
        report.Table(
            f"Batches of {_BATCH_SIZE.value}",
            ("model", "call", "float32 ms", "bfloat16 ms", "ratio"),
            rows,
        ),
    )


def compare(path):
    """Yield a row for predictions and one for training steps."""
    model = models.load(path)
    rng = np.random.default_rng(0)
    shape = _BATCH_SIZE.value, *model.input_shape[1:]
    images = rng.normal(0, 60, shape).astype("float32")
    labels = rng.integers(model.output_shape[-1], size=len(images))
    copies = [models.copy(model, precision) for precision in PRECISIONS]
    for copied in copies:
        copied.compile("adam", "sparse_categorical_crossentropy")
    calls = {
        "prediction": lambda copied: copied.predict_on_batch(images),
        "training step": lambda copied: copied.train_on_batch(images, labels),
    }
    for name, call in calls.items():
        medians = list(map(statistics.median, in_turns(call, copies)))
        yield (
            f"{path}, {'x'.join(map(str, shape[1:3]))}",
            name,
            *(f"{1000 * seconds:.0f}" for seconds in medians),
            f"{medians[0] / medians[1]:.2f}",
        )


def in_turns(call, copies):
    """Return the seconds of the calls of each copy; the first is not timed."""
    seconds = [[] for _ in copies]
    for turn in range(_ROUNDS.value + 1):
        for found, copied in zip(seconds, copies):
            started = time.perf_counter()
            call(copied)
            if turn:
                found.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    app.run(main)
