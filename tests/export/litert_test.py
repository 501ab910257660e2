import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.evaluation import kernel_statistics
from keras_squeezenet.export import litert

SIDE = 8
CLASSES = 4
# `kernels` expects the layer names of TF-MOT's wrappers.
KERNELS = {"conv1": (3, 3, 3, 6), "conv10": (1, 1, 6, CLASSES)}


def make_images(count, scale=40):
    rng = np.random.default_rng(count)
    images = rng.normal(scale=scale, size=(count, SIDE, SIDE, 3))
    return images.astype("float32")


@pytest.fixture(scope="module")
def model():
    model = tf_keras.Sequential(
        [
            tf_keras.Input((SIDE, SIDE, 3)),
            tf_keras.layers.Conv2D(
                6, 3, strides=2, activation="relu", name="quant_conv1"
            ),
            tf_keras.layers.Conv2D(CLASSES, 1, name="quant_conv10"),
            tf_keras.layers.GlobalAveragePooling2D(),
            tf_keras.layers.Softmax(),
        ]
    )
    rng = np.random.default_rng(0)
    model.set_weights(
        [
            rng.normal(scale=0.1, size=weight.shape)
            for weight in model.get_weights()
        ]
    )
    return model


@pytest.fixture(scope="module")
def int8_content(model):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [image[None]] for image in make_images(32)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter.convert()


@pytest.fixture(scope="module")
def float_content(model):
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


@pytest.fixture
def int8(int8_content):
    return litert.LiteRTModel(int8_content)


@pytest.fixture
def float32(float_content):
    return litert.LiteRTModel(float_content)


def test_int8_outputs_are_near_those_of_the_model(int8, model):
    images = make_images(8)
    outputs = int8(images)
    expected = model.predict_on_batch(images)
    assert outputs.dtype == "float32"
    assert outputs.shape == expected.shape
    assert expected.std() > 0.1
    np.testing.assert_allclose(outputs, expected, atol=0.05)
    assert np.corrcoef(outputs.ravel(), expected.ravel())[0, 1] > 0.995


def test_int8_outputs_are_probabilities_of_8_bits(int8):
    codes = int8(make_images(8)) * 256
    np.testing.assert_array_equal(codes, np.round(codes))
    assert codes.min() >= 0 and codes.max() <= 255


def test_float_outputs_are_those_of_the_model(float32, model):
    images = make_images(8)
    outputs = float32(images)
    assert outputs.dtype == "float32"
    np.testing.assert_allclose(
        outputs, model.predict_on_batch(images), atol=1e-5
    )


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_batches_may_change_their_size(kind, request):
    model = request.getfixturevalue(kind)
    images = make_images(5)
    expected = model(images)
    assert expected.shape == (5, CLASSES)
    assert len(np.unique(expected[:, 0])) > 1
    for batch in (slice(0, 1), slice(1, 4), slice(4, 5), slice(0, 5)):
        # A batch of one image may be summed in another order.
        np.testing.assert_allclose(
            model(images[batch]), expected[batch], atol=1e-6
        )


def test_inputs_out_of_range_are_clipped(int8):
    scale, zero_point = int8.input["quantization"]
    lowest, highest = ((code - zero_point) * scale for code in (-128, 127))
    images = make_images(4, scale=1)
    far = np.where(images > 0, 1e6, -1e6).astype("float32")
    limits = np.where(images > 0, highest, lowest).astype("float32")
    assert lowest < -50 and highest > 50
    np.testing.assert_array_equal(int8(far), int8(limits))
    near = np.where(images > 0, 1, -1).astype("float32")
    assert (int8(far) != int8(near)).any()


def test_inputs_are_rounded_to_the_nearest_code():
    tensor = {"dtype": np.int8, "quantization": (0.5, -3)}
    values = np.array([0, 0.2, 0.3, -0.3, 65.3, -62.4, 1e9, -1e9], "float32")
    codes = litert._quantize(values, tensor)
    assert codes.dtype == np.int8
    assert codes.tolist() == [-3, -3, -2, -4, 127, -128, 127, -128]


def test_codes_are_dequantized():
    tensor = {"dtype": np.int8, "quantization": (0.5, -3)}
    codes = np.array([-128, -3, 127], "int8")
    values = litert._dequantize(codes, tensor)
    assert values.dtype == np.float32
    assert values.tolist() == [-62.5, 0, 65]


def test_full_int8_file_has_no_float_tensor(int8):
    assert int8.float_tensors() == []


def test_float_file_names_its_float_tensors(float32):
    names = float32.float_tensors()
    details = float32.interpreter.get_tensor_details()
    assert 0 < len(names) < len(details)
    assert float32.input["name"] in names


def test_file_with_float_inputs_is_not_full_int8(model):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [image[None]] for image in make_images(4)
    )
    hybrid = litert.LiteRTModel(converter.convert())
    assert hybrid.input["name"] in hybrid.float_tensors()


def test_kernels_have_the_layout_of_keras(int8, model):
    kernels = int8.kernels(KERNELS)
    assert list(kernels) == list(KERNELS)
    for name, shape in KERNELS.items():
        assert kernels[name].dtype == np.int8
        assert kernels[name].shape == shape
        expected = model.get_layer(f"quant_{name}").get_weights()[0]
        # The scale of each output channel makes its largest weight 127.
        scale = abs(expected).max(axis=(0, 1, 2)) / 127
        np.testing.assert_array_equal(
            kernels[name], np.round(expected / scale).astype("int8")
        )


def test_layer_name_is_matched_whole(int8):
    np.testing.assert_array_equal(
        int8.kernels(["conv1"])["conv1"], int8.kernels(KERNELS)["conv1"]
    )


@pytest.mark.parametrize("layer", ["conv2", "conv", "quant_conv1"])
def test_missing_kernel_is_an_error_that_names_the_layer(int8, layer):
    with pytest.raises(
        ValueError,
        match=rf"one int8 kernel of layer '{layer}'.*Received: \[\]",
    ):
        int8.kernels(["conv1", layer])


def test_float_file_has_no_int8_kernel(float32):
    with pytest.raises(ValueError, match="layer 'conv1'"):
        float32.kernels(KERNELS)


DTYPES = {
    "float32": ("float32", "float32"),
    "float16": ("float32", "float16"),
    "int16x8": ("int16", "int8"),
    "post_training_int8": ("int8", "int8"),
    "int8": ("int8", "int8"),
}


@pytest.fixture(scope="module")
def contents(pruned, quantized, calibration):
    """The files of the pruned and clustered model by type."""
    return {
        "float32": litert.convert_float32(pruned),
        "float16": litert.convert_float16(pruned),
        "int16x8": litert.convert_int16x8(pruned, calibration),
        "post_training_int8": litert.convert_post_training_int8(
            pruned, calibration
        ),
        "int8": litert.convert_int8(quantized),
    }


@pytest.fixture(params=DTYPES)
def kind(request):
    return request.param


def test_inputs_and_outputs_have_the_type(kind, contents):
    model = litert.LiteRTModel(contents[kind])
    dtype, _ = DTYPES[kind]
    assert model.input["dtype"] is model.output["dtype"] is np.dtype(dtype).type
    assert model.input["shape_signature"].tolist() == [-1, SIDE, SIDE, 3]
    assert bool(model.float_tensors()) == (dtype == "float32")


# The tolerances, for probabilities whose standard deviation is 0.1.
@pytest.mark.parametrize(
    "kind, tolerance",
    [
        ("float32", 1e-6),
        ("float16", 1e-3),
        ("int16x8", 0.01),
        ("post_training_int8", 0.03),
    ],
)
def test_every_type_gives_the_outputs_of_the_model(
    kind, tolerance, contents, pruned, calibration
):
    model = litert.LiteRTModel(contents[kind])
    expected = pruned.predict_on_batch(calibration[0])
    assert expected.std() > 0.1
    outputs = model(calibration[0])
    assert outputs.dtype == "float32"
    np.testing.assert_allclose(outputs, expected, atol=tolerance)
    # The same interpreter accepts another batch size.
    np.testing.assert_allclose(
        model(calibration[0][:3]), outputs[:3], atol=1e-6
    )


def test_int8_file_gives_the_outputs_of_its_quantized_model(
    contents, quantized, calibration
):
    expected = quantized.predict_on_batch(calibration[0])
    assert expected.std() > 0.1
    np.testing.assert_allclose(
        litert.LiteRTModel(contents["int8"])(calibration[0]),
        expected,
        atol=0.01,
    )


def test_zeros_stay_zero_and_shared_values_shared(kind, contents, pruned):
    kernels = litert.read_kernels(contents[kind])
    expected = tf_keras_twin.kernels(pruned)
    assert sorted(kernels) == sorted(expected)
    for name, kernel in kernels.items():
        assert kernel.dtype == DTYPES[kind][1]
        np.testing.assert_array_equal(kernel == 0, expected[name] == 0)
        before = kernel_statistics.measure(expected[name])
        after = kernel_statistics.measure(kernel)
        assert 0.3 < after.density < 0.7
        # Two values of a channel differ by at least 127 / 8 codes.
        assert after.distinct_per_channel == before.distinct_per_channel
        if kernel.dtype != "int8":
            assert after.distinct == before.distinct <= 9


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_float_kernels_are_those_of_the_model(dtype, contents, pruned):
    kernels = litert.read_kernels(contents[dtype])
    for name, kernel in tf_keras_twin.kernels(pruned).items():
        np.testing.assert_array_equal(kernels[name], kernel.astype(dtype))


@pytest.mark.parametrize("kind", ["int16x8", "post_training_int8", "int8"])
def test_integer_kernels_use_the_whole_range(kind, contents, pruned):
    kernels = litert.read_kernels(contents[kind])
    kernel = tf_keras_twin.kernels(pruned)["fire2_expand3x3"]
    scale = abs(kernel).max(axis=(0, 1, 2)) / 127
    np.testing.assert_array_equal(
        kernels["fire2_expand3x3"], np.round(kernel / scale).astype("int8")
    )


def test_weights_shrink_with_their_type(randomize):
    inputs = tf_keras.Input((SIDE, SIDE, 3))
    x = tf_keras.layers.Conv2D(32, 3, name="conv1")(inputs)
    x = tf_keras.layers.Conv2D(256, 3, name="conv2")(x)
    outputs = tf_keras.layers.GlobalAveragePooling2D()(x)
    model = randomize(tf_keras.Model(inputs, outputs))
    images = [make_images(2)]
    weights = model.count_params()
    # The rest is the graph and the scales of the output channels.
    for content, size in (
        (litert.convert_float32(model), 4),
        (litert.convert_float16(model), 2),
        (litert.convert_post_training_int8(model, images), 1),
        (litert.convert_int16x8(model, images), 1),
    ):
        assert 0 < len(content) - size * weights < weights / 4


def test_conversion_prints_nothing(pruned, capsys):
    litert.convert_float32(pruned)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "convert", [litert.convert_int16x8, litert.convert_post_training_int8]
)
@pytest.mark.parametrize("calibration", [[], [np.zeros((0, SIDE, SIDE, 3))]])
def test_calibration_without_an_image_is_refused(convert, calibration, pruned):
    with pytest.raises(ValueError, match="at least one image"):
        convert(pruned, calibration)


def test_another_backend_is_refused(pruned, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(
        RuntimeError,
        match="A LiteRT file needs .*Received: KERAS_BACKEND=torch",
    ):
        litert.convert_float32(pruned)
