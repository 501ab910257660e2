import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_squeezenet import normalizations
from keras_squeezenet import preprocess_input
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.evaluation import kernel_statistics
from keras_squeezenet.export import litert
from keras_squeezenet.export import litert_file
from keras_squeezenet.export import photograph_input

SIDE = 8
CLASSES = 4
# The types of the input and the output, and of the kernels.
DTYPES = {
    "float32": ("float32", "float32"),
    "float16": ("float32", "float16"),
    "int16x8": ("int16", "int8"),
    "post_training_int8": ("float32", "int8"),
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


@pytest.fixture
def int8(contents):
    return litert_file.LiteRTModel(contents["int8"])


def test_inputs_and_outputs_have_the_type(kind, contents):
    model = litert_file.LiteRTModel(contents[kind])
    dtype, _ = DTYPES[kind]
    assert model.input["dtype"] is model.output["dtype"] is np.dtype(dtype).type
    assert model.input["shape_signature"].tolist() == [-1, SIDE, SIDE, 3]
    assert bool(model.float_tensors()) == (dtype == "float32")
    is_named = model.input["name"] in model.float_tensors()
    assert is_named == (dtype == "float32")


# The tolerances, for probabilities whose standard deviation is 0.1.
@pytest.mark.parametrize(
    "kind, tolerance",
    [
        ("float32", 1e-6),
        ("float16", 1e-3),
        ("int16x8", 0.01),
        ("post_training_int8", 0.03),
        ("int8", 0.01),
    ],
)
def test_every_type_gives_the_outputs_of_the_model(
    kind, tolerance, contents, pruned, quantized, calibration
):
    model = litert_file.LiteRTModel(contents[kind])
    (images, _) = calibration
    source = quantized if kind == "int8" else pruned
    expected = source.predict_on_batch(images)
    assert expected.std() > 0.1
    outputs = model(images)
    assert outputs.dtype == "float32"
    np.testing.assert_allclose(outputs, expected, atol=tolerance)
    # The same interpreter accepts other batch sizes.
    for batch in (slice(0, 1), slice(1, 4), slice(0, 16)):
        np.testing.assert_allclose(
            model(images[batch]), outputs[batch], atol=1e-6
        )


def test_int8_outputs_are_probabilities_of_8_bits(int8, calibration):
    codes = int8(calibration[0]) * 256
    np.testing.assert_array_equal(codes, np.round(codes))
    assert codes.min() >= 0 and codes.max() <= 255


def test_inputs_are_rounded_to_codes_and_clipped(int8):
    scale, zero_point = int8.input["quantization"]
    codes = np.random.default_rng(0).integers(-128, 128, (4, SIDE, SIDE, 3))

    def outputs(codes):
        return int8(((codes - zero_point) * scale).astype("float32"))

    expected = outputs(codes)
    np.testing.assert_array_equal(outputs(codes + 0.4), expected)
    np.testing.assert_array_equal(outputs(codes - 0.4), expected)
    assert (outputs(np.minimum(codes + 8, 127)) != expected).any()
    far = np.where(codes > 0, 10**6, -(10**6))
    limits = np.where(codes > 0, 127, -128)
    np.testing.assert_array_equal(outputs(far), outputs(limits))


def test_zeros_stay_zero_and_shared_values_shared(kind, contents, pruned):
    kernels = litert_file.read_kernels(contents[kind])
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


def test_kernels_are_those_of_the_model(kind, contents, pruned):
    kernels = litert_file.read_kernels(contents[kind])
    for name, kernel in tf_keras_twin.kernels(pruned).items():
        found = kernels[name]
        if found.dtype != "int8":
            np.testing.assert_array_equal(found, kernel.astype(found.dtype))
        elif kernel.ndim == 4:
            # The largest weight of each output channel is 127.
            scale = abs(kernel).max(axis=(0, 1, 2)) / 127
            np.testing.assert_allclose(found, kernel / scale, atol=0.501)


def test_weights_shrink_with_their_type(randomize):
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(32, 3, name="conv1")(inputs)
    x = keras.layers.Conv2D(256, 3, name="conv2")(x)
    outputs = keras.layers.GlobalAveragePooling2D()(x)
    model = randomize(keras.Model(inputs, outputs))
    images = [np.ones((2, SIDE, SIDE, 3), "float32")]
    weights = model.count_params()
    # The rest is the graph and the scales of the output channels.
    for content, size in (
        (litert.convert_float32(model), 4),
        (litert.convert_float16(model), 2),
        (litert.convert_post_training_int8(model, images), 1),
        (litert.convert_int16x8(model, images), 1),
    ):
        assert 0 < len(content) - size * weights < weights / 4


@pytest.fixture(scope="module")
def photographs():
    rng = np.random.default_rng(2)
    colors = rng.integers(0, 256, (16, 1, 1, 3))
    noise = rng.integers(-30, 31, (16, SIDE, SIDE, 3))
    return np.clip(colors + noise, 0, 255).astype("uint8")


# "valid" padding folds the normalization into conv1.
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    "kind, tolerance", [("float32", 1e-6), ("float16", 2e-3), ("int8", 0.03)]
)
def test_photographs_are_taken_as_uint8(
    kind, tolerance, padding, photographs, randomize
):
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(8, 3, padding=padding, activation="relu")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    dense = keras.layers.Dense(CLASSES, activation="softmax", name="head")
    model = randomize(keras.Model(inputs, dense(x)))
    dense.kernel.assign(dense.kernel / 50)
    taking = photograph_input.photograph_input(model)
    content = {
        "float32": lambda: litert.convert_float32(taking, photographs=True),
        "float16": lambda: litert.convert_float16(taking, photographs=True),
        "int8": lambda: litert.convert_post_training_int8(
            taking, [photographs.astype("float32")], photographs=True
        ),
    }[kind]()
    interpreter = Interpreter(model_content=content)
    run = interpreter.get_signature_runner()
    (found,) = run.get_input_details().values()
    assert found["dtype"] is np.uint8
    assert found["shape_signature"].tolist() == [-1, SIDE, SIDE, 3]
    scale = (1.0, 0) if kind == "int8" else (0.0, 0)
    assert found["quantization"] == scale
    expected = model.predict_on_batch(preprocess_input(photographs))
    assert expected.std() > 0.1
    outputs = run(images=photographs)["probabilities"]
    assert outputs.dtype == "float32"
    np.testing.assert_allclose(outputs, expected, atol=tolerance)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-6)
    model = litert_file.LiteRTModel(content)
    # A float32 number is rounded.
    np.testing.assert_array_equal(model(photographs - np.float32(0.4)), outputs)


def test_probabilities_of_int8_files_are_finer_than_8_bits(
    contents, calibration
):
    model = litert_file.LiteRTModel(contents["post_training_int8"])
    codes = model(np.concatenate(calibration)) * 256
    assert (codes != codes.round()).any()


def test_kernel_that_has_no_integers_is_refused(pruned, monkeypatch):
    monkeypatch.setattr(litert_file, "read_kernels", lambda content: {})
    images = [np.ones((2, SIDE, SIDE, 3), "float32")]
    with pytest.raises(ValueError, match="in integers. Received: conv1, fire2"):
        litert.convert_post_training_int8(pruned, images)


def test_photographs_of_another_scale_are_refused(pruned, monkeypatch):
    monkeypatch.setattr(normalizations, "RAW", "another")
    images = [np.full((2, SIDE, SIDE, 3), 128, "float32")]
    with pytest.raises(ValueError, match=r"uint8 with scale 1 .*\(0.5"):
        litert.convert_post_training_int8(pruned, images, photographs=True)


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
