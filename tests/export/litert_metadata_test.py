"""TFLite Metadata, as its schema and as MediaPipe read it."""

import io
import json
import os
import pathlib
import re
import struct
import subprocess
import zipfile

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated
from PIL import Image

from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet.export import litert
from keras_squeezenet.export import litert_file
from keras_squeezenet.export import litert_metadata
from keras_squeezenet.export import photograph_input

SIDE = 8
COLORS = ("red", "green", "blue", "grün")
# Fields of the tables of the schema by number, and elements of lists.
FIRST = [0]
GRAPH = (3, FIRST)
INPUT, OUTPUT = (*GRAPH, 2, FIRST), (*GRAPH, 3, FIRST)
NORMALIZATION = (*INPUT, 4, FIRST)
# A Python with the package mediapipe, whose dependencies are not ours.
MEDIAPIPE = os.environ.get("KERAS_SQUEEZENET_MEDIAPIPE_PYTHON")
CLASSIFY = """
import json, sys
from mediapipe import Image
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision
file, *photographs = sys.argv[1:]
options = vision.ImageClassifierOptions(
    base_options=tasks.BaseOptions(model_asset_path=file), max_results=5
)
with vision.ImageClassifier.create_from_options(options) as classifier:
    for path in photographs:
        found = classifier.classify(Image.create_from_file(path))
        (head,) = found.classifications
        print(json.dumps({c.category_name: c.score for c in head.categories}))
"""
needs_mediapipe = pytest.mark.skipif(
    not MEDIAPIPE,
    reason="KERAS_SQUEEZENET_MEDIAPIPE_PYTHON names no Python with mediapipe",
)


def make_model(classes=4):
    """The logits of the first three classes are the means of R, G and B."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(3, 1, name="conv1")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    dense = keras.layers.Dense(classes, activation="softmax", name="head")
    model = keras.Model(inputs, dense(x))
    model.get_layer("conv1").set_weights([np.eye(3)[None, None], np.zeros(3)])
    dense.set_weights([np.eye(3, classes) / 50, np.zeros(classes)])
    return model


@pytest.fixture(scope="module")
def plain():
    """A LiteRT file without metadata."""
    return litert.convert_float32(make_model())


def walk(content, path):
    """Return the position of a field of a flatbuffer."""

    def number(kind, at):
        return struct.unpack_from(f"<{kind}", content, at)[0]

    def follow(at):
        return at + number("I", at)

    at = 0
    for step in path:
        at = follow(at)
        if isinstance(step, list):
            assert step[0] < number("I", at)
            at += 4 + 4 * step[0]
            continue
        table = at - number("i", at)
        assert number("H", table) > 4 + 2 * step, "the field is not there"
        offset = number("H", table + 4 + 2 * step)
        assert offset, "the field is not there"
        at += offset
    return at


def read_bytes(content, path, size=1):
    at = walk(content, path)
    at += struct.unpack_from("<I", content, at)[0]
    count = struct.unpack_from("<I", content, at)[0]
    return content[at + 4 : at + 4 + size * count]


def read_text(content, path):
    return read_bytes(content, path).decode()


def read_floats(content, path):
    return np.frombuffer(read_bytes(content, path, 4), "<f4").tolist()


def metadata_of(content):
    model = schema_py_generated.ModelT.InitFromPackedBuf(content)
    (buffer,) = (
        model.buffers[each.buffer].data
        for each in model.metadata
        if each.name == b"TFLITE_METADATA"
    )
    return bytes(buffer)


def test_metadata_have_the_fields_of_the_schema(plain):
    found = metadata.Metadata("tf", 8, 3, COLORS)
    content = metadata_of(litert_metadata.append(plain, found, "colors"))
    assert content[4:8] == b"M001"
    assert read_text(content, (0,)) == "colors"
    assert read_text(content, (7,)) == "1.0.0"
    assert read_text(content, (*INPUT, 0)) == "images"
    # An image, in the color space RGB.
    assert content[walk(content, (*INPUT, 3, 0))] == 2
    assert content[walk(content, (*INPUT, 3, 1, 0))] == 1
    assert content[walk(content, (*NORMALIZATION, 0))] == 1
    assert read_floats(content, (*NORMALIZATION, 1, 0)) == [127.5] * 3
    assert read_floats(content, (*NORMALIZATION, 1, 1)) == [127.5] * 3
    assert read_text(content, (*OUTPUT, 0)) == "probabilities"
    assert read_text(content, (*OUTPUT, 6, FIRST, 0)) == "labels.txt"
    assert content[walk(content, (*OUTPUT, 6, FIRST, 2))] == 2


def test_photographs_have_mean_0_and_deviation_1(plain):
    found = metadata.Metadata("raw", 8)
    content = metadata_of(litert_metadata.append(plain, found))
    assert read_floats(content, (*NORMALIZATION, 1, 0)) == [0, 0, 0]
    assert read_floats(content, (*NORMALIZATION, 1, 1)) == [1, 1, 1]


def test_bgr_has_no_normalization(plain):
    found = metadata.Metadata("caffe", 8)
    content = metadata_of(litert_metadata.append(plain, found))
    assert read_text(content, (*INPUT, 0)) == "images"
    with pytest.raises(AssertionError, match="not there"):
        walk(content, NORMALIZATION)


def test_labels_and_metadata_are_members_of_the_file(plain, tmp_path):
    found = metadata.Metadata(
        "raw", 8, 3, ("red", "two\nlines", "blue", "grün")
    )
    content = litert_metadata.append(plain, found)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        labels = archive.read("labels.txt").decode()
        assert set(archive.namelist()) == {"labels.txt", metadata.MEMBER}
    assert labels == "red\ntwo\\nlines\nblue\ngrün\n"
    (tmp_path / "model.tflite").write_bytes(content)
    assert metadata.read(tmp_path / "model.tflite") == found
    assert content == litert_metadata.append(plain, found)


def test_1000_classes_without_names_are_those_of_imagenet():
    model = make_model(1000)
    metadata.attach(model, metadata.describe(model))
    content = litert.convert_float32(model)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        labels = archive.read("labels.txt").decode().splitlines()
    assert len(labels) == 1000
    assert (labels[0], labels[385]) == ("tench", "Indian_elephant")


def test_outputs_and_the_alignment_of_weights_stay(plain):
    content = litert_metadata.append(plain, metadata.Metadata("raw", 8))
    images = np.random.default_rng(0).uniform(0, 255, (4, SIDE, SIDE, 3))
    np.testing.assert_array_equal(
        *(
            litert_file.LiteRTModel(each)(images.astype("float32"))
            for each in (plain, content)
        )
    )
    model = schema_py_generated.Model.GetRootAs(content)
    large = 0
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength() >= 16:
            start = buffer._tab.Vector(buffer._tab.Offset(4))
            assert start % 16 == 0
            large += 1
    assert large >= 2


def test_file_without_metadata_stays(plain):
    assert litert_metadata.append(plain, None) is plain


def classify(file, photographs):
    """Classify photographs with MediaPipe; return `{name: score}` of each."""
    ended = subprocess.run(
        [MEDIAPIPE, "-c", CLASSIFY, str(file), *map(str, photographs)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def write(folder, kind, model, calibration):
    path = folder / f"{kind}.tflite"
    getattr(litert, f"write_{kind}")(model, path, calibration)
    return path


@needs_mediapipe
@pytest.mark.parametrize("kind", ["litert", "litert_float16", "litert_int8"])
def test_mediapipe_takes_photographs_and_names_their_classes(kind, tmp_path):
    model = make_model()
    found = metadata.Metadata("raw", SIDE, 3, COLORS)
    metadata.attach(model, found)
    colors = np.array([[200, 100, 0], [10, 60, 160]])
    squares = np.broadcast_to(colors[:, None, None], (2, SIDE, SIDE, 3))
    paths = [tmp_path / "first.png", tmp_path / "second.png"]
    for path, square in zip(paths, squares):
        Image.fromarray(square.astype("uint8")).save(path)
    file = write(tmp_path, kind, model, squares.astype("float32"))
    for color, scores in zip(colors, classify(file, paths)):
        exp = np.exp([*(color / 50), 0])
        expected = dict(zip(COLORS, exp / exp.sum()))
        assert scores == pytest.approx(expected, abs=0.02)


@needs_mediapipe
def test_example_of_the_documents_runs(tmp_path):
    page = pathlib.Path(__file__).parents[2] / "docs" / "deployment.md"
    blocks = re.findall(
        r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S
    )
    (example,) = (each for each in blocks if "mediapipe" in each)
    photo = tmp_path / "flowers" / "daisy" / "0.png"
    file = tmp_path / "flowers_exported" / "model_int8.tflite"
    photo.parent.mkdir(parents=True)
    file.parent.mkdir()
    square = np.full((SIDE, SIDE, 3), (200, 100, 0), "uint8")
    Image.fromarray(square).save(photo)
    model = make_model()
    metadata.attach(model, metadata.Metadata("raw", SIDE, 3, COLORS))
    written = write(
        tmp_path, "litert_int8", model, square[None].astype("float32")
    )
    written.rename(file)
    ended = subprocess.run(
        [MEDIAPIPE, "-c", example],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    # The fourth class has the score of the channel that is 0.
    assert [line.split()[1] for line in lines[:2]] == ["red", "green"]


@needs_mediapipe
def test_mediapipe_squeezes_the_whole_photograph_into_a_square(tmp_path):
    stripes = np.repeat(np.eye(3, dtype="uint8") * 150, SIDE, axis=0)
    photo = tmp_path / "stripes.png"
    Image.fromarray(np.stack([stripes] * SIDE)).save(photo)
    model = make_model()
    metadata.attach(model, metadata.Metadata("raw", SIDE, 3, COLORS))
    file = write(tmp_path, "litert", model, np.zeros((1, SIDE, SIDE, 3), "f4"))
    (scores,) = classify(file, [photo])
    # The center alone is green, with which red and blue would have 0.04.
    assert min(scores[name] for name in COLORS[:3]) > 0.2


@needs_mediapipe
@pytest.mark.end_to_end
@pytest.mark.slow
def test_mediapipe_classifies_photographs(shared_data, photographs, tmp_path):
    weights = "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz"
    model = models.load(
        shared_data / "weights" / weights, normalization="squeezenet"
    )
    taking = photograph_input.photograph_input(model)
    paths = photographs[::100]
    names = [path.stem.partition("_")[2] for path in paths]
    squares = [
        np.array(Image.open(path).convert("RGB").resize((227, 227)), "float32")
        for path in paths
    ]
    for kind in ("litert", "litert_int8"):
        file = write(tmp_path, kind, taking, np.stack(squares))
        scores = classify(file, paths)
        found = [max(each, key=each.get) for each in scores]
        assert sum(map(str.__eq__, found, names)) >= 6, found
