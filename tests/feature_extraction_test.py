"""The outputs of modules and layers inside a network."""

import keras
import numpy as np
import pytest
import quarters

from keras_squeezenet import SqueezeNet
from keras_squeezenet import codec
from keras_squeezenet import features
from keras_squeezenet import metadata
from keras_squeezenet import models

SIDE = 64


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, SIDE, SIDE, 3)).astype("float32")


def build(randomize, **arguments):
    return randomize(
        SqueezeNet(
            **{
                "weights": None,
                "input_shape": (SIDE, SIDE, 3),
                "classes": 7,
                **arguments,
            }
        )
    )


def outputs_of(model, layers, images):
    tensors = [model.get_layer(name).output for name in layers]
    return keras.Model(model.input, tensors).predict_on_batch(images)


def test_modules_are_the_outputs_of_their_last_layers(randomize, images):
    model = build(randomize, config="complex_bypass")
    found = features(model, ["fire4", "conv1", "fire9", "pool8", "pool10"])
    received = found.predict_on_batch(images)
    layers = ["fire4_bypass", "conv1", "fire9_bypass", "pool8", "pool10"]
    names = ["fire4", "conv1", "fire9", "pool8", "pool10"]
    expected = outputs_of(model, layers, images)
    assert set(received) == set(names)
    for name, output in zip(names, expected):
        np.testing.assert_array_equal(received[name], output)
    assert found.feature_info["fire4"][:2] == (256, 4)
    assert found.feature_info["fire9"][:2] == (512, 16)
    assert found.feature_info["pool10"] == (7, None, 0)


@pytest.mark.parametrize(
    "config,expected",
    [
        ("1.0", {"conv1": 2, "fire4": 4, "fire8": 8, "fire9": 16}),
        ("1.1", {"conv1": 2, "fire3": 4, "fire5": 8, "fire9": 16}),
        ("complex_bypass", {"conv1": 2, "fire4": 4, "fire8": 8, "fire9": 16}),
    ],
)
def test_default_is_the_last_module_at_each_stride(config, expected):
    model = SqueezeNet(
        weights=None, config=config, include_top=False, input_shape=(64, 64, 3)
    )
    found = features(model)
    strides = {name: info.stride for name, info in found.feature_info.items()}
    assert strides == expected


def test_default_of_a_network_for_small_images():
    found = features("cifar10")
    strides = {name: info.stride for name, info in found.feature_info.items()}
    assert strides == {"conv1": 1, "fire5": 2, "fire9": 4}
    assert found.metadata.image_size == 32


@pytest.mark.parametrize("side", [63, 64])
@pytest.mark.parametrize("config", ["1.0", "1.1", quarters.TINY])
def test_a_cell_sees_the_image_around_its_center(config, side, randomize):
    model = build(randomize, config=config, input_shape=(side, side, 3))
    found = features(model, ["conv1", "fire2"])
    # The first image is black, the others have a bright row each.
    rows = np.concatenate([np.zeros((1, side)), 300 * np.eye(side)])
    images = np.broadcast_to(rows[..., None, None], (*rows.shape, side, 3))
    outputs = found.predict_on_batch(images.astype("float32"))
    for name, (_, stride, offset) in found.feature_info.items():
        cell = outputs[name].shape[1] // 2
        outputs_there = outputs[name][:, cell, cell]
        differs = np.any(outputs_there != outputs_there[0], axis=-1)
        seen = np.flatnonzero(differs) - 1
        assert (seen.min() + seen.max()) / 2 == offset + stride * cell, name


@pytest.mark.parametrize(
    "make_layer, offset",
    [
        (lambda: keras.layers.Conv2D(1, 3, dilation_rate=2), 2),
        (lambda: keras.layers.Conv2D(1, 5, dilation_rate=3), 6),
        (
            lambda: keras.layers.Conv2D(1, 3, dilation_rate=2, padding="same"),
            0,
        ),
        (lambda: keras.layers.DepthwiseConv2D(3, dilation_rate=4), 4),
        (lambda: keras.layers.Cropping2D(((3, 1), (2, 2))), 3),
    ],
)
def test_first_center_of_other_layers_is_known(make_layer, offset):
    inputs = keras.Input((32, 32, 3))
    layer = make_layer()
    model = keras.Model(inputs, layer(inputs))
    info = features(model, [layer.name]).feature_info[layer.name]
    assert (info.stride, info.offset) == (1, offset)


def nested(base, images):
    inputs = keras.Input(images.shape[1:])
    x = keras.layers.Rescaling(0.5)(inputs)
    x = base(x, training=False) + 1.0
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_nested_backbone_is_opened(kind, randomize, images):
    base = build(randomize, include_top=False)
    model = nested(base, images)
    scale = 0.5
    if kind == "sequential":
        pool = keras.layers.GlobalAveragePooling2D()
        head = keras.layers.Dense(3, name="head")
        model = keras.Sequential([keras.Input((64, 64, 3)), base, pool, head])
        scale = 1
    received = features(model, ["fire4", "fire9", "head"])(images)
    layers = ["fire4_concat", "fire9_concat"]
    fire4, fire9 = outputs_of(base, layers, scale * images)
    np.testing.assert_allclose(received["fire4"], fire4, atol=1e-4)
    np.testing.assert_allclose(received["fire9"], fire9, atol=1e-4)
    np.testing.assert_allclose(received["head"], model(images), atol=1e-4)


def test_the_model_is_left_unchanged(randomize, images):
    model = build(randomize)
    found = features(model, ["fire2"])
    found.get_layer("conv1").kernel.assign_add(np.ones((3, 3, 3, 64)))
    assert np.any(found.get_weights()[0] != model.get_weights()[0])


@pytest.mark.parametrize("suffix", [".keras", ".sqz"])
def test_files_are_taken(suffix, make_model, tmp_path):
    model = make_model()
    found = metadata.Metadata(normalization="raw", image_size=16)
    metadata.attach(model, found)
    path = tmp_path / f"model{suffix}"
    if suffix == ".sqz":
        codec.save(model, path)
    else:
        models.save(model, path)
    loaded = features(path, ["fire9"])
    assert loaded.metadata == found
    assert loaded.output["fire9"].shape[1:] == (4, 4, 64)


@pytest.mark.parametrize("pooling,reduce", [("avg", np.mean), ("max", np.max)])
def test_outputs_are_pooled(pooling, reduce, randomize, images):
    model = build(randomize)
    names = ["fire3", "pool10"]
    plain = features(model, names)(images)
    pooled = features(model, names, pooling=pooling)
    received = pooled(images)
    expected = reduce(np.array(plain["fire3"], "float64"), axis=(1, 2))
    np.testing.assert_allclose(received["fire3"], expected, rtol=1e-4)
    np.testing.assert_array_equal(received["pool10"], plain["pool10"])
    assert pooled.feature_info["fire3"] == (128, 4, 3)


def test_pooled_features_are_float32_with_mixed_precision(images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = SqueezeNet(weights=None, input_shape=(SIDE, SIDE, 3))
    assert features(model, ["fire9"]).output["fire9"].dtype == "bfloat16"
    pooled = features(model, ["fire9"], pooling="avg").output["fire9"]
    assert pooled.dtype == "float32"


def test_networks_for_channels_first_are_known():
    keras.config.set_image_data_format("channels_first")
    model = SqueezeNet(weights=None, input_shape=(3, 64, 64))
    found = features(model, ["fire5"], pooling="avg")
    assert found.feature_info["fire5"] == (256, 8, 7)
    assert found.output["fire5"].shape == (None, 256)


def test_unknown_names_name_the_known_ones(make_model):
    with pytest.raises(
        ValueError,
        match="Received: 'fire10'. Did you mean 'fire.'.* modules: fire2, .*"
        "fire9; layers: conv1, .*predictions",
    ):
        features(make_model(), ["fire9", "fire10"])


@pytest.mark.parametrize("layers", ["fire9", [], ()])
def test_layers_must_be_several_names(layers, make_model):
    with pytest.raises(ValueError, match="`layers` must be names, such as"):
        features(make_model(), layers)


def test_unknown_pooling_is_refused(make_model):
    with pytest.raises(ValueError, match="'avg' or 'max'. .*pooling='sum'"):
        features(make_model(), ["fire9"], pooling="sum")


def test_a_network_of_other_modules_needs_names():
    model = quarters.make_classifier()
    with pytest.raises(ValueError, match="without Fire modules"):
        features(keras.Model(model.input, model.layers[1].output))
    assert features(model, ["conv1"]).feature_info == {"conv1": (8, 4, 1.5)}


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="Functional or Sequential"):
        features(Own(), ["conv1"])
