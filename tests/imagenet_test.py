import importlib.metadata
import socket

import keras
import numpy as np
import pytest
import requests
from keras.src.applications import imagenet_utils

from keras_squeezenet import decode_predictions
from keras_squeezenet import imagenet

CLASSES = imagenet.imagenet_classes()
IDS = [wordnet_id for wordnet_id, _ in CLASSES]
NAMES = [name for _, name in CLASSES]


def make_predictions(count=3, classes=1000):
    predictions = np.random.default_rng(0).random((count, classes), "float32")
    return predictions / predictions.sum(axis=1, keepdims=True)


@pytest.fixture
def decode_like_keras(monkeypatch):
    """Keras's `decode_predictions` with this package's list of classes."""
    index = {str(index): list(each) for index, each in enumerate(CLASSES)}
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", index)
    return imagenet_utils.decode_predictions


@pytest.fixture
def offline(monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("the internet was asked")

    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", None)
    monkeypatch.setattr(imagenet_utils.file_utils, "get_file", fail)
    monkeypatch.setattr(keras.utils, "get_file", fail)
    monkeypatch.setattr(requests, "get", fail)
    monkeypatch.setattr(socket.socket, "connect", fail)


@pytest.fixture(scope="module")
def timm_files():
    """The lines of files of the package timm, which is not imported."""
    try:
        files = importlib.metadata.files("timm") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the list of classes is compared with that of timm")
    return {
        file.name: file.read_text(encoding="utf-8").splitlines()
        for file in files
        if file.name.startswith("imagenet_synset")
    }


def test_there_are_1000_classes_with_sorted_unique_ids():
    assert len(CLASSES) == 1000
    assert sorted(set(IDS)) == IDS
    for wordnet_id in IDS:
        assert wordnet_id[0] == "n" and wordnet_id[1:].isdigit()
        assert len(wordnet_id) == 9


@pytest.mark.parametrize(
    "index,wordnet_id,name",
    [
        (0, "n01440764", "tench"),
        (1, "n01443537", "goldfish"),
        (386, "n02504458", "African_elephant"),
        (999, "n15075141", "toilet_tissue"),
    ],
)
def test_known_classes_have_their_indices(index, wordnet_id, name):
    assert CLASSES[index] == (wordnet_id, name)


def test_crane_and_maillot_are_each_the_name_of_two_classes():
    twice = {name for name in NAMES if NAMES.count(name) > 1}
    assert twice == {"crane", "maillot"}
    assert [i for i in range(1000) if NAMES[i] == "crane"] == [134, 517]
    assert [i for i in range(1000) if NAMES[i] == "maillot"] == [638, 639]


def test_names_are_clean():
    for name in NAMES:
        assert name == name.strip() and name
        assert not set(name) & set(" \t,")


def test_classes_are_those_of_the_photographs(photographs):
    found = [path.stem.split("_", maxsplit=1) for path in photographs]
    assert [wordnet_id for wordnet_id, _ in found] == IDS
    assert [name for _, name in found] == NAMES


def test_ids_are_in_the_order_of_timm(timm_files):
    assert timm_files["imagenet_synsets.txt"] == IDS


def test_names_are_those_of_wordnet(timm_files):
    lines = timm_files["imagenet_synset_to_lemma.txt"]
    lemmas = dict(line.split("\t") for line in lines)
    for wordnet_id, name in CLASSES:
        names = [each.strip() for each in lemmas[wordnet_id].lower().split(",")]
        assert name.replace("_", " ").lower() in names, wordnet_id


def test_best_are_the_largest_in_order():
    values = np.array([0.1, 0.4, 0.0, 0.5])
    assert imagenet.best(values, 2).tolist() == [3, 1]
    assert imagenet.best(values, 9).tolist() == [3, 1, 0, 2]


def test_first_of_equal_values_is_the_best():
    assert imagenet.best(np.array([1, 2, 2, 1, 2]), 4).tolist() == [1, 2, 4, 0]


@pytest.mark.parametrize("top", [1, 5, 1000, 1001, 5000])
def test_predictions_are_decoded_as_keras_does(top, decode_like_keras):
    predictions = make_predictions()
    decoded = decode_predictions(predictions, top=top)
    assert decoded == decode_like_keras(predictions, top=top)
    assert [len(each) for each in decoded] == [min(top, 1000)] * 3


def test_five_are_decoded_by_default():
    predictions = np.zeros((1, 1000), "float32")
    predictions[0, [386, 1]] = 0.75, 0.25
    (decoded,) = decode_predictions(predictions)
    assert len(decoded) == 5
    assert decoded[:2] == [
        ("n02504458", "African_elephant", 0.75),
        ("n01443537", "goldfish", 0.25),
    ]


@pytest.mark.parametrize("shape", [(1000,), (1, 999), (1, 10), (1, 1, 1000)])
def test_predictions_of_another_shape_are_refused_as_keras_does(
    shape, decode_like_keras
):
    predictions = np.zeros(shape)
    errors = []
    for decode in (decode_predictions, decode_like_keras):
        with pytest.raises(ValueError, match=r"\(samples, 1000\)") as error:
            decode(predictions)
        errors.append(str(error.value))
    assert errors[0] == errors[1]


def test_nothing_is_decoded_of_an_empty_batch():
    assert decode_predictions(np.zeros((0, 1000))) == []


def test_predictions_are_decoded_offline(offline):
    assert len(decode_predictions(make_predictions(2))) == 2


@pytest.mark.parametrize(
    "module,function",
    [("tensorflow", "constant"), ("jax.numpy", "array"), ("torch", "tensor")],
)
def test_tensors_of_every_backend_are_decoded(module, function):
    predictions = make_predictions()
    make_tensor = getattr(pytest.importorskip(module), function)
    assert decode_predictions(make_tensor(predictions)) == decode_predictions(
        predictions
    )


@pytest.mark.parametrize(
    "names,places",
    [
        (["a", "b", "c"], [0, 1, 2]),
        (["c", "a", "b"], [2, 0, 1]),
        (["c"], [2]),
        (["n3", "n1"], [2, 0]),
    ],
)
def test_classes_are_matched_by_name_or_id(names, places):
    keys = ("a", "b", "c"), ("n1", "n2", "n3")
    assert imagenet.match(names, *keys) == places


def test_names_count_before_numbers():
    assert imagenet.match(["0", "1"], ["1", "0"], ["0", "1"]) == [1, 0]


def test_names_of_several_classes_are_matched_by_their_order_alone():
    names = ["crane", "bird", "crane"]
    assert imagenet.match(names, names) == [0, 1, 2]
    assert imagenet.match(["bird"], names) == [1]
    with pytest.raises(ValueError, match="Received: 'crane', which several"):
        imagenet.match(["bird", "crane"], names)


def test_unknown_classes_are_named():
    with pytest.raises(
        ValueError,
        match="classes of the network, which are 'a', 'b', 'c', 'd', 'e' and 2 "
        "more. Received: 'x', 'n8'",
    ):
        imagenet.match(["a", "x", "n8"], "abcdefg", ["n1", "n2"])
