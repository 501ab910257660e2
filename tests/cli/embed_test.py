import csv
import functools
import json
import os

import keras
import numpy as np
import pytest
from PIL import Image

from keras_squeezenet import SqueezeNet
from keras_squeezenet import classifier
from keras_squeezenet import features
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet.cli import embed
from keras_squeezenet.data import image_ops

SIDE = 16
NAMES = ("a.png", "b.png", "sub/a.png")


@pytest.fixture
def run(run_command):
    return functools.partial(run_command, embed)


@pytest.fixture
def photos(tmp_path, monkeypatch, model_path):
    """A working folder with three images."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    pixels = rng.integers(0, 256, (3, SIDE, SIDE, 3)).astype("uint8")
    # The first two are nearly the same.
    pixels[1] = pixels[0]
    pixels[1, 0, 0] ^= 255
    for name, each in zip(NAMES, pixels):
        Image.fromarray(each).save(tmp_path / "photos" / name)
    return pixels


@pytest.fixture
def expected(model_path, photos):
    """The vectors, by Keras alone."""
    model = keras.models.load_model(model_path)
    fire9 = keras.Model(model.input, model.get_layer("fire9_concat").output)
    outputs = fire9.predict_on_batch(image_ops.normalize(photos).numpy())
    return outputs.mean(axis=(1, 2), dtype="float64")


def paths(names=NAMES):
    return [os.path.join("photos", name) for name in names]


@pytest.mark.parametrize("batch_size", [2, 32])
def test_npz_has_names_and_vectors(
    batch_size, run, photos, model_path, expected
):
    status, out, err = run(
        *("photos", f"--model={model_path}", "--out=e.npz"),
        f"--batch_size={batch_size}",
    )
    assert (status, err) == (0, "")
    assert out.endswith("3 vectors in e.npz\n")
    with np.load("e.npz", allow_pickle=False) as found:
        assert found["names"].tolist() == paths()
        assert found["embeddings"].dtype == "float32"
        np.testing.assert_allclose(found["embeddings"], expected, atol=1e-5)
    assert sorted(os.listdir()) == ["e.npz", "photos"]


def test_csv_has_a_line_for_each_image(run, photos, model_path, expected):
    name = os.fsdecode(b"photos/\xff,\n.png")
    os.rename("photos/b.png", name)
    status, _, err = run("photos", f"--model={model_path}", "--out=e.csv")
    assert (status, err) == (0, "")
    text = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    with open("e.csv", **text) as file:
        header, *rows = csv.reader(file)
    assert header == ["file", *map(str, range(expected.shape[1]))]
    found = {row[0]: np.array(row[1:], "float32") for row in rows}
    assert set(found) == {*paths(["a.png", "sub/a.png"]), name}
    np.testing.assert_allclose(found[name], expected[1], atol=1e-5)


def test_other_layers_and_poolings_are_taken(run, photos, model_path):
    run(
        *("photos/a.png", f"--model={model_path}", "--out=e.npz"),
        *("--layer=fire4", "--pooling=max"),
    )
    model = features(model_path, ["fire4"])
    images = image_ops.normalize(photos[:1]).numpy()
    outputs = model.predict_on_batch(images)["fire4"].max(axis=(1, 2))
    with np.load("e.npz") as found:
        np.testing.assert_allclose(found["embeddings"], outputs, rtol=1e-5)


def test_similar_images_are_printed_nearest_first(
    run, photos, model_path, expected
):
    status, out, err = run(
        "photos", f"--model={model_path}", "--similar_to=photos/a.png", "--json"
    )
    assert status == 0
    found = json.loads(out)
    assert (found["images"], found["out"]) == (3, None)
    # The image itself is left out.
    assert [each["file"] for each in found["similar"]] == paths(NAMES[1:])
    norms = np.linalg.norm(expected, axis=1)
    cosines = expected @ expected[0] / norms / norms[0]
    received = [each["similarity"] for each in found["similar"]]
    np.testing.assert_allclose(received, cosines[1:], atol=1e-5)
    _, out, _ = run(
        *("photos", f"--model={model_path}"),
        *("--similar_to=photos/a.png", "--top=1", "--batch_size=1"),
    )
    assert out.splitlines()[-1] == f"{cosines[1]:7.4f}  photos/b.png"


def test_vectors_of_zeros_are_similar_to_nothing():
    zeros = np.zeros((1, 4), "float32")
    found = embed.similarities(np.ones(4), "x.jpg", ["a.jpg"], zeros)
    assert list(found) == [("a.jpg", 0)]
    found = embed.similarities(zeros[0], "x.jpg", ["a.jpg"], np.ones((1, 4)))
    assert list(found) == [("a.jpg", 0)]


def test_what_cannot_be_read_is_named_and_skipped(run, photos, model_path):
    with open("photos/bad.jpg", "w") as file:
        file.write("no image")
    status, out, err = run("photos", f"--model={model_path}", "--out=e.npz")
    assert status == 1
    assert err.startswith(
        "keras-squeezenet embed: skipped, cannot be read: photos/bad.jpg: "
    )
    with np.load("e.npz") as found:
        assert found["names"].tolist() == paths()
    status, _, _ = run("photos/bad.jpg", f"--model={model_path}", "--out=n.npz")
    with np.load("n.npz") as found:
        assert (status, found["names"].size) == (1, 0)


def test_network_without_its_top_is_taken(run, photos):
    model = SqueezeNet(weights=None, include_top=False, input_shape=(32, 32, 3))
    metadata.attach(model, metadata.Metadata(image_size=32))
    models.save(model, "notop.keras")
    status, _, err = run("photos", "--model=notop.keras", "--out=e.npz")
    assert (status, err) == (0, "")
    with np.load("e.npz") as found:
        assert found["embeddings"].shape == (3, 512)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ([], "--out=FILE or --similar_to=IMAGE must be given"),
        (["--out=e.txt"], "--out must end with .npz or .csv. .*--out=e.txt"),
        (["--out=no/e.npz"], "there is no folder .*no for no/e.npz"),
        (["--out=here.csv"], "here.csv exists, and was left as it is"),
        (["--out=e.npz", "--model=a.tflite"], "embed needs a network with its"),
        (["--out=e.npz", "--model=photos"], "embed needs a network with its"),
        (["--out=e.npz", "a.keras"], "an image must be given, and the model"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    arguments, message, run, photos, monkeypatch
):
    with open("here.csv", "w"):
        pass
    monkeypatch.setattr(models, "load", None)
    with pytest.raises((ValueError, OSError), match=message):
        run("photos", *arguments)


def test_bad_layers_and_queries_are_refused_before_the_images_are_read(
    run, photos, model_path, monkeypatch
):
    read = classifier.Classifier.read

    def read_one(self, path):
        assert path == "no.png"
        return read(self, path)

    monkeypatch.setattr(classifier.Classifier, "read", read_one)
    arguments = ("photos", f"--model={model_path}", "--out=e.npz")
    with pytest.raises(ValueError, match="fire10.*Did you mean.*modules: fire"):
        run(*arguments, "--layer=fire10")
    with pytest.raises(ValueError, match="=no.png: No such file or dir"):
        run(*arguments, "--similar_to=no.png")
    assert os.listdir() == ["photos"]
