"""What a network takes and returns travels with every file of it."""

import dataclasses
import json
import re
import zipfile

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf

from keras_squeezenet import classifier
from keras_squeezenet import codec
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet import normalizations
from keras_squeezenet.export import litert
from keras_squeezenet.export import saved_model

NAMES = ("north", "east", "south", "west")
RAW = metadata.Metadata("raw", quarters.SIDE, 3, NAMES)
# A photograph's pixels, and what a network for raw RGB must see of them.
PIXELS, _ = quarters.make_images(4, seed=7)


@pytest.fixture(scope="module")
def model(make_model, randomize):
    model = randomize(make_model())
    model.get_layer("conv1").kernel.assign(model.layers[1].kernel / 50)
    metadata.attach(model, RAW)
    return model


def test_labels_are_names_on_one_line_each():
    found = metadata.Metadata(class_names=("a\nb", "c"))
    assert metadata.labels(found, 2) == ("a\\nb", "c")
    assert metadata.labels(None, 2) == ()


def test_labels_of_1000_classes_without_names_are_those_of_imagenet():
    labels = metadata.labels(metadata.Metadata(), 1000)
    assert (len(labels), labels[0]) == (1000, "tench")
    names = tuple(map(str, range(1000)))
    assert metadata.labels(metadata.Metadata(class_names=names), 1000) == names


def write_keras(model, folder):
    models.save(model, folder / "model.keras")
    return folder / "model.keras"


def write_sqz(model, folder):
    codec.save(model, folder / "model.sqz")
    return folder / "model.sqz"


def write_litert(model, folder):
    path = folder / "model.tflite"
    path.write_bytes(litert.convert_float32(model))
    return path


def write_saved_model(model, folder):
    saved_model.save(model, folder / "plain")
    return folder / "plain"


def write_packed(model, folder):
    saved_model.save(model, folder / "packed", packed=True, raw_images=True)
    return folder / "packed"


WRITERS = (
    write_keras,
    write_sqz,
    write_litert,
    write_saved_model,
    write_packed,
)


@pytest.mark.parametrize("write", WRITERS)
def test_every_file_keeps_what_a_network_takes(write, model, tmp_path):
    path = write(model, tmp_path)
    assert models.read_metadata(path) == RAW
    network = classifier.load(path)
    assert network.normalization == "raw"
    assert [name for _, name in network.classes] == list(NAMES)
    expected = model.predict_on_batch(PIXELS.astype("float32"))
    assert np.ptp(expected, axis=0).max() > 0.01
    found = network.predict(PIXELS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("write", [write_keras, write_litert])
def test_another_normalization_than_that_of_the_file_is_refused(
    write, model, tmp_path
):
    path = write(model, tmp_path)
    with pytest.raises(ValueError, match="'raw', as its file says. Received"):
        classifier.load(path, normalization="caffe")
    assert classifier.load(path, normalization="raw").normalization == "raw"


def test_raw_images_of_a_saved_model_are_not_preprocessed(model, tmp_path):
    path = write_packed(model, tmp_path)
    serve = tf.saved_model.load(str(path)).signatures["raw_images"]
    (found,) = serve(images=tf.constant(PIXELS)).values()
    expected = model.predict_on_batch(PIXELS.astype("float32"))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_keras_alone_loads_the_file(model, tmp_path):
    loaded = keras.models.load_model(write_keras(model, tmp_path))
    x = PIXELS.astype("float32")
    np.testing.assert_array_equal(
        loaded.predict_on_batch(x), model.predict_on_batch(x)
    )
    assert metadata.of(loaded) is None


def test_equal_models_are_equal_members(model, tmp_path):
    members = []
    for name in ("a.keras", "b.keras"):
        models.save(model, tmp_path / name)
        with zipfile.ZipFile(tmp_path / name) as archive:
            found = archive.getinfo(metadata.MEMBER)
            members.append((found.date_time, archive.read(found)))
    assert members[0] == members[1]


def test_copy_keeps_metadata(model):
    assert metadata.of(models.copy(model)) == RAW
    assert metadata.of(models.load(model)) == RAW


def test_assumed_normalization_is_said_once(model, tmp_path, caplog):
    path = tmp_path / "other.keras"
    models.copy(model).save(path)
    for _ in range(2):
        found = metadata.of(models.load(path))
        assert found == metadata.Metadata("caffe", quarters.SIDE)
    (message,) = caplog.messages
    assert message.startswith(f"{path} does not say on which images")
    assert "State others with `normalization`" in message


def test_normalization_can_be_stated_for_a_file_without_one(model, tmp_path):
    path = tmp_path / "other.keras"
    model.save(path)
    assert metadata.of(models.load(path, normalization="unit")) == (
        metadata.Metadata("unit", quarters.SIDE)
    )


@pytest.mark.parametrize("name", normalizations.NORMALIZATIONS)
def test_sqz_file_has_every_normalization(name, model, tmp_path):
    copied = models.copy(model)
    metadata.attach(copied, dataclasses.replace(RAW, normalization=name))
    assert models.read_metadata(write_sqz(copied, tmp_path)) == (
        metadata.of(copied)
    )


def test_sqz_file_without_metadata_is_as_before(make_model, tmp_path):
    model = make_model()
    before = codec.dump(model)
    path = write_sqz(model, tmp_path)
    metadata.attach(model, metadata.describe(model))
    assert codec.dump(model) == before
    assert models.read_metadata(path) == metadata.describe(model)


@pytest.mark.parametrize(
    "text, message",
    [
        ("[]", "they must be a JSON object. Received: list"),
        ("{", "Expecting property name"),
        ('{"normalization": "bgr"}', "`normalization` must be one of"),
        ('{"normalization": ["raw"]}', "`normalization` must be one of"),
        ('{"image_size": true}', "`image_size` must be an integer"),
        ('{"image_size": 1e999}', "numbers of its JSON must be finite"),
        ('{"channels": -3}', "`channels` must be an integer"),
        ('{"channels": null}', "`channels` must be an integer"),
        ('{"class_names": "abcd"}', "`class_names` must be strings"),
        ('{"class_names": [1]}', "`class_names` must be strings"),
        (" " * (metadata.MAX_BYTES + 1), "must have at most 1,048,576 bytes"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_damaged_metadata_are_refused(text, message, tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(metadata.MEMBER, text)
    expected = f"the metadata of {re.escape(str(path))} .*{re.escape(message)}"
    with pytest.raises(ValueError, match=expected):
        metadata.read(path)


def test_compressed_metadata_are_not_unpacked(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(metadata.MEMBER, b" " * 10**7)
    with pytest.raises(ValueError, match="must be stored, not compressed"):
        metadata.read(path)


def test_fields_of_later_versions_are_ignored(tmp_path):
    folder = tmp_path / metadata.SAVED_MODEL_ASSETS
    folder.mkdir()
    values = {**dataclasses.asdict(RAW), "embedding": "fire9"}
    (folder / metadata.MEMBER).write_text(json.dumps(values))
    assert metadata.read(tmp_path) == RAW


def test_classes_in_another_order_are_refused():
    message = "order of the network's: north, east, south, west. Received: west"
    with pytest.raises(ValueError, match=message):
        metadata.require_order(RAW, NAMES[::-1], "the data")


@pytest.mark.parametrize("names, said", [(NAMES, 0), ((), 0), ("abcd", 1)])
def test_other_classes_are_said(names, said, caplog):
    metadata.require_order(RAW, names, "the data")
    metadata.require_order(None, names, "the data")
    assert len(caplog.messages) == said


def test_text_says_what_a_network_takes():
    assert str(RAW) == (
        "images of 16x16 with 3 channels and normalization='raw'; classes: "
        "north, east, south, west"
    )
    assert str(metadata.Metadata()) == (
        "images with 3 channels and normalization='caffe'"
    )


def test_names_that_no_file_can_have_are_refused_at_once():
    metadata.Metadata(class_names=("x" * 100_000, "y"))
    with pytest.raises(ValueError, match="524,288 bytes.*Received: 600,009"):
        metadata.Metadata(class_names=("\u732b" * 100_000, "y"))
