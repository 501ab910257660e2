import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import Stem
from keras_squeezenet import data
from keras_squeezenet.cli import main
from keras_squeezenet.cli import sensitivity as command
from keras_squeezenet.compression import tf_keras_twin

SIDE = 16
CLASSES = ("bird", "cat", "dog")


@pytest.fixture(scope="module")
def model_path(tmp_path_factory, randomize):
    model = SqueezeNet(
        weights=None,
        input_shape=(SIDE, SIDE, 3),
        classes=len(CLASSES),
        config=SqueezeNetConfig(
            base_e=8, incr_e=8, SR=0.25, stem=Stem(8), pools=("conv1", "fire4")
        ).for_small_images(),
    )
    path = tmp_path_factory.mktemp("sensitivity") / "model.keras"
    randomize(model).save(path)
    return path


@pytest.fixture
def dataset(monkeypatch):
    """120 images of noise, of which 12 are held out."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (120, SIDE, SIDE, 3)).astype("uint8")
    examples = tf.data.Dataset.from_tensor_slices((images, np.arange(120) % 3))
    found = data.ImageDataset(
        name="noise",
        class_names=CLASSES,
        train=data.Examples(examples),
        test=data.Examples(examples.take(3)),
    )
    monkeypatch.setattr(data, "load", lambda name, **options: found)
    return found


@pytest.fixture
def run(run_command, dataset):
    def run(*arguments):
        status, out, _ = run_command(command, *arguments)
        assert status == 0
        return out

    return run


def test_command_is_listed():
    assert "sensitivity" in main.COMMANDS


def test_tables_have_the_figures_of_the_json_and_the_model_stays(
    run, model_path, tmp_path
):
    content = model_path.read_bytes()
    out = tmp_path / "out"
    flags = ["--densities=0.5,0.1", "--bits=8,2"]
    printed = run(model_path, *flags, f"--out={out}")
    scan = json.loads((out / "sensitivity.json").read_text())
    assert scan["images"] == 12
    kernels = tf_keras_twin.kernels(keras.models.load_model(model_path))
    assert [row["name"] for row in scan["layers"]] == list(kernels)
    lines = [line.split() for line in printed.splitlines()]
    for row in scan["layers"]:
        assert row["weights"] == kernels[row["name"]].size
        for points in ("densities", "bits"):
            cells = [f"{point['accuracy']:.2%}" for point in row[points]]
            assert [row["name"], f"{row['weights']:,}", *cells] in lines
    assert ["layer", "weights", "50%", "10%"] in lines
    assert ["layer", "weights", "8", "bits", "2", "bits"] in lines
    assert max(map(len, printed.splitlines())) <= 100
    assert (out / "sensitivity.png").read_bytes().startswith(b"\x89PNG")
    assert model_path.read_bytes() == content


def test_json_is_all_that_goes_to_the_output(run, model_path):
    printed = run(
        *(model_path, "--densities=0.5", "--bits=4", "--json", "--images=6")
    )
    scan = json.loads(printed)
    assert scan["images"] == 6
    assert [point["density"] for point in scan["layers"][0]["densities"]] == [
        0.5
    ]


@pytest.mark.parametrize(
    "arguments,message",
    [
        ([], "one .keras model is expected. Received: none"),
        (["a.h5"], "one .keras model is expected. Received: a.h5"),
        (["a.keras", "b.keras"], "Received: a.keras b.keras"),
        (["a.keras", "--densities=0"], "at most 1. Received: --densities=0"),
        (["a.keras", "--bits=1"], "from 2 to 8. Received: --bits=1"),
        (["a.keras", "--bits=x"], "from 2 to 8. Received: --bits=x"),
        (["a.keras", "--bits="], "from 2 to 8. Received: --bits="),
        (["missing.keras"], "missing.keras"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, run):
    with pytest.raises((ValueError, OSError), match=message):
        run(*arguments)


def test_folder_with_content_is_refused_before_the_scan(
    run, model_path, tmp_path
):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        run(model_path, f"--out={tmp_path}")


def test_model_of_another_shape_is_refused(run, tmp_path):
    other = SqueezeNet(
        weights=None,
        input_shape=(32, 32, 3),
        classes=3,
        config=SqueezeNetConfig(base_e=8, incr_e=8, stem=Stem(8)),
    )
    other.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"16, 16, 3\).*32, 32, 3\)"):
        run(tmp_path / "other.keras")
