"""Every format of every kind of model, and what is refused."""

import importlib.util
import json
import os

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf
from PIL import Image

from keras_squeezenet import classifier
from keras_squeezenet import codec
from keras_squeezenet import export
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet import preprocess_input
from keras_squeezenet.data import decode
from keras_squeezenet.export import formats
from keras_squeezenet.export import litert
from keras_squeezenet.export import saved_model
from keras_squeezenet.utils import digests
from keras_squeezenet.utils import files

SIDE = 16
CLASSES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def model(randomize):
    """A network whose classes have different probabilities."""
    inputs = keras.Input((SIDE, SIDE, 3), name="pixels")
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="conv1")(
        inputs
    )
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(4, "softmax", name="head")(x)
    model = randomize(keras.Model(inputs, x, name="small"))
    model.get_layer("head").kernel.assign(model.get_layer("head").kernel / 50)
    found = metadata.Metadata(image_size=SIDE, class_names=CLASSES)
    metadata.attach(model, found)
    return model


@pytest.fixture(scope="module")
def squares():
    images, labels = quarters.make_images(40, 1)
    return images, labels


@pytest.fixture(scope="module")
def images(squares):
    return preprocess_input(squares[0].astype("float32"))


@pytest.fixture(scope="module")
def exported(model, images, squares, tmp_path_factory):
    """The folder and the result of all the formats that need no extra."""
    out = tmp_path_factory.mktemp("export") / "out"
    result = export.export(
        *(model, INSTALLED, out),
        calibration=images[:20],
        test=(images, squares[1]),
    )
    return out, result


INSTALLED = [
    format.name
    for format in formats.FORMATS.values()
    if all(importlib.util.find_spec(package) for package in format.packages)
]
# The largest difference of a probability.
TOLERANCES = {
    "litert_float16": 2e-3,
    "litert_int8": 0.05,
    "onnx_int8": 0.05,
    "openvino_int8": 0.05,
}


def test_every_form_is_written_and_compared(exported, model, images, squares):
    out, result = exported
    files_ = {file.format: file for file in result.files}
    assert list(files_) == INSTALLED
    expected = model.predict_on_batch(images)
    accuracy = np.mean(expected.argmax(1) == squares[1])
    assert (result.model, result.image_size, result.classes) == (
        *("small", SIDE, 4),
    )
    assert (result.calibration_images, result.compared_images) == (20, 40)
    assert (result.compared_on, result.accuracy) == ("test", accuracy)
    for format, file in files_.items():
        path = out / file.name
        content = files.content(path)
        assert path.name == formats.FORMATS[format].file_name
        assert (file.bytes, file.sha256) == (
            len(content),
            digests.of(content),
        )
        assert file.max_difference <= TOLERANCES.get(format, 1e-5), format
        assert file.agreement >= 0.9
        assert abs(file.accuracy - accuracy) <= 0.1


def test_manifest_is_the_result(exported):
    out, result = exported
    names = {file.name for file in result.files}
    assert set(os.listdir(out)) == {*names, "export.json"}
    written = json.loads((out / "export.json").read_text())
    assert written == result.to_json()
    assert written["files"][0]["format"] == INSTALLED[0]


@pytest.mark.parametrize("format", ["litert", "litert_int8", "saved_model"])
def test_files_are_read_back_as_they_were_written(format, exported, model):
    out, _ = exported
    photographs, _ = quarters.make_images(8, 2)
    network = classifier.load(out / formats.FORMATS[format].file_name)
    assert network.classes == tuple((None, name) for name in CLASSES)
    is_raw = formats.FORMATS[format].takes_photographs
    assert network.normalization == ("raw" if is_raw else "caffe")
    np.testing.assert_allclose(
        network.predict(photographs),
        classifier.load(model).predict(photographs),
        atol=TOLERANCES.get(format, 1e-5),
    )


def test_preprocessed_images_are_another_input(model, images, tmp_path):
    result = export.export(
        model, "litert", tmp_path / "out", images, input="preprocessed"
    )
    (file,) = result.files
    assert file.normalization == "caffe"
    assert (result.compared_on, result.compared_images) == ("calibration", 40)
    assert (result.accuracy, file.accuracy) == (None, None)
    assert file.max_difference < 1e-5
    found = metadata.read(tmp_path / "out" / "model.tflite")
    assert found == metadata.of(model)


def test_without_images_files_are_compared_on_random_ones(model, tmp_path):
    result = export.export(model, "saved_model", tmp_path / "out")
    assert (result.compared_on, result.compared_images) == ("random", 8)
    assert result.files[0].max_difference < 1e-5


def test_image_that_cannot_be_decoded_is_named(
    make_model, broken_dataset, tmp_path
):
    with pytest.raises(decode.UnreadableImageError, match="png cannot be read"):
        export.export(
            make_model(), "litert", tmp_path / "out", calibration=broken_dataset
        )


def test_model_stays_as_it_is(exported, model):
    assert model.input.name == "pixels"
    assert metadata.of(model).normalization == "caffe"


# -- every kind of model ------------------------------------------------------


def write_keras(model, path):
    models.save(model, path.with_suffix(".keras"))
    return path.with_suffix(".keras")


def write_sqz(model, path):
    codec.save(model, path.with_suffix(".sqz"))
    return path.with_suffix(".sqz")


def nest(model, path):
    """A transfer model: the network within another, with a Dense head."""
    base = keras.Model(
        model.input, model.get_layer("conv1").output, name="base"
    )
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.GlobalAveragePooling2D()(base(inputs, training=False))
    logits = keras.layers.Dense(4, name="logits")
    nested = keras.Model(inputs, logits(keras.layers.Dropout(0.5)(x)))
    logits.set_weights(model.get_layer("head").get_weights())
    metadata.attach(nested, metadata.of(model))
    return nested


def in_bfloat16(model, path):
    config = model.get_config()
    for layer in config["layers"][1:]:
        layer["config"]["dtype"] = "mixed_bfloat16"
    copied = keras.Model.from_config(config)
    copied.set_weights(model.get_weights())
    metadata.attach(copied, metadata.of(model))
    return copied


@pytest.mark.parametrize(
    "make",
    [write_keras, write_sqz, nest, in_bfloat16],
    ids=lambda f: f.__name__,
)
def test_every_kind_of_model_is_exported(make, model, images, tmp_path):
    given = make(model, tmp_path / "given")
    result = export.export(given, "litert", tmp_path / "out")
    assert result.files[0].max_difference < 1e-5
    network = classifier.load(tmp_path / "out" / "model.tflite")
    photographs, _ = quarters.make_images(8, 2)
    np.testing.assert_allclose(
        network.predict(photographs),
        classifier.load(model).predict(photographs),
        atol=1e-5,
    )
    assert network.classes == tuple((None, name) for name in CLASSES)


@pytest.mark.slow
def test_weights_file_is_exported(make_model, write_npz, tmp_path):
    path = tmp_path / "weights.npz"
    write_npz(path, make_model())
    result = export.export(
        *(path, "litert", tmp_path / "out"),
        config=quarters.TINY,
        image_size=SIDE,
        class_names=CLASSES,
    )
    assert (result.image_size, result.classes) == (SIDE, 4)
    assert result.files[0].max_difference < 1e-5
    found = metadata.read(tmp_path / "out" / "model.tflite")
    assert found.class_names == CLASSES


@pytest.mark.parametrize("stated, side", [(20, 20), (None, 227)])
def test_model_of_any_size_gets_one(stated, side, model, tmp_path):
    config = model.get_config()
    config["layers"][0]["config"]["batch_shape"] = (None, None, None, 3)
    flexible = keras.Model.from_config(config)
    flexible.set_weights(model.get_weights())
    result = export.export(
        flexible, "litert", tmp_path / "out", image_size=stated
    )
    assert result.image_size == side
    network = classifier.load(tmp_path / "out" / "model.tflite")
    assert network.image_size == side


def test_packed_file_is_in_the_page_as_it_is(model, tmp_path):
    path = write_sqz(model, tmp_path / "given")
    # The same network, encoded otherwise.
    codec.save(model, path, provenance={"by": "hand"})
    for number, (names, is_same) in enumerate(((None, True), ("wxyz", False))):
        out = tmp_path / f"out{number}"
        export.export(path, "web", out, class_names=names)
        written = out / "web" / "model.sqz"
        assert (written.read_bytes() == path.read_bytes()) == is_same
        settings = json.loads((out / "web" / "page.json").read_text())
        assert settings["labels"] == list(names or CLASSES)


# -- data ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory, squares):
    """Photographs of the four classes, in a folder each."""
    folder = tmp_path_factory.mktemp("quarters")
    for number, (image, label) in enumerate(zip(*squares)):
        path = folder / CLASSES[label] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def test_photographs_are_read_from_a_folder(model, folder, tmp_path):
    result = export.export(
        *(model, ["litert_int8"], tmp_path / "out", folder, folder), images=12
    )
    assert result.calibration_images == 12
    # A fifth of each class.
    assert (result.compared_on, result.compared_images) == ("test", 8)
    assert result.files[0].accuracy is not None


# -- what is refused ----------------------------------------------------------


def refuse(error, match, tmp_path, *arguments, **options):
    """Assert that nothing is written, and that the error is of this package."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=match) as found:
        export.export(*arguments, **options)
    assert type(found.value).__module__ in ("builtins", "keras_squeezenet")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (["litter"], {}, "Received: 'litter'. Did you mean 'litert'?"),
        ([], {}, "Received: none"),
        (["litert_int8"], {}, "with --calibration .*: 100 to 500 photographs"),
        (["litert"], {"input": "photos"}, "Did you mean 'photographs'?"),
        (["litert"], {"image_size": 99}, "images of 16x16. Rec.*image_size=99"),
        (
            *(["litert"], {"class_names": ["x", "y"]}),
            "one output for each of the 2 names",
        ),
        (
            *(["litert"], {"normalization": "torch"}),
            "trained on images with normalization='caffe'",
        ),
    ],
)
def test_bad_arguments_are_refused(arguments, options, error, model, tmp_path):
    refuse(
        *(ValueError, error, tmp_path),
        *(model, arguments, tmp_path / "out"),
        **options,
    )


def test_missing_runtime_names_its_extra(model, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(models, "load", None)
    refuse(
        *(ModuleNotFoundError, "ai_edge_litert, which is not installed. Run: "),
        tmp_path,
        *("imagenet", "litert", tmp_path / "out"),
    )


def test_images_of_another_size_are_refused(model, images, tmp_path):
    refuse(
        *(ValueError, r"\(images, 16, 16, 3\).*shape \(40, 8, 8, 3\)"),
        tmp_path,
        *(model, "litert_int8", tmp_path / "out", images[:, ::2, ::2]),
    )


@pytest.mark.parametrize("is_dataset", [False, True])
def test_test_images_of_another_size_are_refused(
    is_dataset, model, images, squares, tmp_path
):
    test = images[:, ::2, ::2], squares[1]
    if is_dataset:
        test = tf.data.Dataset.from_tensor_slices(test).batch(8)
    refuse(
        *(ValueError, r"the test images.*\(images, 16, 16, 3\)", tmp_path),
        *(model, "saved_model", tmp_path / "out"),
        test=test,
    )


def test_outputs_that_are_not_probabilities_are_refused(model, tmp_path):
    # They may be logits, with a ReLU: nothing says what they are.
    layer = keras.layers.Conv2D(
        4, 1, activation="relu", bias_initializer="ones"
    )
    scores = layer(model.get_layer("conv1").output)
    scores = keras.layers.GlobalAveragePooling2D(name="scores")(scores)
    refuse(
        *(ValueError, "must be probabilities.*'scores' that add", tmp_path),
        *(keras.Model(model.input, scores), "litert", tmp_path / "out"),
    )


def test_outputs_that_are_not_finite_are_refused(model, tmp_path):
    broken = models.copy(model)
    broken.get_layer("head").bias.assign([np.nan, 0, 0, 0])
    refuse(
        *(ValueError, "outputs of small must be finite", tmp_path),
        *(broken, "saved_model", tmp_path / "out"),
    )


def test_file_that_computes_something_else_is_refused(
    model, tmp_path, monkeypatch
):
    wrong = np.full((8, 4), 0.25, "float32")
    monkeypatch.setattr(litert, "load", lambda path: lambda images: wrong)
    refuse(
        *(ValueError, "model.tflite must return the prob.* within 0.001. Mea"),
        tmp_path,
        *(model, "litert", tmp_path / "out"),
    )


@pytest.mark.parametrize("shape", [(0, SIDE, SIDE, 3)])
def test_calibration_without_an_image_is_refused(shape, model, tmp_path):
    refuse(
        *(ValueError, "at least one", tmp_path),
        *(model, "litert_int8", tmp_path / "out", np.zeros(shape, "float32")),
    )


def autoencoder():
    inputs = keras.Input((SIDE, SIDE, 3))
    return keras.Model(inputs, keras.layers.Conv2D(3, 1)(inputs))


def two_inputs():
    inputs = [keras.Input((SIDE, SIDE, 3)) for _ in range(2)]
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def of_vectors():
    inputs = keras.Input((5,))
    return keras.Model(inputs, keras.layers.Dense(2)(inputs))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (autoencoder, "must be a classifier, with one output of shape"),
        (two_inputs, "must have one input and one output"),
        (of_vectors, r"must take images of shape \(batch, side, side, 3\)"),
    ],
)
def test_model_that_is_not_an_image_classifier_is_refused(
    make, error, tmp_path
):
    refuse(ValueError, error, tmp_path, make(), "litert", tmp_path / "out")


def test_exported_files_are_refused(exported, tmp_path):
    out, _ = exported
    for name in ("model.tflite", "saved_model"):
        refuse(
            *(ValueError, "was exported before", tmp_path),
            *(out / name, "saved_model", tmp_path / "out"),
        )


def test_missing_file_is_refused(tmp_path):
    refuse(
        *(OSError, "Did you mean 'imagenet'", tmp_path),
        *("imagnet", "litert", tmp_path / "out"),
    )


def test_folder_in_the_way_is_refused_at_once(model, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    monkeypatch.setattr(models, "load", None)
    refuse(
        *(FileExistsError, "--overwrite", tmp_path),
        *(model, "litert", tmp_path / "out"),
    )


def test_earlier_export_is_replaced(model, tmp_path):
    out = tmp_path / "out"
    export.export(model, "saved_model", out)
    (out / "mine.txt").write_text("mine")
    result = export.export(model, "litert", out, overwrite=True)
    written = json.loads((out / "export.json").read_text())
    assert written == result.to_json()
    assert (out / "mine.txt").exists()


@pytest.mark.parametrize(
    "stop", [RuntimeError("out of luck"), KeyboardInterrupt()]
)
def test_nothing_is_half_written(stop, model, tmp_path, monkeypatch):
    def fail(*arguments):
        raise stop

    monkeypatch.setattr(saved_model, "write_saved_model", fail)
    is_error = isinstance(stop, Exception)
    with pytest.raises(ValueError if is_error else KeyboardInterrupt) as found:
        export.export(model, ["litert", "saved_model"], tmp_path / "out")
    if is_error:
        assert "small cannot be exported as saved_model: out of" in str(
            found.value
        )
    assert not any(tmp_path.iterdir())


def test_test_batches_that_are_shuffled_anew_are_compared_in_one_order(
    model, images, squares, tmp_path
):
    arrays = images, squares[1]
    shuffled = tf.data.Dataset.from_tensor_slices(arrays).shuffle(40).batch(8)
    result = export.export(
        model, "litert_float16", tmp_path / "out", test=shuffled
    )
    (file,) = result.files
    assert file.agreement > 0.9
    assert file.max_difference < TOLERANCES["litert_float16"]
