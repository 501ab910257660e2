"""The examples of README.md and docs/ run, with small settings."""

import csv
import dataclasses
import hashlib
import importlib.util
import json
import pathlib
import re
import shlex

import hub_server
import numpy as np
import pytest
import quarters
import short_networks
from absl.testing import flagsaver
from PIL import Image

from keras_squeezenet import SqueezeNet
from keras_squeezenet import architecture
from keras_squeezenet import training
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.pretrained import registry
from keras_squeezenet.pretrained import weights_file

ROOT = pathlib.Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SIDE = 65
TINY = {"base_e": 32, "incr_e": 32, "SR": 0.25}
TINY_CONFIG = f"--config={json.dumps(TINY)}"

# Flags that make the examples of a command fast.
SMALL = {
    "benchmark": ["--calls=5", "--batch_size=2"],
    "compress": ["--max_train_steps=1", "--litert=int8", "--batch_size=4"],
    "explore": ["--max_train_steps=1", "--jobs=1"],
    "finetune": [
        "--all_epochs=0",
        "--top_epochs=1",
        "--weights=tiny.npz",
        TINY_CONFIG,
    ],
    "pack": ["--images=20"],
    "sensitivity": ["--images=8", "--densities=0.5", "--bits=4"],
    "train": ["--max_train_steps=1", TINY_CONFIG],
}
# One run of `compress` has all stages, the others have the first.
ONE_STAGE = [
    "--stages=prune",
    "--litert=float32",
    "--prune_rounds=1",
    "--sensitivity_images=4",
]
PRUNE_FILTERS = [
    "--stages=prune_filters",
    "--prune_filters_epochs=0",
    "--litert=float32",
]
TRAIN_CODES = ["--stages=pack", "--litert=float32"]
# Few lambdas hardly meet a small divergence.
PACK = ["--max_kl=1"]
# Parts of the examples in Python, and what runs instead.
SMALL_PYTHON = {
    "steps_per_epoch=125, epochs=4": "steps_per_epoch=1, epochs=1",
    "steps_per_epoch=20, epochs=4": "steps_per_epoch=1, epochs=1",
    "max_train_steps=20": "max_train_steps=1",
    ".replace(epochs=": ".replace(max_train_steps=1, epochs=",
    "batch_size=16": (
        "stages=('prune',), litert=('float32',), prune_rounds=1, "
        "max_train_steps=1, density_split='proportional', overall_density=0.5"
    ),
    "target_bytes=150_000": "target_bytes=50_000, images=20",
    '"imagenet", flowers, out': '"imagenet", flowers, phases=[], out',
    'load("photos", ': 'load("flowers/daisy", ',
    'load("flowers")': f'load("flowers", image_size={SIDE})',
}
# Data that the tests do not have, or that take long, and what replaces them.
OTHER_DATA = {
    "--dataset=cifar10": "--dataset=flowers",
    "--dataset=flowers12": "--dataset=flowers",
    "--dataset=/data/shapes/1.0.0": "--dataset=flowers",
    "--dataset=photos": "--dataset=flowers/daisy",
    "--image_size=224": f"--image_size={SIDE}",
    "--target_bytes=150000": "--target_bytes=50000",
    "--target_bytes=100000": "--target_bytes=50000",
    "--target_latency=1ms": "--target_macs=0.9",
}
# Beginnings of shell commands that do not run here, and why.
NOT_RUN = {
    "pip ": "the environment of the tests stays as it is",
    "python ": "they are the tests themselves, and benchmarks",
    "KERAS_BACKEND=": "tests/backends_test.py runs the other backends",
    "cluster=": "tests/training/distributed_test.py runs several workers",
}
# Packages of an extra that `all` does not have. Blocks that name one which is
# not installed do not run.
OPTIONAL = ("mediapipe", "openvino")
# What an example reads, and the command that makes it.
MAKERS = {
    "flowers_exported/": (
        "keras-squeezenet export flowers_model/model.keras --to=litert_int8,"
        "saved_model --calibration=photos --dataset=flowers "
        "--out=flowers_exported"
    ),
    "flowers_model/": (
        "keras-squeezenet finetune --dataset=flowers --out=flowers_model"
    ),
    "imagenet_litert/": (
        "keras-squeezenet export imagenet --to=litert --out=imagenet_litert"
    ),
    "squeezenet_compressed": "keras-squeezenet compress",
    "flowers_packed/": (
        "keras-squeezenet pack flowers_model/model.keras --dataset=flowers "
        "--out=flowers_packed"
    ),
}
# Commands whose output is that of the page.
EXACT = ("explore", "predict")
# Commands of several seconds, which run until each of their flags was used.
LONG = ("compress", "finetune", "pack", "train")


class Examples:
    """Runs the examples of all pages in one folder, a command once."""

    def __init__(self, folder):
        self.folder = folder
        self.ran = set()
        # The small settings have it.
        self.used = {name: {"--image_size"} for name in LONG}

    def run_python(self, source, page, namespace):
        """Run a block, after the commands that make what it reads."""
        self.make(source)
        for old, new in SMALL_PYTHON.items():
            source = source.replace(old, new)
        exec(compile(source, page, "exec"), namespace)

    def run_command(self, line):
        """Run a command, unless it ran before; return whether it ran as is."""
        words = shlex.split(line)
        if tuple(words) in self.ran:
            return False
        self.ran.add(tuple(words))
        program, name, *arguments = words
        assert program == "keras-squeezenet", line
        is_maker = line in MAKERS.values()
        self.make(line)
        found = self.small(name, arguments, is_maker)
        command = importlib.import_module(f"keras_squeezenet.cli.{name}")
        saved = flagsaver.save_flag_values(command.FLAGS)
        try:
            positional = command.FLAGS.parse(found)
            if self.is_new(name, arguments) or is_maker:
                command.main(*positional)
        finally:
            flagsaver.restore_flag_values(saved, command.FLAGS)
        return found == arguments

    def is_new(self, name, arguments):
        """Return whether a command was not run with all of its flags before."""
        if name not in LONG:
            return True
        flags = {word.partition("=")[0] for word in arguments if "=" in word}
        flags |= {"MODEL" for word in arguments if word[0] != "-"}
        is_new = not flags <= self.used[name]
        self.used[name] |= flags
        return is_new or not flags

    def make(self, text):
        """Run the commands that make what a text names."""
        for name, line in MAKERS.items():
            if name in text:
                self.run_command(line)

    def small(self, name, arguments, is_maker):
        """Return the arguments of a command with small settings."""
        arguments = [OTHER_DATA.get(word, word) for word in arguments]
        if "--notrain" in arguments:
            return arguments
        found = arguments + SMALL.get(name, [])
        is_new = not any(
            word.endswith(".keras") or word.startswith("--weights")
            for word in arguments
        )
        if name in ("compress", "finetune", "train") and (
            "--dataset=flowers" in arguments
        ):
            found.append(f"--image_size={SIDE}")
        if name == "pack" and "--target_bytes" not in " ".join(arguments):
            found += PACK
        if name == "compress":
            stage = ONE_STAGE
            if "--recipe=fast_inference" in arguments:
                stage = PRUNE_FILTERS
            if "--recipe=small" in arguments:
                stage = TRAIN_CODES
            found += [TINY_CONFIG] * is_new
            found = _of_stages(found + stage) if arguments else found + PACK
        flags = importlib.import_module(f"keras_squeezenet.cli.{name}").FLAGS
        if "out" in flags:
            if "--out=" in " ".join(arguments):
                found.append("--overwrite")
            elif not is_maker and flags["out"].default:
                # What a maker writes stays.
                found.append(f"--out=out_{len(self.ran)}")
        return found


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """An `Examples` in a folder with images and a mirror of weights."""
    folder = tmp_path_factory.mktemp("docs")
    rng = np.random.default_rng(0)
    _write_photographs(folder, rng)
    # The same images in both classes: no network can be sure of them.
    for index in range(12):
        image = _noise(rng, SIDE)
        for name in ("daisy", "tulip"):
            path = folder / "flowers" / name
            path.mkdir(parents=True, exist_ok=True)
            image.save(path / f"{index}.png")
    (folder / "recipe.yaml").write_text("prune_schedule: constant\n")
    for name in ("cache", "mirror"):
        (folder / name).mkdir()
    config = dataclasses.replace(architecture.VARIANTS["1.1"], **TINY)
    _write_weights(config, folder / "tiny.npz")
    pytest.importorskip("huggingface_hub")
    with pytest.MonkeyPatch.context() as monkeypatch, hub_server.Hub() as hub:
        hub_server.put_in_place(monkeypatch, hub, folder / "cache")
        monkeypatch.chdir(folder)
        monkeypatch.setenv("KERAS_HOME", str(folder / "cache"))
        monkeypatch.setenv("KERAS_SQUEEZENET_MIRROR", str(folder / "mirror"))
        entries = [
            _mirrored(entry, folder / "mirror") for entry in registry.ENTRIES
        ]
        monkeypatch.setattr(registry, "ENTRIES", tuple(entries))
        quarters.pack_few_points(monkeypatch)
        quarters.untrace(monkeypatch)
        # Tracing 8 kernels takes a third of the time of 26.
        build = training.build
        monkeypatch.setattr(
            training,
            "build",
            lambda *args, **options: short_networks.shorten(
                build(*args, **options)
            ),
            raising=False,
        )
        yield Examples(folder)


def _write_photographs(folder, rng):
    samples = {"elephant": "n02504013_Indian_elephant.jpg"}
    samples["panda"] = "n02509815_lesser_panda.jpg"
    (folder / "photos").mkdir()
    for name, file in samples.items():
        path = folder / "photos" / f"{name}.jpg"
        original = SHARED / "imagenet_samples" / file
        if original.is_file():
            path.write_bytes(original.read_bytes())
        else:
            _noise(rng, 256).save(path)
    content = (folder / "photos" / "elephant.jpg").read_bytes()
    (folder / "elephant.jpg").write_bytes(content)
    with open(folder / "photographs.csv", "w", newline="") as file:
        rows = [["photos/elephant.jpg", 385], ["photos/panda.jpg", 387]]
        csv.writer(file).writerows([["path", "label"], *rows])


def _noise(rng, side):
    return Image.fromarray(rng.integers(0, 256, (side, side, 3), "uint8"))


def _mirrored(entry, mirror):
    """Return an entry with a file in the mirror: its own, or a random one."""
    own = SHARED / "weights" / entry.file.name
    if entry.file.verified and own.is_file():
        (mirror / own.name).write_bytes(own.read_bytes())
    if entry.file.verified and (own.is_file() or entry.file.url is None):
        return entry
    path = mirror / f"{entry.name}_{entry.variant}.npz"
    _write_weights(entry.config, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = weights_file.File.published(
        f"https://localhost/{path.name}", weights_file.Digest("sha256", digest)
    )
    return dataclasses.replace(entry, file=file, no_top=None)


def _write_weights(config, path):
    arrays = {}
    for layer in SqueezeNet(weights=None, config=config).layers:
        for weight in layer.weights:
            arrays[f"{layer.name}/{weight.name}"] = np.array(weight)
    np.savez(path, **arrays)


def _of_stages(words):
    """Return the flags without those that only other stages have."""
    (*_, stages) = (word for word in words if word.startswith("--stages="))
    left_out = {
        f"--{name}"
        for stage, fields in compression_recipe.FIELDS_OF_STAGES.items()
        if stage not in stages.partition("=")[2].split(",")
        for name in fields
    }
    return [word for word in words if word.partition("=")[0] not in left_out]


def _commands(text):
    """Return the lines of a block of shell, with continued lines joined."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _words(text):
    return " ".join(text.split())


@pytest.mark.end_to_end
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page, examples, capsys):
    namespace = {}
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    missing = [name for name in OPTIONAL if not importlib.util.find_spec(name)]
    for index, (language, text) in enumerate(blocks):
        if any(name in text for name in missing):
            continue
        if language == "python":
            examples.run_python(text, str(page), namespace)
        if language != "sh" or text.startswith(tuple(NOT_RUN)):
            continue
        for line in _commands(text):
            if line.startswith(tuple(NOT_RUN)):
                continue
            capsys.readouterr()
            as_is = examples.run_command(line)
            following, output = (*blocks, ("", ""))[index + 1]
            if (
                as_is
                and following == "text"
                and line.split()[1] in EXACT
                and SHARED.is_dir()
            ):
                assert _words(output) in _words(capsys.readouterr().out)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_blocks_have_a_language():
    for page in PAGES:
        fences = re.findall(r"^```(\S*)", page.read_text("utf-8"), re.MULTILINE)
        assert all(fences[::2]), page
        assert not any(fences[1::2]), page
