import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import Stem
from keras_squeezenet import classifier
from keras_squeezenet import codec
from keras_squeezenet import inspection
from keras_squeezenet import models
from keras_squeezenet.export import litert
from keras_squeezenet.export import saved_model
from keras_squeezenet.pretrained import download
from keras_squeezenet.utils import digests

CONFIG = SqueezeNetConfig(
    base_e=16, incr_e=16, SR=0.25, bypass="complex", stem=Stem(8)
).for_small_images()
SIDE = 32
IMAGES = np.random.default_rng(0).normal(scale=50, size=(4, SIDE, SIDE, 3))
CALIBRATION = [IMAGES.astype("float32")]


def convert(model):
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


CONVERT = {
    "stock.tflite": convert,
    "float32.tflite": litert.convert_float32,
    "float16.tflite": litert.convert_float16,
    "int8.tflite": lambda model: litert.convert_post_training_int8(
        model, CALIBRATION
    ),
    "int16x8.tflite": lambda model: litert.convert_int16x8(model, CALIBRATION),
}
DTYPES = {
    "float16.tflite": "float16",
    "int8.tflite": "int8",
    "int16x8.tflite": "int8",
}


@pytest.fixture(scope="module")
def model(randomize):
    return randomize(
        SqueezeNet(
            weights=None, config=CONFIG, input_shape=(SIDE, SIDE, 3), classes=4
        )
    )


def save(model, folder, name):
    path = folder / name
    if name == "saved_model":
        saved_model.save(model, path)
    elif name == "exported":
        model.export(path, verbose=False)
    elif name.endswith(".sqz"):
        codec.save(model, path)
    elif name.endswith(".weights.h5"):
        model.save_weights(path)
    elif name.endswith(".tflite"):
        path.write_bytes(CONVERT[name](model))
    else:
        model.save(path)
    return path


@pytest.mark.parametrize(
    "name",
    ["a.keras", "a.sqz", "a.weights.h5", "saved_model", "exported", *CONVERT],
)
def test_every_format_has_the_kernels_of_the_model(name, model, tmp_path):
    found = inspection.load_kernels(save(model, tmp_path, name))
    expected = {
        layer.name: np.asarray(layer.get_weights()[0])
        for layer in model.layers
        if layer.weights
    }
    assert sorted(found) == sorted(expected)
    assert len(found) == 30
    for layer, kernel in expected.items():
        assert found[layer].dtype == DTYPES.get(name, "float32")
        if found[layer].dtype == "int8":
            scale = abs(kernel).max(axis=(0, 1, 2)) / 127
            kernel = np.round(kernel / scale)
        np.testing.assert_array_equal(
            found[layer], kernel.astype(found[layer].dtype), err_msg=layer
        )


def test_name_of_a_public_source_is_a_path(shared_data, monkeypatch):
    monkeypatch.setenv(download.MIRROR, str(shared_data / "weights"))
    found = inspection.load_kernels("imagenet_deep_compression")
    assert sum(map(np.count_nonzero, found.values())) == 415_921


@pytest.mark.parametrize(
    "name", ["a.tflite", "a.keras", "a.sqz", "saved_model.pb"]
)
def test_damaged_file_is_refused(name, tmp_path):
    (tmp_path / name).write_bytes(b"no network")
    path = tmp_path if name == "saved_model.pb" else tmp_path / name
    with pytest.raises(ValueError, match=f"{path} cannot be read as"):
        inspection.load_kernels(path)
    with pytest.raises(OSError, match="nothing"):
        inspection.load_kernels(tmp_path / f"nothing.{name}")


@pytest.mark.parametrize("name", ["a.tflite", "a.weights.h5", "a.npz"])
@pytest.mark.parametrize(
    "load", [inspection.load_kernels, classifier.load, models.load]
)
def test_file_that_is_not_the_one_beside_its_digest_is_refused(
    load, name, tmp_path
):
    if load is models.load and name == "a.tflite":
        pytest.skip("it is not a Keras model")
    (tmp_path / name).write_bytes(b"as it was written")
    digests.write(tmp_path / name)
    (tmp_path / name).write_bytes(b"as it is now")
    with pytest.raises(ValueError, match=f"{name} differs from the one that"):
        load(tmp_path / name)


def test_network_without_kernels_is_refused(tmp_path):
    path = tmp_path / "empty.tflite"
    empty = tf.function(tf.nn.relu, input_signature=[tf.TensorSpec([1, 4])])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [empty.get_concrete_function()]
    )
    path.write_bytes(converter.convert())
    with pytest.raises(ValueError, match="must have layers with kernels"):
        inspection.load_kernels(path)
