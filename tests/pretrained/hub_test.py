"""Weights of the Hugging Face hub, from a server on loopback."""

import logging
import os
import pathlib
import sys

import hub_server
import keras
import numpy as np
import pytest

from keras_squeezenet import SqueezeNet
from keras_squeezenet import classifier
from keras_squeezenet import inspection
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet import pretrained
from keras_squeezenet.pretrained import hub
from keras_squeezenet.utils import archive

COMMIT = hub_server.COMMIT
REPOSITORY = "owner/flowers"
ADDRESS = f"hf://{REPOSITORY}"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("hf://a/b", ("a/b", None, None)),
        ("hf://a/b@v1.0", ("a/b", None, "v1.0")),
        ("hf://a/b/c/d.sqz", ("a/b", "c/d.sqz", None)),
        (
            "hf://a-1/b.c_d/e f.npz@refs/pr/1",
            ("a-1/b.c_d", "e f.npz", "refs/pr/1"),
        ),
    ],
)
def test_address_is_parsed_and_written_again(text, expected):
    address = hub.Address.parse(text)
    assert (address.repository, address.file, address.revision) == expected
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        *("hf://", "hf://a", "hf://a/", "hf://a/b/", "hf://a/b@"),
        *("hf://a/b/../../c.sqz", "hf://a/b//c.sqz", "hf://a/b/c@d@e"),
        *("hf:///a/b", "hf://a b/c", "hf://a/b/c.sqz@main\n"),
        *("hf://../b", "hf://a/b--c", "hf://-a/b", "hf://a/b.", "hf://a/é"),
    ],
)
def test_bad_address_is_refused(text):
    with pytest.raises(ValueError, match=r"hf://owner/name\[/file\]\[@rev"):
        hub.Address.parse(text)


@pytest.mark.parametrize(
    "weights", [None, "imagenet", "a.sqz", pathlib.Path("hf:/a/b")]
)
def test_what_is_not_an_address_stays_as_it_is(weights):
    assert hub.local(weights) is weights


def test_path_in_the_home_directory_is_expanded():
    located = hub.locate("~/a.sqz")
    assert located.path == os.path.expanduser("~/a.sqz")
    assert located.name == "~/a.sqz"


@pytest.mark.parametrize(
    "files, expected",
    [
        (["b.h5", "a.npz", "README.md"], "a.npz"),
        (["a.h5", "a.weights.h5"], "a.weights.h5"),
        (["model.keras", "model.sqz"], "model.sqz"),
        (["a.sqz", "model.sqz", "b.sqz"], "model.sqz"),
        (["a.keras", "top/model.sqz", "model.pth"], "a.keras"),
    ],
)
def test_preferred_file_is_chosen(files, expected):
    address = hub.Address.parse("hf://a/b")
    for order in (files, files[::-1]):
        assert hub.choose(order, address) == expected


@pytest.mark.parametrize(
    "files, listed",
    [
        (["b.sqz", "a.sqz", "model.keras"], "are: a.sqz, b.sqz, model.keras."),
        (["top/model.sqz"], "are: top/model.sqz."),
        (["model.pth", "saved_model.pb"], "are: none."),
        ([f"{n:02}.sqz" for n in range(11)], "08.sqz, 09.sqz, ...."),
    ],
)
def test_candidates_are_listed_where_none_is_preferred(files, listed):
    with pytest.raises(hub.HubError, match="must name a file") as caught:
        hub.choose(files, hub.Address.parse("hf://a/b"))
    assert listed in str(caught.value)


@pytest.mark.parametrize(
    "file", ["model.pth", "saved_model.pb", "model.tflite", "a.pkl", "sqz"]
)
def test_other_formats_are_refused_before_anything_is_asked(file):
    with pytest.raises(ValueError, match="nothing is executed") as caught:
        hub.locate(f"{ADDRESS}/{file}")
    assert "loaded by its path" in str(caught.value)


def test_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r"squeezenet-keras\[hub\]"):
        hub.locate(ADDRESS)


@pytest.fixture(scope="session")
def contents(make_model, randomize, tmp_path_factory):
    """The content of a small network in several formats, and its model."""
    folder = tmp_path_factory.mktemp("contents")
    model = randomize(make_model())
    names = tuple("abcdefghij"[: model.output_shape[-1]])
    found = metadata.describe(model, class_names=names)
    metadata.attach(model, found)
    models.save(model, folder / "model.keras")
    from keras_squeezenet import codec

    codec.save(model, folder / "model.sqz")
    model.save_weights(folder / "model.weights.h5")
    return model, {
        path.name: path.read_bytes() for path in sorted(folder.iterdir())
    }


@pytest.fixture
def server(hub_on_loopback, contents):
    _, files = contents
    hub_on_loopback.files[REPOSITORY] = {"README.md": b"", **files}
    return hub_on_loopback


def test_preferred_file_is_loaded_with_its_classes_and_its_commit(
    server, contents, caplog
):
    model, _ = contents
    hub._say_loaded.cache_clear()
    with caplog.at_level(logging.INFO, "keras_squeezenet"):
        network = classifier.load(ADDRESS)
        classifier.load(ADDRESS)
    assert network.name == f"{ADDRESS}/model.sqz@{COMMIT}"
    assert caplog.messages == [f"Loaded {network.name}"]
    assert network.class_of(1) == (None, "b")
    images = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:]))
    np.testing.assert_allclose(
        network.probabilities(images), model.predict_on_batch(images), atol=1e-6
    )


@pytest.mark.parametrize("suffix", [".keras", ".sqz"])
def test_model_is_loaded_by_its_file(suffix, server, contents):
    model, _ = contents
    loaded = models.load(f"{ADDRESS}/model{suffix}@main")
    for expected, received in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(expected, received)
    assert metadata.of(loaded).class_names == metadata.of(model).class_names


def test_builder_and_kernels_take_an_address(server, contents):
    model, _ = contents
    address = f"{ADDRESS}/model.weights.h5"
    weights = pretrained.open_weights(address, normalization="caffe")
    assert weights.source == f"{address}@{COMMIT}"
    kernels = inspection.load_kernels(address)
    expected = model.get_layer("conv1").get_weights()[0]
    np.testing.assert_array_equal(kernels["conv1"], expected)


def test_builder_loads_the_weights(server, tmp_path, write_npz, randomize):
    expected = randomize(SqueezeNet(weights=None, include_top=False))
    write_npz(tmp_path / "a.npz", expected)
    server.files["owner/backbone"] = {
        "a.npz": (tmp_path / "a.npz").read_bytes()
    }
    model = SqueezeNet(weights="hf://owner/backbone", include_top=False)
    for left, right in zip(expected.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(left, right)


def test_file_of_a_commit_is_loaded_again_without_a_request(server):
    hub.locate(f"{ADDRESS}/model.sqz")
    server.requests.clear()
    located = hub.locate(f"{ADDRESS}/model.sqz@{COMMIT}")
    assert located.name == f"{ADDRESS}/model.sqz@{COMMIT}"
    assert server.requests == []


@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}/model.sqz"])
def test_last_download_is_loaded_without_the_internet(address, server):
    path = hub.locate(ADDRESS).path
    server.close()
    located = hub.locate(address)
    assert located.path == path
    assert located.name == f"{ADDRESS}/model.sqz@{COMMIT}"


def test_nothing_in_the_cache_and_no_internet_is_one_sentence(server):
    server.close()
    with pytest.raises(hub.HubError) as caught:
        hub.locate(ADDRESS)
    message = str(caught.value)
    assert message.startswith(f"{ADDRESS} cannot be reached: ")
    assert "HF_HUB_OFFLINE" in message and "pass its path" in message
    assert "\n" not in message


def test_offline_mode_is_one_sentence(server, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(hub.HubError, match="offline mode is enabled"):
        hub.locate(ADDRESS)
    assert server.requests == []


@pytest.mark.parametrize(
    "status, code, reason",
    [
        (401, "RepoNotFound", "is not a repository there, or is private: "),
        (403, "GatedRepo", "have accepted its terms: accept them at http"),
        (403, "", "may not be used with this token"),
        (500, "", "cannot be used: "),
    ],
)
def test_error_of_the_hub_is_one_sentence_with_the_next_step(
    status, code, reason, server
):
    server.errors[REPOSITORY] = (status, code)
    with pytest.raises(hub.HubError, match=reason) as caught:
        hub.locate(ADDRESS)
    message = str(caught.value)
    assert message.startswith(ADDRESS) and "\n" not in message
    assert status == 500 or "HF_TOKEN" in message


@pytest.mark.parametrize(
    "address, reason",
    [
        (f"{ADDRESS}@v2", "has no revision v2: name a branch"),
        (
            f"{ADDRESS}/other.sqz",
            "is not there. .* are: model.keras, model.sqz",
        ),
    ],
)
def test_missing_revision_or_file_is_named(address, reason, server):
    with pytest.raises(hub.HubError, match=reason):
        hub.locate(address)
    assert not any("resolve" in path for _, path in server.requests)


def test_large_file_is_refused_before_it_is_asked_for(server):
    server.stated_size = archive.MAX_BYTES + 1
    with pytest.raises(ValueError, match="must have at most 67,108,864 bytes"):
        hub.locate(ADDRESS)
    assert not any("resolve" in path for _, path in server.requests)


def test_file_that_is_larger_than_stated_is_not_received(server, monkeypatch):
    server.stated_size = 10
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="must have at most 1,000 bytes"):
        hub.locate(ADDRESS)


def test_token_of_the_environment_is_sent(server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    assert hub.api().whoami()["name"] == "owner"


def test_model_of_a_training_run_may_be_an_address(server):
    from keras_squeezenet.training import network

    found = network.normalization_of(hub.local(f"{ADDRESS}/model.keras"), None)
    assert found == "caffe"
    assert isinstance(models.load(ADDRESS), keras.Model)
