import collections
import functools
import json
import os
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from keras_squeezenet import classifier
from keras_squeezenet import data
from keras_squeezenet import imagenet
from keras_squeezenet.cli import evaluate
from keras_squeezenet.data import catalog
from keras_squeezenet.evaluation import class_activation

SIDE = 4
LEVELS = 7
NAMES = tuple("abcdefg")


class Stub:
    """A network that finds the class that is an image's level of grey."""

    def __init__(self):
        self.names = NAMES
        self.batches = []

    def __call__(self, x):
        self.batches.append(len(x))
        levels = np.round(x[:, 0, 0, 2] + 123.68).astype(int)
        # The classes behind the right one are the next probable ones.
        distances = (np.arange(LEVELS) - levels[:, np.newaxis]) % LEVELS
        return (0.5 ** (distances + 1)).astype("float32")

    def load(self, path, *options):
        classes = self.names
        if classes and isinstance(classes[0], str):
            classes = tuple((None, name) for name in classes)
        return classifier.Classifier(path, self, SIDE, classes)


@pytest.fixture
def stub(monkeypatch):
    stub = Stub()
    monkeypatch.setattr(classifier, "load", stub.load)
    return stub


@pytest.fixture
def run(run_command):
    return functools.partial(run_command, evaluate)


@pytest.fixture
def measured(run):
    """Returns a function that runs the command and parses its JSON."""

    def measured(*arguments):
        status, out, _ = run("--json", *arguments)
        assert status == 0
        return json.loads(out)

    return measured


def write_image(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((SIDE, SIDE, 3), level, "uint8")).save(path)


@pytest.fixture
def folder(tmp_path):
    """Test images of levels that are the classes but for two images.

    Of `a` one of four is taken for `b`, of `c` the only one for `b`; of each
    other class there is one.
    """
    root = tmp_path / "images"
    for label, name in enumerate(NAMES):
        levels = {"a": [0, 0, 1, 0], "c": [1]}.get(name, [label])
        for number, level in enumerate(levels):
            write_image(root / "test" / name / f"{number}.png", level)
        write_image(root / "train" / name / "0.png", label)
    return root


@pytest.fixture
def from_folder(folder):
    return "stub", f"--dataset={folder}"


@pytest.fixture
def write_csv(tmp_path):
    """Returns a function of labels; the images have the levels 0, 1, 2, ..."""

    def write_csv(*found):
        lines = ["path,label"]
        for level, label in enumerate(found):
            write_image(tmp_path / "photos" / f"{level}.png", level)
            lines.append(f"photos/{level}.png,{label}")
        path = tmp_path / "list.csv"
        path.write_text("\n".join(lines))
        return f"--dataset={path}"

    return write_csv


def test_figures_are_those_of_the_test_images(stub, from_folder, measured):
    found = measured(*from_folder)
    assert (found["images"], found["top1"]) == (10, 0.8)
    # Of the image of `c` it is the second one, of the one of `a` the last.
    assert found["top5"] == 0.9
    assert found["split"] == "test"
    a, b, c, d = found["classes"][:4]
    assert a == {
        "index": 0,
        "wordnet_id": None,
        "label": "a",
        "images": 4,
        "predicted": 3,
        "recall": 0.75,
        "precision": 1,
    }
    assert (b["recall"], b["precision"]) == (1, pytest.approx(1 / 3))
    assert (c["recall"], c["precision"]) == (0, None)
    assert (d["images"], d["predicted"]) == (1, 1)
    assert {"true": 0, "predicted": 1, "images": 1} in found["confusion"]
    assert sum(cell["images"] for cell in found["confusion"]) == 10


@pytest.mark.parametrize("split,size", [("train", 7), ("all", 17)])
def test_other_splits_are_measured_on(split, size, stub, from_folder, measured):
    found = measured(*from_folder, f"--split={split}")
    assert (found["split"], found["images"]) == (split, size)
    wrong = sum(
        cell["images"]
        for cell in found["confusion"]
        if cell["true"] != cell["predicted"]
    )
    assert wrong == {"train": 0, "all": 2}[split]


def test_classes_in_another_order_are_matched_by_name(
    stub, from_folder, measured
):
    stub.names = NAMES[1:] + NAMES[:1]
    found = measured(*from_folder)
    # Level 0 is `b` now: right is the only image of `c`, whose level is 1.
    assert found["top1"] == 0.1
    recalls = {row["label"]: row["recall"] for row in found["classes"]}
    assert recalls == {**dict.fromkeys(NAMES, 0), "c": 1}


def test_classes_of_other_names_are_refused(stub, from_folder, run):
    stub.names = ("a", "b", "c", "d", "e", "x", "y")
    with pytest.raises(
        ValueError,
        match="classes of the network, which are 'a', 'b', 'c', 'd', 'e' and 2 "
        "more. Received: 'f', 'g'",
    ):
        run(*from_folder)


def test_network_may_have_more_classes(stub, folder, measured):
    for split in ("train", "test"):
        shutil.rmtree(folder / split / "g")
    found = measured("stub", f"--dataset={folder}")
    assert (found["images"], len(found["classes"])) == (9, 7)
    assert found["classes"][6]["recall"] is None


def test_network_without_names_takes_those_of_the_images(
    stub, from_folder, run, caplog
):
    caplog.set_level("INFO", "keras_squeezenet")
    stub.names = ()
    status, out, err = run(*from_folder)
    assert (status, err) == (0, "")
    assert "stub has no class names" in caplog.text
    assert ["a", "4", "75.00%", "100.00%"] in map(str.split, out.splitlines())


def test_network_without_names_has_an_output_for_each_class(
    stub, from_folder, run, folder
):
    stub.names = ()
    for split in ("train", "test"):
        write_image(folder / split / "h" / "0.png", 0)
    with pytest.raises(
        ValueError,
        match="each of the 8 classes of .*network with 7 outputs",
    ):
        run(*from_folder)


def test_labels_of_a_file_are_names_or_numbers(stub, measured, write_csv):
    assert measured("stub", write_csv("a", "b", "d"))["top1"] == 2 / 3
    assert measured("stub", write_csv("0", "2", "2"))["top1"] == 2 / 3
    found = measured("stub", write_csv("a"))
    assert (found["dataset"], found["split"]) == ("list.csv", None)


def test_labels_are_numbers_for_a_network_without_names(
    stub, measured, write_csv, run
):
    stub.names = ()
    # As text they are in another order than as numbers.
    found = measured("stub", write_csv("0", "1", "2", "5", "4"))
    assert found["top1"] == 0.8
    assert found["classes"][5]["label"] == "5"
    with pytest.raises(ValueError, match="Received: '7'"):
        run("stub", write_csv("0", "7"))


def test_labels_are_wordnet_ids(stub, measured, write_csv, run):
    stub.names = imagenet.imagenet_classes()[:LEVELS]
    ids = [wordnet_id for wordnet_id, _ in stub.names]
    found = measured("stub", write_csv(ids[0], ids[1], ids[3]))
    assert found["top1"] == 2 / 3
    assert found["classes"][0]["wordnet_id"] == "n01440764"
    with pytest.raises(ValueError, match="Received: 'n01440764x'"):
        run("stub", write_csv("n01440764x"))


def test_images_are_cut_as_predict_does_it(monkeypatch, measured, tmp_path):
    """For ImageNet's classes there is more around what is looked at."""
    seen = []

    def function(x):
        seen.append(x)
        return np.eye(1000, dtype="float32")[np.zeros(len(x), int)]

    network = classifier.Classifier(
        "stub", function, 9, imagenet.imagenet_classes()
    )
    monkeypatch.setattr(classifier, "load", lambda *options: network)
    pixels = np.random.default_rng(0).integers(0, 256, (23, 14, 3))
    Image.fromarray(pixels.astype("uint8")).save(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,tench\n")
    measured("stub", f"--dataset={tmp_path / 'list.csv'}")
    network.predict(network.read(tmp_path / "a.png")[np.newaxis])
    np.testing.assert_array_equal(seen[0], seen[-1])
    assert len(seen) == 3


def test_csv_file_without_splits_has_no_training_set(stub, run, write_csv):
    with pytest.raises(ValueError, match="Received: split='train'"):
        run("stub", write_csv("a"), "--split=train")


def test_data_dir_reaches_tensorflow_datasets(stub, run, monkeypatch):
    calls = []

    def load(name, **options):
        calls.append((name, options))
        raise OSError("no such data")

    monkeypatch.setattr(data, "load", load)
    with pytest.raises(OSError, match="no such data"):
        run("stub", "--dataset=cifar10", "--data_dir=there", "--seed=3")
    ((name, options),) = calls
    assert (name, options["data_dir"], options["seed"]) == (
        *("cifar10", "there", 3),
    )
    assert (options["image_size"], options["shorter_side"]) == (SIDE, SIDE)
    with pytest.raises(ValueError, match="data_dir.*Received: 'mnist5k'"):
        run("stub", "--data_dir=there")


def test_model_is_named_by_a_flag_too(stub, from_folder, measured):
    _, dataset = from_folder
    assert measured("--model=stub", dataset)["top1"] == 0.8


def test_damaged_images_are_named_or_skipped(
    stub, run, measured, write_csv, tmp_path
):
    flag = write_csv("a", "b", "c")
    path = tmp_path / "photos" / "1.png"
    path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1\.png.*--skip_bad_images"):
        run("stub", flag)
    found = measured("stub", flag, "--skip_bad_images")
    assert (found["images"], found["skipped"]) == (2, [str(path)])
    _, out, _ = run("stub", flag, "--skip_bad_images")
    assert f"skipped, cannot be read: {path}" in out


def test_worst_classes_are_printed_first(stub, from_folder, run):
    _, out, _ = run(*from_folder)
    lines = [line.split() for line in out.splitlines()]
    start = lines.index(["class", "images", "recall", "precision"]) + 2
    assert [line[0] for line in lines[start : start + 4]] == [*"cabd"]
    assert ["10", "7", "80.00%", "90.00%", "10"] in [
        line[:-1] for line in lines
    ]
    assert "more classes" not in out


def test_twenty_classes_are_printed(stub, from_folder, run, monkeypatch):
    monkeypatch.setattr(evaluate, "PRINTED_CLASSES", 2)
    _, out, _ = run(*from_folder)
    lines = out.splitlines()
    assert lines[-1] == "5 more classes are in the JSON."
    assert [line.split()[0] for line in lines[-4:-2]] == ["c", "a"]


def test_few_classes_have_no_top_5(monkeypatch, measured, write_csv):
    network = classifier.Classifier(
        "stub", lambda x: np.full((len(x), 5), 0.2, "float32"), SIDE
    )
    monkeypatch.setattr(classifier, "load", lambda *options: network)
    assert measured("stub", write_csv("0"))["top5"] is None


def test_first_batch_warms_up(stub, from_folder, measured):
    found = measured(*from_folder, "--batch_size=4")
    assert stub.batches == [4, 4, 4, 2]
    assert found["batch_size"] == 4
    assert found["images_per_second"] > 0


def test_folder_has_the_json_and_the_plot(
    stub, from_folder, measured, tmp_path
):
    out = tmp_path / "out"
    found = measured(*from_folder, f"--out={out}")
    assert json.loads((out / "evaluation.json").read_text()) == found
    assert Image.open(out / "confusion_matrix.png").size[0] > 500
    assert sorted(os.listdir(out)) == [
        "confusion_matrix.png",
        "evaluation.json",
    ]
    with pytest.raises(FileExistsError, match="--overwrite"):
        measured(*from_folder, f"--out={out}")
    again = measured(*from_folder, f"--out={out}", "--overwrite", "--split=all")
    assert json.loads((out / "evaluation.json").read_text()) == again


def test_samples_of_a_network_with_layers_have_heat_maps(
    model_path, measured, tmp_path, monkeypatch
):
    for label, name in enumerate("abcd"):
        for number in range(4):
            path = tmp_path / "images" / "test" / name / f"{number}.png"
            write_image(path, 60 * label)
            write_image(tmp_path / "images" / "train" / name / path.name, label)
    out, other = tmp_path / "out", tmp_path / "other"
    arguments = model_path, f"--dataset={tmp_path / 'images'}"
    measured(*arguments, f"--out={out}")
    # Twelve of the sixteen, two in a row: an image and two maps each.
    width, height = Image.open(out / "samples.jpg").size
    assert (width, height) == (2 * (8 + 3 * (224 + 8)), 6 * 305)

    def refuse(model):
        raise ValueError("the head is another")

    monkeypatch.setattr(class_activation, "Explainer", refuse)
    shutil.copytree(out, other)
    measured(*arguments, f"--out={other}", "--overwrite")
    assert sorted(os.listdir(other)) == [
        "confusion_matrix.png",
        "evaluation.json",
    ]


def test_folder_with_content_is_refused_before_anything_is_loaded(
    run, tmp_path
):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        run("missing.keras", f"--out={tmp_path}")


def test_outputs_that_are_no_numbers_are_refused(
    monkeypatch, run, write_csv, tmp_path
):
    network = classifier.Classifier(
        "stub", lambda x: np.full((len(x), 3), np.nan, "float32"), SIDE
    )
    monkeypatch.setattr(classifier, "load", lambda *options: network)
    with pytest.raises(ValueError, match="must be finite.*2 of 2 images"):
        run("stub", write_csv("0", "1"), f"--out={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments,message",
    [
        ([], "one model must be given.*Received: none"),
        (["missing.keras"], "missing.keras"),
        (["damaged.keras"], "damaged.keras cannot be loaded"),
    ],
)
def test_bad_networks_are_refused(
    arguments, message, run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged.keras").write_bytes(b"no network at all")
    with pytest.raises((ValueError, OSError), match=message):
        run(*arguments)


def test_figures_are_those_of_the_predictions(
    model_path, trained_model, dataset, measured, monkeypatch
):
    monkeypatch.setattr(catalog, "load", lambda *_, **options: dataset)
    classes = np.array([row[1] for row in dataset.test.decoded])
    images = [np.asarray(image, "float32") for image, _ in dataset.test.decoded]
    outputs = trained_model.predict(
        keras.applications.vgg16.preprocess_input(np.stack(images)), verbose=0
    )
    predicted = outputs.argmax(axis=1)
    found = measured(model_path)
    assert found["images"] == len(classes)
    assert found["top1"] == np.mean(predicted == classes)
    assert found["confusion"] == [
        {"true": true, "predicted": other, "images": count}
        for (true, other), count in sorted(
            collections.Counter(
                zip(classes.tolist(), predicted.tolist())
            ).items()
        )
    ]
