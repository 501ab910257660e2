"""Read damaged files of every format, and count the faults.

    python benchmarks/fuzz.py [--cases=1000] [--seed=0] [--formats=png,sqz]
        [--seconds=60] [--out=FOLDER]

A case is a small file with some damage. Case N has the seed `--seed` + N, which
determines the format and the damage. A file must be read, or refused with a
`ValueError` or an `OSError` of moderate length. These are faults:

crash    the process ends
hang     reading takes more than `--seconds`
foreign  another exception, or a message of more than 2,000 characters
memory   more than 4 times what the undamaged file takes, but at least 128 MiB,
         or 300 MB for images

The exit status is 1 if there are any faults. Each is printed with its seed, and
its file is copied to `--out`. `--seed=SEED --cases=1` runs the case again.
"""

import collections
import contextlib
import dataclasses
import json
import multiprocessing
import os
import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable

import mutations
import numpy as np
import rich.console
import small_files
from absl import app
from absl import flags

from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.report import report_files

_CASES = flags.DEFINE_integer("cases", 1000, "the number of cases", 1)
_SEED = flags.DEFINE_integer("seed", 0, "the seed of the first case", 0)
_FORMATS = flags.DEFINE_list("formats", [], "only these formats")
_SECONDS = flags.DEFINE_float("seconds", 60, "the longest time of a case", 1)
_OUT = flags.DEFINE_string("out", None, "where files of failed cases are kept")

FAULTS = ("crash", "hang", "foreign", "memory")
MAX_MESSAGE = 2000
TIMES = 4
LEAST_PEAK = 128 * 2**20
MOST_OF_IMAGES = 300 * 10**6
IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".gif", ".bmp", ".tif", ".webp", ".avif", ".jp2"),
    *(".ico", ".icns", ".tga", ".pcx", ".ppm", ".sgi", ".dds", ".qoi", ".im"),
)


@dataclasses.dataclass(frozen=True)
class Format:
    """A file to damage, and the function that reads such files.

    `door` is this function, of a path. `weight` is how often the format is
    chosen. `most` is the limit of the memory in bytes, if it is a fixed one.
    """

    path: pathlib.Path
    door: Callable
    weight: int = 10
    most: int = 0


# The functions of the package that read files.


def read_weights(path):
    from keras_squeezenet import pretrained

    return pretrained.open_weights(path).arrays


def load_model(path):
    from keras_squeezenet import models

    models.load(path)


def classify(path):
    from keras_squeezenet import classifier

    classifier.load(path)


def inspect(path):
    from keras_squeezenet import inspection

    inspection.load_kernels(path)


def read_checkpoint(path):
    from keras_squeezenet.utils import checkpoints

    checkpoints.load(path, {"seed": 0}, State)


def read_recipe(path):
    from keras_squeezenet import compression
    from keras_squeezenet.utils import recipe_fields

    recipe_fields.load(compression.Recipe, path)


def read_config(path):
    from keras_squeezenet.cli.flags import training_flags

    training_flags.ConfigParser().parse(str(path))


def read_grid(path):
    from keras_squeezenet.cli import explore
    from keras_squeezenet.exploration import grids

    grids.sizes(grids.points(explore.read_grid(str(path))))


def read_report(path):
    from keras_squeezenet.cli import inspect

    inspect.read_report(path)


def read_list(path):
    from keras_squeezenet.data import csv_list

    csv_list.load_all(path, 8, skip_bad_images=True)


def read_labels(path):
    from keras_squeezenet.cli.flags import network_flags

    network_flags.read_labels(path)


def read_image(path):
    from keras_squeezenet.data import decode

    decode.read([str(path)], 32, None, skip_bad_images=False)


@dataclasses.dataclass
class State:
    """A small checkpoint."""

    ARRAYS = ("weights",)

    epoch: int = 0
    weights: list = dataclasses.field(default_factory=list)


# The files.


def make_formats(folder: pathlib.Path) -> dict[str, Format]:
    """Write a file of each format, and return the formats by name."""
    return {
        name: found
        for make in (make_weights, make_texts, make_images, make_networks)
        for name, found in make(folder).items()
    }


def make_weights(folder):
    formats = {}
    for name, (suffix, content) in small_files.FILES.items():
        path = folder / f"{name}{suffix}"
        path.write_bytes(content)
        formats[f"weights {name}"] = Format(path, read_weights, 30)
    return formats


def make_texts(folder):
    from PIL import Image

    from keras_squeezenet import compression
    from keras_squeezenet.utils import checkpoints

    Image.new("RGB", (8, 8)).save(folder / "listed.png")
    recipe = json.dumps(dataclasses.asdict(compression.RECIPES["paper"]))
    texts = {
        "recipe.json": (recipe, read_recipe),
        "recipe.yaml": (recipe.replace(",", ",\n"), read_recipe),
        "config.json": (
            '{"SR": 0.25, "stem": {"filters": 8}, "pools": ["conv1"]}',
            read_config,
        ),
        "grid.json": ('[{"SR": [0.5, 0.25], "freq": [1, 2]}]', read_grid),
        "grid.yaml": ("SR: [0.5, 0.25]\nbypass: [null, simple]", read_grid),
        "a_report.json": (json.dumps(_report()), read_report),
        "list.csv": (
            f"path,label\n{folder}/listed.png,a\nb.png,b\n",
            read_list,
        ),
        "labels.txt": ("cat\ndog\n", read_labels),
    }
    formats = {}
    for name, (text, door) in texts.items():
        (folder / name).write_text(text)
        formats[name] = Format(folder / name, door, 30)
    state = State(3, [np.arange(6.0)])
    checkpoints.save(folder / "last.npz", state, {"seed": 0})
    formats["checkpoint"] = Format(folder / "last.npz", read_checkpoint)
    return formats


def _report():
    stage = dict.fromkeys(("accuracy", "density", "seconds"), 0.5)
    stage |= dict.fromkeys(("bytes", "gzip_bytes", "huffman_bytes"), 100)
    layer = {"name": "conv1", "shape": [3, 3, 3, 8], "weights": 216}
    layer |= {"density": 0.5, "distinct_values": 9, "bits": 4}
    layer |= {"int8_density": 0.5, "int8_distinct_values_per_channel": 8}
    file = {"name": "model.sqz", "bytes": 9, "gzip_bytes": 9, "accuracy": 0.5}
    file |= {"agreement": 1.0, "max_difference": 0.0, "source": "model"}
    return {
        "version": report_files.VERSION,
        "dataset": {"classes": ["a", "b"], "test_images": 3},
        "stages": [{"name": "dense", "distinct_values": 9, **stage}],
        "packing": None,
        "layers": [{**layer, "paper_density": None}],
        "files": [file],
    }


def make_images(folder):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), "uint8")
    formats = {}
    for suffix in IMAGE_SUFFIXES:
        path = folder / f"image{suffix}"
        # Pillow may lack a format.
        with contextlib.suppress(OSError, KeyError, ValueError):
            Image.fromarray(pixels).save(path)
            formats[suffix[1:]] = Format(
                path, read_image, 15, most=MOST_OF_IMAGES
            )
    return formats


def make_networks(folder):
    import keras

    from keras_squeezenet import SqueezeNet
    from keras_squeezenet import SqueezeNetConfig
    from keras_squeezenet import Stem
    from keras_squeezenet import codec
    from keras_squeezenet import models
    from keras_squeezenet.export import litert
    from keras_squeezenet.export import saved_model

    keras.utils.set_random_seed(0)
    config = SqueezeNetConfig(base_e=8, incr_e=8, SR=0.25, stem=Stem(4))
    model = SqueezeNet(
        weights=None,
        config=config.for_small_images(),
        input_shape=(32, 32, 3),
        classes=3,
    )
    models.save(model, folder / "model.keras")
    codec.save(model, folder / "model.sqz", labels=["a", "b", "c"])
    content = litert.convert_float32(model)
    (folder / "model.tflite").write_bytes(content)
    saved_model.save(model, folder / "saved_model")
    return {
        "keras": Format(folder / "model.keras", load_model, 40),
        "keras inspected": Format(folder / "model.keras", inspect, 20),
        "sqz": Format(folder / "model.sqz", load_model, 40),
        "tflite inspected": Format(folder / "model.tflite", inspect, 40),
        "tflite": Format(folder / "model.tflite", classify, 15),
        "SavedModel inspected": Format(folder / "saved_model", inspect, 40),
        "SavedModel": Format(folder / "saved_model", classify, 8),
    }


# One case.


def choose(seed: int, formats: dict[str, Format]) -> str:
    """Return the name of the format of a case."""
    weights = np.array([found.weight for found in formats.values()], float)
    rng = np.random.default_rng([seed, 1])
    return list(formats)[rng.choice(len(formats), p=weights / weights.sum())]


def damage(seed: int, path: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Write a damaged copy of a file, or of a folder, into a folder."""
    rng = np.random.default_rng([seed, 2])
    copy = folder / path.name
    if not path.is_dir():
        copy.write_bytes(mutations.mutate(rng, path.read_bytes()))
        return copy
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    inside = sorted(file for file in copy.rglob("*") if file.is_file())
    chosen = inside[rng.integers(len(inside))]
    chosen.write_bytes(mutations.mutate(rng, chosen.read_bytes()))
    return copy


def outcome(door: Callable, path: pathlib.Path) -> str:
    """Return `"read"`, `"refused: ..."`, or `"foreign: ..."`."""
    try:
        door(path)
    except (ValueError, OSError) as error:
        if len(str(error)) > MAX_MESSAGE:
            return f"foreign: a message of {len(str(error)):,} characters"
        return f"refused: {error}"
    except Exception as error:
        return f"foreign: {error!r:.200}"
    return "read"


def measure(door: Callable, path: pathlib.Path) -> tuple[str, int]:
    """Return the outcome, and the bytes of memory that it took."""
    before = _resident("VmRSS", reset=True)
    found = outcome(door, path)
    return found, _resident("VmHWM") - before


def _resident(field, reset=False):
    """Return a memory size of this process; `reset` resets the peak."""
    if reset:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


# Processes.


def work(connection, files, folder):
    """Answer each `(seed, name)` with what `measure` returns.

    With `None` as the seed, the undamaged file is read.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    while True:
        seed, name = connection.recv()
        found = files[name]
        path = found.path
        if seed is not None:
            path = damage(seed, path, folder)
        connection.send(measure(found.door, path))


class Worker:
    """A process that reads files, and is replaced if it crashes or hangs."""

    def __init__(self, formats, folder):
        self.formats = formats
        self.folder = folder
        self.start()

    def start(self):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(
            target=work, args=(other, self.formats, self.folder), daemon=True
        )
        self.process.start()
        other.close()

    def stop(self):
        self.process.kill()
        self.process.join()

    def run(self, seed, name, seconds):
        """Return the outcome and the memory; see `work`."""
        self.connection.send((seed, name))
        try:
            if self.connection.poll(seconds):
                return self.connection.recv()
            fault = "hang"
        except EOFError:
            self.process.join()
            fault = f"crash: status {self.process.exitcode}"
        self.stop()
        self.start()
        return fault, 0


def main(_):
    console = rich.console.Console(width=100)
    with tempfile.TemporaryDirectory() as temporary:
        whole, damaged = (
            pathlib.Path(temporary, name) for name in ("whole", "damaged")
        )
        whole.mkdir()
        damaged.mkdir()
        formats = make_formats(whole)
        worker = Worker(formats, damaged)
        try:
            counts = run(formats, worker, _SECONDS.value, seeds(formats), keep)
        finally:
            worker.stop()
    terminal.print_table(console, table(counts))
    if any(row[fault] for row in counts.values() for fault in FAULTS):
        sys.exit(1)


def seeds(formats):
    """Yield the seed and the format of each case."""
    for seed in range(_SEED.value, _SEED.value + _CASES.value):
        name = choose(seed, formats)
        if not _FORMATS.value or name in _FORMATS.value:
            yield seed, name


def run(formats, worker, seconds, cases, keep):
    """Run the cases, and return the counts of each format.

    `keep` is called with the seed of each case that fails, and the path of its
    file.
    """
    counts = collections.defaultdict(collections.Counter)
    limits = {}
    for seed, name in cases:
        if name not in limits:
            # The first reading also loads libraries, so it does not count.
            for _ in range(2):
                found, honest = worker.run(None, name, 10 * seconds)
            assert found == "read", f"{name}: {found}"
            limits[name] = formats[name].most or max(LEAST_PEAK, TIMES * honest)
        start = time.monotonic()
        found, peak = worker.run(seed, name, seconds)
        took = time.monotonic() - start
        kind = found.partition(":")[0]
        if kind not in FAULTS and peak > limits[name]:
            kind, found = "memory", f"memory: {peak / 2**20:,.0f} MiB"
        counts[name].update({"cases": 1, kind: 1, "seconds": took})
        counts[name]["MiB"] = max(counts[name]["MiB"], peak // 2**20)
        if kind in FAULTS:
            print(f"{name}, --seed={seed} --cases=1: {found}", flush=True)
            keep(seed, worker.folder / formats[name].path.name)
    return counts


def keep(seed, path):
    """Copy the file of a failed case to `--out`."""
    if _OUT.value:
        target = pathlib.Path(_OUT.value, f"{seed}_{path.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if path.is_dir() else shutil.copy)(path, target)


def table(counts):
    columns = ("cases", "read", "refused", *FAULTS, "seconds", "MiB")
    rows = [
        {"format": name, **{column: row[column] for column in columns}}
        for name, row in sorted(counts.items())
    ]
    total = {column: sum(row[column] for row in rows) for column in columns}
    total["MiB"] = max((row["MiB"] for row in rows), default=0)
    return report.Table.of(
        "Damaged files",
        [*rows, {"format": "all", **total}],
        {
            "format": "format",
            **{column: f"{column}:,.0f" for column in columns},
        },
    )


if __name__ == "__main__":
    app.run(main)
