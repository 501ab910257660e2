"""Measure the latency of the artifacts of a compressed model, one image a call.

    python benchmarks/latency.py squeezenet_compressed [--runs=200]

The argument is the output folder of `compress`. The artifacts take turns, call
by call, so that a slow moment of the machine affects all of them alike; quote
the ratios.
"""

import pathlib
import statistics
import time

import numpy as np
import rich.console
from absl import app
from absl import flags

from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.compression import artifacts
from keras_squeezenet.export import litert_file
from keras_squeezenet.export import saved_model

_RUNS = flags.DEFINE_integer("runs", 200, "timed calls of each artifact")
WARMUP_RUNS = 10


def main(argv):
    if len(argv) != 2:
        raise app.UsageError("the output folder of `compress` must be given")
    folder = pathlib.Path(argv[1])
    model = models.load(folder / artifacts.MODEL_FILE)
    plain, _ = saved_model.load_signature(folder / artifacts.SAVED_MODEL_FOLDER)
    packed, _ = saved_model.load_signature(folder / artifacts.PACKED_FOLDER)
    int8 = litert_file.LiteRTModel(
        (folder / artifacts.INT8_FILE).read_bytes(), num_threads=1
    )
    functions = {
        "Keras, predict_on_batch": model.predict_on_batch,
        "SavedModel": plain,
        "SavedModel, packed": packed,
        "LiteRT int8, 1 thread": int8,
    }
    rng = np.random.default_rng(0)
    image = rng.normal(0, 70, (1, *model.input_shape[1:])).astype("float32")
    seconds = time_calls(functions, image, _RUNS.value)
    medians = {name: statistics.median(seconds[name]) for name in functions}
    slowest = max(medians.values())
    table = report.Table(
        f"One image of {model.input_shape[1]}x{model.input_shape[2]}, "
        f"{_RUNS.value} calls",
        ("artifact", "median ms", "ratio"),
        [
            (name, f"{1000 * median:.2f}", f"{median / slowest:.3f}")
            for name, median in medians.items()
        ],
    )
    terminal.print_table(rich.console.Console(), table)


def time_calls(functions, image, runs):
    seconds = {name: [] for name in functions}
    for run in range(WARMUP_RUNS + runs):
        for name, predict in functions.items():
            started = time.perf_counter()
            predict(image)
            if run >= WARMUP_RUNS:
                seconds[name].append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    app.run(main)
