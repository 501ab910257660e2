"""Networks to export: pruned and clustered, quantized, or packed."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest

from keras_squeezenet import SqueezeNet
from keras_squeezenet import codec
from keras_squeezenet.codec import encodings
from keras_squeezenet.compression.stages import quantize
from keras_squeezenet.export import packed_saved_model
from keras_squeezenet.export import saved_model

SIDE = 8
CLASSES = 4
VALUES = np.array([-5, -3, -2, -1, 1, 2, 3, 5])


@pytest.fixture(scope="session")
def pruned():
    """Half of each kernel's weights are zero, the others share 8 values.

    It has what a SqueezeNet with a transfer head has, once.
    """
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(
        8, 3, strides=2, padding="same", activation="relu", name="conv1"
    )(inputs)
    x = layers.Conv2D(8, 1, activation="relu", name="fire2_squeeze1x1")(x)
    expanded = [
        layers.Conv2D(8, 1, activation="relu", name="fire2_expand1x1")(x),
        layers.Conv2D(
            8, 3, padding="same", activation="relu", name="fire2_expand3x3"
        )(x),
    ]
    x = layers.Concatenate(name="fire2_concat")(expanded)
    x = layers.GlobalAveragePooling2D(name="pool10")(x)
    x = layers.Dense(16, activation="relu", name="hidden")(x)
    x = layers.Dense(CLASSES, name="logits")(x)
    x = layers.Activation("softmax", name="predictions")(x)
    model = keras.Model(inputs, x, name="pruned")
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            shape = layer.kernel.shape
            codes = rng.choice(VALUES, shape) * rng.integers(0, 2, shape)
            # Powers of two would hide rounding.
            scale = 0.3 / np.sqrt(np.prod(shape[:-1]))
            layer.kernel.assign(codes * scale)
            layer.bias.assign(rng.normal(scale=0.1, size=shape[-1:]))
    return model


@pytest.fixture(scope="session")
def calibration():
    rng = np.random.default_rng(1)
    # Each image has its own color, so that the outputs differ.
    images = rng.normal(scale=60, size=(2, 16, 1, 1, 3))
    images = images + rng.normal(scale=20, size=(2, 16, SIDE, SIDE, 3))
    return list(images.astype("float32"))


@pytest.fixture(scope="session")
def quantized(pruned, calibration):
    """The weights of `pruned` in a model with quantization wrappers."""
    return quantize.wrap(pruned, quantize.measure_ranges(pruned, calibration))


@pytest.fixture(scope="session")
def quantized_folder(quantized, tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantized") / "saved_model"
    saved_model.save_quantized(quantized, folder)
    return folder


@dataclasses.dataclass(frozen=True, eq=False)
class Packed:
    """A .sqz file, its SavedModel folder, images, and their outputs."""

    content: bytes
    folder: pathlib.Path
    images: np.ndarray
    expected: np.ndarray


def make_content(model):
    """Return a .sqz file with every encoding of an array."""
    rng = np.random.default_rng(0)
    found = {}
    for number, layer in enumerate(model.layers):
        if layer.weights:
            kernel = layer.get_weights()[0]
            codes = np.where(
                rng.random(kernel.shape) < 0.5,
                rng.integers(-8, 9, kernel.shape),
                0,
            )
            step = float(np.float32(0.2 / np.sqrt(np.prod(kernel.shape[:-1]))))
            array = encodings.UniformArray(codes, step)
            if number % 2:
                array = encodings.lossless(array.to_array())
                assert isinstance(array, encodings.CodebookArray)
            found[f"{layer.name}/kernel"] = array
    return codec.dump(model, arrays=found)


@pytest.fixture(scope="session")
def packed_models(randomize, tmp_path_factory):
    """`{name: Packed}`: a transfer model, and a network with bypasses."""
    shape = (64, 64, 3)
    base = SqueezeNet(
        include_top=False, weights=None, pooling="max", input_shape=shape
    )
    head = keras.layers.Dense(3, activation="softmax", name="head")
    models = {
        "transfer": keras.Model(base.input, head(base.output)),
        "bypass": SqueezeNet(
            weights=None, input_shape=shape, classes=5, config="complex_bypass"
        ),
    }
    rng = np.random.default_rng(0)
    images = rng.normal(scale=60, size=(3, *shape)).astype("float32")
    found = {}
    for name, model in models.items():
        content = make_content(randomize(model))
        folder = tmp_path_factory.mktemp(name) / "saved_model"
        packed_saved_model.save(content, folder)
        expected = codec.loads(content).predict_on_batch(images)
        found[name] = Packed(content, folder, images, expected)
    return found


@pytest.fixture(scope="session")
def noisy_colors():
    """Photographs of one color each, with noise, as float32 numbers."""
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (32, 1, 1, 3))
    noise = rng.normal(scale=20, size=(32, SIDE, SIDE, 3))
    return np.clip(colors + noise, 0, 255).round().astype("float32")


@pytest.fixture(scope="session")
def require_outputs():
    """Return a function that compares a file, as loaded, with its model."""

    def require_outputs(run, model, images, tolerance):
        expected = model.predict_on_batch(images)
        assert expected.std() > 0.1
        outputs = run(images)
        assert outputs.dtype == "float32"
        np.testing.assert_allclose(outputs, expected, atol=tolerance)
        for batch in (images[:1], images[:5].astype("uint8")):
            np.testing.assert_allclose(
                run(batch), outputs[: len(batch)], atol=1e-6
            )

    return require_outputs


@pytest.fixture
def largest_openvino_codes():
    """Return a function that quantizes a model.

    It returns the largest code of each kernel, without its sign.
    """
    openvino_file = pytest.importorskip(
        "keras_squeezenet.export.openvino_file",
        reason="the extra `openvino` is not installed",
    )

    def largest_openvino_codes(model, calibration):
        found = {}
        for operation in openvino_file.quantize(model, calibration).get_ops():
            layer, *rest = operation.get_friendly_name().split("/")
            if (
                operation.get_type_name() == "Multiply"
                and rest
                and (rest[-1].startswith("fq_weights"))
            ):
                # They are converted to float32 and scaled.
                converted = operation.input_value(0).get_node()
                codes = converted.input_value(0).get_node().data
                found[layer] = abs(codes.astype(int)).max()
        return found

    return largest_openvino_codes
