import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_squeezenet import classifier
from keras_squeezenet import preprocess_input
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import image_reader
from keras_squeezenet.export import saved_model

SIDE = 8
# A larger square, wide, tall, the size that `pruned` takes, smaller.
SIZES = [(20, 20), (15, 40), (33, 9), (SIDE, SIDE), (3, 5)]


def make_photographs(height, width, count=2):
    rng = np.random.default_rng(height)
    return rng.integers(0, 256, (count, height, width, 3)).astype("uint8")


def expected_outputs(model, photographs, shorter_side=None):
    squares = [
        image_ops.square(photograph, SIDE, shorter_side)
        for photograph in photographs
    ]
    return model.predict_on_batch(preprocess_input(np.stack(squares) * 1.0))


def raw_outputs(folder, photographs):
    signature = tf.saved_model.load(str(folder)).signatures["raw_images"]
    (outputs,) = signature(images=tf.constant(photographs)).values()
    return outputs.numpy()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "packed"])
def folder(request, pruned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "saved_model"
    saved_model.save(pruned, folder, packed=request.param, raw_images=True)
    return folder


def test_photographs_of_any_size_are_cut_and_preprocessed(folder, pruned):
    for size in SIZES:
        photographs = make_photographs(*size)
        np.testing.assert_allclose(
            raw_outputs(folder, photographs),
            expected_outputs(pruned, photographs),
            atol=1e-6,
        )


def test_files_of_several_sizes_are_one_batch(folder, pruned, tmp_path):
    contents, expected = [], []
    for number, (height, width) in enumerate(SIZES):
        path = tmp_path / f"{number}.{('png', 'jpg')[number % 2]}"
        Image.fromarray(make_photographs(height, width)[0]).save(path)
        contents.append(path.read_bytes())
        photograph = image_reader.read(path)
        expected.append(expected_outputs(pruned, photograph[None])[0])
    signature = tf.saved_model.load(str(folder)).signatures["encoded_images"]
    outputs = signature(images=tf.constant(contents))["probabilities"]
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


@pytest.mark.parametrize("is_packed", [False, True])
def test_photographs_for_imagenet_are_resized_as_predict_does(
    is_packed, tmp_path
):
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.GlobalMaxPooling2D()(inputs)
    x = keras.layers.Dense(1000, "softmax", name="head")(x)
    model = keras.Model(inputs, x)
    model.get_layer("head").kernel.assign(
        np.random.default_rng(0).normal(scale=0.1, size=(3, 1000))
    )
    saved_model.save(model, tmp_path / "model", is_packed, raw_images=True)
    photographs = make_photographs(40, 30)
    network = classifier.load(model)
    # 256 for 227.
    assert network.shorter_side == 18
    squares = [image_ops.square(each, 16, 18) for each in photographs]
    np.testing.assert_allclose(
        raw_outputs(tmp_path / "model", photographs),
        network.predict(np.stack(squares)),
        atol=1e-5,
    )


def test_signature_of_preprocessed_images_stays(folder, pruned, calibration):
    predict, shape = saved_model.load_signature(folder)
    assert shape == (None, SIDE, SIDE, 3)
    expected = pruned.predict_on_batch(calibration[0])
    np.testing.assert_allclose(predict(calibration[0]), expected, atol=1e-6)
    network = classifier.load(folder)
    assert network.image_size == SIDE
    photographs = make_photographs(SIDE, SIDE)
    np.testing.assert_allclose(
        network.predict(photographs),
        expected_outputs(pruned, photographs),
        atol=1e-6,
    )


@pytest.mark.parametrize("is_packed", [False, True])
def test_shorter_side_is_resized_to_the_argument(is_packed, pruned, tmp_path):
    saved_model.save(
        pruned, tmp_path / "model", is_packed, raw_images=True, shorter_side=11
    )
    photographs = make_photographs(20, 31)
    outputs = raw_outputs(tmp_path / "model", photographs)
    expected = expected_outputs(pruned, photographs, 11)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    assert abs(outputs - expected_outputs(pruned, photographs)).max() > 1e-3


@pytest.mark.parametrize("is_packed", [False, True])
def test_signatures_of_photographs_are_optional(is_packed, pruned, tmp_path):
    saved_model.save(pruned, tmp_path / "model", is_packed)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    assert list(loaded.signatures) == ["serving_default"]


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("shape", [(None, None, 3), (8, 9, 3), (8, 8, 1)])
def test_network_without_rgb_squares_takes_no_raw_images(
    shape, is_packed, tmp_path
):
    inputs = keras.Input(shape)
    outputs = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, outputs)
    with pytest.raises(ValueError, match=r"one square size.*shape \(None, "):
        saved_model.save(model, tmp_path / "model", is_packed, raw_images=True)
    assert not any(tmp_path.iterdir())


def test_shorter_side_below_the_square_is_refused(pruned, tmp_path):
    with pytest.raises(ValueError, match="at least 8, .* shorter_side=7"):
        saved_model.save(
            pruned, tmp_path / "model", raw_images=True, shorter_side=7
        )
