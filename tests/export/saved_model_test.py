import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import Stem
from keras_squeezenet import inspection
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.export import saved_model
from keras_squeezenet.utils import files

SMALL = SqueezeNetConfig(
    base_e=8, incr_e=8, SR=0.25, stem=Stem(8), bypass="complex"
).for_small_images()
# Wide enough for the weights to take more bytes than the names.
WIDE = dataclasses.replace(SMALL, base_e=128, incr_e=32, bypass=None)
SIDE = 20
CLASSES = 5


def make_model(config=SMALL, **options):
    return SqueezeNet(
        weights=None,
        config=config,
        **{"input_shape": (SIDE, SIDE, 3), "classes": CLASSES, **options},
    )


def make_images(count, side=SIDE):
    rng = np.random.default_rng(0)
    images = rng.normal(scale=50, size=(count, side, side, 3))
    return images.astype("float32")


@pytest.fixture(scope="module")
def model(randomize):
    return randomize(make_model())


def export(model, path):
    model.export(path, verbose=False)


@pytest.mark.parametrize("write", [saved_model.save, export])
def test_outputs_are_those_of_the_model(write, model, tmp_path):
    write(model, tmp_path / "saved_model")
    predict, shape = saved_model.load_signature(tmp_path / "saved_model")
    assert shape == (None, SIDE, SIDE, 3)
    for count in (1, 3):
        images = make_images(count)
        expected = model.predict_on_batch(images)
        assert expected.std() > 0.01
        outputs = predict(images)
        assert isinstance(outputs, np.ndarray)
        assert outputs.shape == (count, CLASSES)
        assert outputs.dtype == "float32"
        np.testing.assert_allclose(outputs, expected, atol=1e-6)
    # Dropout is off.
    np.testing.assert_array_equal(predict(images), outputs)
    for side in (SIDE - 1, SIDE + 1):
        with pytest.raises(Exception, match=f"{SIDE},{SIDE},3"):
            predict(make_images(1, side))


def test_model_without_a_top_takes_images_of_any_size(tmp_path, randomize):
    model = randomize(
        make_model(include_top=False, input_shape=(None, None, 3))
    )
    saved_model.save(model, tmp_path / "saved_model")
    predict, shape = saved_model.load_signature(tmp_path / "saved_model")
    assert shape == (None, None, None, 3)
    for side in (17, 32):
        images = make_images(2, side)
        expected = model.predict_on_batch(images)
        assert abs(expected).max() > 1
        np.testing.assert_allclose(predict(images), expected, rtol=1e-4)


def test_photographs_may_be_integers(model, tmp_path):
    saved_model.save(model, tmp_path / "saved_model")
    predict = saved_model.load(tmp_path / "saved_model")
    squares = make_images(2).clip(0, 255).astype("uint8")
    np.testing.assert_array_equal(
        predict(squares), predict(squares.astype("float32"))
    )


def test_state_of_the_training_is_not_written(tmp_path):
    model = make_model()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    saved_model.save(model, tmp_path / "saved_model")
    variables = tf.train.list_variables(
        str(tmp_path / "saved_model" / "variables" / "variables")
    )
    shapes = [
        tuple(shape)
        for name, shape in variables
        if name.endswith("VARIABLE_VALUE")
    ]
    expected = [tuple(weight.shape) for weight in model.weights]
    assert sorted(shapes) == sorted(expected)


def test_another_backend_is_refused(tmp_path, monkeypatch):
    model = make_model()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(
        RuntimeError,
        match="needs the TensorFlow backend.*Received: KERAS_BACKEND=jax",
    ):
        saved_model.save(model, tmp_path / "saved_model")
    assert not any(tmp_path.iterdir())


def test_packed_folder_of_shared_weights_is_a_fraction(tmp_path):
    model = make_model(WIDE)
    for weight in model.weights:
        weight.assign(np.round(weight, 1))
    sizes = {}
    for packed in (False, True):
        folder = tmp_path / str(packed)
        saved_model.save(model, folder, packed=packed)
        sizes[packed] = len(files.content(folder))
    # Every weight is written once.
    size = 4 * model.count_params()
    assert size < sizes[False] < 1.2 * size
    assert sizes[True] < sizes[False] / 5


def test_nested_model_is_not_packed(tmp_path):
    inner = make_model()
    model = keras.Model(inner.input, inner(inner.input))
    with pytest.raises(ValueError, match="nested"):
        saved_model.save(model, tmp_path / "saved_model", packed=True)
    assert not any(tmp_path.iterdir())


def save_function(path, function, *names):
    """Write a SavedModel of a function of vectors."""
    specs = [tf.TensorSpec((None,), tf.float32, name) for name in names]
    module = tf.Module()
    module.function = tf.function(function, input_signature=specs)
    tf.saved_model.save(module, str(path), signatures=module.function)


def test_signature_may_be_of_any_names(tmp_path):
    save_function(tmp_path, lambda pixels: {"twice": 2 * pixels}, "pixels")
    function, shape = saved_model.load_signature(tmp_path)
    assert shape == (None,)
    assert function(np.ones(3, "float32")).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "function, names, error",
    [
        (lambda a, b: a + b, "ab", "one input .*: a, b and output_0"),
        (lambda a: {"x": a, "y": a}, "a", "one output. Received: a and x, y"),
    ],
)
def test_signature_of_several_tensors_is_refused(
    function, names, error, tmp_path
):
    save_function(tmp_path, function, *names)
    with pytest.raises(ValueError, match=error):
        saved_model.load_signature(tmp_path)


def test_folder_without_the_signature_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(
        ValueError, match="signature 'serving_default'. Received: none"
    ):
        saved_model.load_signature(tmp_path)


def test_folder_without_a_saved_model_is_refused(tmp_path):
    with pytest.raises(OSError, match="saved_model.pb"):
        saved_model.load_signature(tmp_path)


def test_outputs_are_those_of_the_quantized_model(
    quantized_folder, quantized, calibration
):
    predict, shape = saved_model.load_signature(quantized_folder)
    assert shape == (None, 8, 8, 3)
    for count in (1, 5):
        images = calibration[0][:count]
        np.testing.assert_allclose(
            predict(images), quantized.predict_on_batch(images), atol=1e-6
        )


def test_quantized_model_rounds_its_kernels_to_8_bits(
    quantized_folder, pruned, calibration
):
    signature = tf.saved_model.load(str(quantized_folder)).signatures
    graph = signature["serving_default"].graph.as_graph_def()
    operations = [
        node
        for function in graph.library.function
        for node in function.node_def
    ]
    rounded = [
        node.attr["num_bits"].i
        for node in operations
        if node.op == "FakeQuantWithMinMaxVarsPerChannel"
    ]
    # Each kernel of a dense layer has one scale.
    assert rounded == [8] * 4
    outputs = saved_model.load(quantized_folder)(calibration[0])
    expected = pruned.predict_on_batch(calibration[0])
    assert 1e-4 < abs(outputs - expected).mean() < 0.02


def test_kernels_of_a_quantized_model_are_its_float_ones_written_once(
    quantized_folder, pruned
):
    expected = tf_keras_twin.kernels(pruned)
    found = inspection.load_kernels(quantized_folder)
    assert sorted(found) == sorted(expected)
    for name, kernel in expected.items():
        np.testing.assert_array_equal(found[name], kernel)
    variables = tf.train.list_variables(
        str(quantized_folder / "variables" / "variables")
    )
    written = [tuple(shape) for _, shape in variables if len(shape) > 1]
    assert sorted(written) == sorted(k.shape for k in expected.values())


@pytest.mark.parametrize("packed", [False, True])
def test_signatures_have_the_same_names_in_every_format(
    model, packed, tmp_path
):
    saved_model.save(model, tmp_path / "m", packed=packed, raw_images=True)
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    assert {
        name: (*found.structured_input_signature[1], *found.structured_outputs)
        for name, found in loaded.signatures.items()
    } == {
        "serving_default": ("images", "probabilities"),
        "raw_images": ("images", "probabilities"),
        "encoded_images": ("images", "probabilities"),
    }
