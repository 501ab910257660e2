"""Commands run with every pair of values of their options.

A run ends well, or in a refusal that names two of the options.
"""

import itertools
import json
import random
import types

import keras
import pytest
import quarters
from keras import layers
from PIL import Image

from keras_squeezenet import codec
from keras_squeezenet import data
from keras_squeezenet import models
from keras_squeezenet import training
from keras_squeezenet.cli import compress
from keras_squeezenet.cli import export
from keras_squeezenet.cli import finetune
from keras_squeezenet.cli import pack
from keras_squeezenet.cli import train
from keras_squeezenet.compression import artifacts
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.export import exporter
from keras_squeezenet.export import formats
from keras_squeezenet.training import training_recipe

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end]

AUGMENTATION = ("none", "crop", "flip_crop")
PRECISION = training_recipe.PRECISIONS
TRAIN = {
    "optimizer": training_recipe.OPTIMIZERS,
    "schedule": training_recipe.SCHEDULES,
    "augmentation": AUGMENTATION,
    "precision": PRECISION,
    "accumulation": (1, 2),
    "average": (0, 0.9),
    "clip_norm": (0, 1),
    "cutmix": (0, 0.5),
    "distribution": (None, "mirrored"),
    "label_smoothing": (0, 0.1),
    "class_weight": (None, "balanced"),
    "focal": (0, 2),
    "mixup": (0, 0.2),
    "patience": (None, 1),
    "rand_augment": (0, 0.1),
    "restarts": (0, 3),
    "warmup": (0, 0.5),
    "weight_decay": (0, 1e-3),
}
FINETUNE = {
    "augmentation": AUGMENTATION,
    "precision": PRECISION,
    "top_epochs": (0, 1),
    "all_epochs": (0, 1),
    "learning_rate_factor": (1, 0.1),
    "label_smoothing": (0, 0.1),
    "class_weight": (None, "balanced"),
    "focal": (0, 2),
}
COMPRESS = {
    # Each stage may be left out: `None`.
    "prune": ("prune", "prune,densify", None),
    "quantize": ("quantize", None),
    "last": ("cluster", "pack", None),
    "augmentation": AUGMENTATION,
    "average_bits": (None, 6),
    "cluster_initialization": compression_recipe.INITIALIZATIONS,
    "density_split": compression_recipe.SPLITS,
    "keep_frozen": ("false", "true"),
    "litert": compression_recipe.LITERT_TYPES,
    "max_accuracy_drop": (None, 100),
    "overall_density": (None, 0.5),
    "prune_pattern": (None, "2:4"),
    "prune_schedule": compression_recipe.SCHEDULES,
    "target_bytes": (None, 2000),
    "pack_epochs": (0, 1),
    "class_weight": (None, "balanced"),
    "focal": (0, 2),
    "quantize_epochs": (0, 1),
    "quantize_preserve": [*compression_recipe.PRESERVED],
}
PACK = {
    "target_bytes": (None, 2000),
    "max_kl": (None, 0.1),
    "finetune": (0, 1),
    "raw_images": ("false", "true"),
    "json": ("false", "true"),
    "normalization": (None, "caffe"),
}
EXPORT = {
    "to": tuple(formats.FORMATS),
    "suffix": (".keras", ".sqz"),
    "input": exporter.INPUTS,
    # Whether there are such images.
    "calibration": (True, False),
    "dataset": (True, False),
    "image_size": (None, quarters.SIDE),
    "images": (1, 8),
    "labels": (True, False),
    "normalization": (None, "caffe"),
    "json": ("false", "true"),
}


def pairs_of(row):
    return set(itertools.combinations(row.items(), 2))


def covering(options):
    """Return rows of values in which every pair of values is, greedily."""
    left = {
        pair
        for two in itertools.combinations(options, 2)
        for pair in itertools.product(
            *([(name, value) for value in options[name]] for name in two)
        )
    }
    rows = []
    # Of sixty seeds, the one with the fewest rows.
    rng = random.Random(17)
    while left:
        first = min(left, key=str)
        tries = [_extend(first, options, left, rng) for _ in range(3)]
        row = max(tries, key=lambda each: len(pairs_of(each) & left))
        left -= pairs_of(row)
        rows.append(row)
    return rows


def _extend(pair, options, left, rng):
    """Return a row with a pair, and one value after another that adds most."""
    row = dict(pair)
    others = [name for name in options if name not in row]
    for name in rng.sample(others, len(others)):
        row[name] = max(
            rng.sample(options[name], len(options[name])),
            key=lambda value: sum(
                ((name, value), each) in left or (each, (name, value)) in left
                for each in row.items()
            ),
        )
    return {name: row[name] for name in options}


def shown(row):
    return "-".join(f"{value}" for value in row.values())


def every_pair(options):
    return pytest.mark.parametrize("row", covering(options), ids=shown)


def make_tiny():
    """A SqueezeNet of one Fire module, with a frozen layer."""
    inputs = keras.Input((quarters.SIDE, quarters.SIDE, 3))
    x = layers.Conv2D(8, 3, 4, activation="relu", name="conv1")(inputs)
    x = layers.Conv2D(4, 1, activation="relu", name="fire2_squeeze1x1")(x)
    one = layers.Conv2D(8, 1, activation="relu", name="fire2_expand1x1")(x)
    three = layers.Conv2D(
        8, 3, padding="same", activation="relu", name="fire2_expand3x3"
    )(x)
    x = layers.Concatenate(name="fire2_concat")([one, three])
    x = layers.Conv2D(quarters.CLASSES, 1, name="conv10")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Softmax()(x), name="tiny")
    model.get_layer("conv1").trainable = False
    return model


@pytest.fixture
def run(run_command, dataset, untraced, monkeypatch, tmp_path):
    """Returns a function that runs a command; `None` is an option left out."""
    monkeypatch.setattr(data, "load", lambda name, **options: dataset)
    monkeypatch.setattr(training, "build", lambda *arguments: make_tiny())

    def run(command, row, *arguments):
        flags = [
            f"--{name}={value}"
            for name, value in row.items()
            if value is not None
        ]
        out = f"--out={tmp_path / 'out'}"
        try:
            status, _, _ = run_command(command, *arguments, *flags, out)
        except ValueError as error:
            named = [name for name in row if name in str(error)]
            assert len(named) == 2, error
            assert not (tmp_path / "out").exists()
        else:
            assert status == 0

    return run


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number, pixels in enumerate(quarters.make_images(12, 0)[0]):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def tiny_path(tmp_path):
    models.save(make_tiny(), tmp_path / "tiny.keras")
    return tmp_path / "tiny.keras"


def test_every_pair_is_covered():
    for options in (TRAIN, FINETUNE, COMPRESS, PACK, EXPORT):
        found = set().union(*map(pairs_of, covering(options)))
        for (one, values), (two, others) in itertools.combinations(
            options.items(), 2
        ):
            for pair in itertools.product(values, others):
                assert ((one, pair[0]), (two, pair[1])) in found


@every_pair(TRAIN)
def test_train(row, run):
    run(train, row, "--epochs=2", "--max_train_steps=4", "--batch_size=16")


@every_pair(FINETUNE)
def test_finetune(row, run):
    run(finetune, row, "--batch_size=32")


@every_pair(COMPRESS)
def test_compress(row, run, tiny_path, monkeypatch):
    nothing = types.SimpleNamespace(
        **dict.fromkeys(
            ("save", "save_quantized"), lambda *arguments, **options: None
        )
    )
    # They depend on no option, and take long.
    for name in ("saved_model", "packed_saved_model"):
        monkeypatch.setattr(artifacts, name, nothing)
    monkeypatch.setattr(
        artifacts.Written, "add_saved_model", lambda *arguments: None
    )
    row = dict(row)
    quarters.pack_few_points(monkeypatch)
    used = {row.pop(name) for name in list(row)[:3]}
    order = ("prune,densify", "prune", "cluster", "quantize", "pack")
    row["stages"] = ",".join(stage for stage in order if stage in used)
    for stage, fields in compression_recipe.FIELDS_OF_STAGES.items():
        if stage not in row["stages"].split(","):
            # Their flags are refused.
            for name in fields:
                row.pop(name, None)
    run(compress, row, tiny_path, "--max_train_steps=2")


@every_pair(PACK)
def test_pack(row, run, tiny_path, photographs, monkeypatch):
    quarters.pack_few_points(monkeypatch)
    run(pack, row, tiny_path, f"--dataset={photographs}", "--images=10")


@pytest.fixture
def exported(run_command, photographs, tmp_path):
    """Returns a function that exports the tiny network, as a row says."""
    labeled = tmp_path / "labeled"
    for number, path in enumerate(sorted(photographs.iterdir())):
        folder = labeled / "abcd"[number % quarters.CLASSES]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).write_bytes(path.read_bytes())
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\nd\n")
    files = {"calibration": photographs, "dataset": labeled, "labels": names}

    def exported(row):
        row = dict(row)
        path = tmp_path / f"tiny{row.pop('suffix')}"
        (codec if path.suffix == ".sqz" else models).save(make_tiny(), path)
        for name, value in files.items():
            row[name] = value if row[name] else None
        out = tmp_path / "out"
        flags = [
            f"--{name}={value}"
            for name, value in row.items()
            if value is not None
        ]
        status, printed, _ = run_command(export, path, *flags, f"--out={out}")
        assert status == 0
        summary = json.loads((out / "export.json").read_text())
        if row["json"] == "true":
            assert json.loads(printed) == summary
        return summary

    return exported


@every_pair(EXPORT)
def test_export(row, exported, tmp_path):
    format = formats.FORMATS[row["to"]]
    for package in format.packages:
        pytest.importorskip(package)
    if format.needs_calibration and not row["calibration"]:
        with pytest.raises(ValueError, match=f"{format.name} .*--calibration"):
            exported(row)
        assert not (tmp_path / "out").exists()
        return
    summary = exported(row)
    (file,) = summary["files"]
    assert (tmp_path / "out" / file["name"]).exists()
    assert summary["image_size"] == quarters.SIDE
    assert summary["compared_on"] == (
        "test"
        if row["dataset"]
        else "calibration"
        if row["calibration"]
        else "random"
    )
    assert (file["accuracy"] is None) == (not row["dataset"])
    if format.tolerance:
        assert file["max_difference"] <= format.tolerance
        assert file["accuracy"] == summary["accuracy"]
    is_raw = format.takes_photographs and row["input"] == "photographs"
    assert file["normalization"] == ("raw" if is_raw else "caffe")
