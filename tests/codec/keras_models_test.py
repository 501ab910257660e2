import dataclasses
import os

import keras
import numpy as np
import pytest

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import architecture
from keras_squeezenet import codec
from keras_squeezenet import metadata
from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import sqz

SHAPE = (64, 64, 3)
PROVENANCE = {"trained_on": "mnist5k", "accuracy": 0.95}
IMAGES = np.random.default_rng(0).normal(scale=60, size=(2, *SHAPE))


def narrow(variant):
    config = architecture.VARIANTS[variant]
    return dataclasses.replace(config, base_e=16, incr_e=16)


def make_transfer_model(activation="softmax", classes=3):
    base = SqueezeNet(
        include_top=False,
        weights=None,
        pooling="avg",
        input_shape=SHAPE,
        config=narrow("1.1"),
    )
    head = keras.layers.Dense(classes, activation=activation, name="head")
    return keras.Model(base.input, head(base.output), name="transfer")


MAKERS = {
    "transfer": make_transfer_model,
    **{
        variant: lambda variant=variant: SqueezeNet(
            weights=None, input_shape=SHAPE, classes=5, config=narrow(variant)
        )
        for variant in architecture.VARIANTS
    },
}


@pytest.mark.parametrize("name", MAKERS)
def test_model_comes_back_to_the_bit(name, tmp_path, randomize):
    model = randomize(MAKERS[name]())
    codec.save(model, tmp_path / "model.sqz")
    loaded = codec.load(tmp_path / "model.sqz")
    assert loaded.name == model.name
    for expected, received in zip(
        model.get_weights(), loaded.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(expected, received)
    np.testing.assert_array_equal(
        model.predict_on_batch(IMAGES), loaded.predict_on_batch(IMAGES)
    )


def test_shared_weights_take_few_bits(tmp_path):
    model = SqueezeNet(weights=None, input_shape=SHAPE, classes=5)
    rng = np.random.default_rng(0)
    kernels = 0
    for layer in model.layers:
        if layer.weights:
            shape = layer.kernel.shape
            kernels += np.prod(shape)
            layer.kernel.assign(rng.choice([-0.25, 0, 0, 0, 0.5], shape))
    codec.save(model, tmp_path / "model.sqz")
    # 1.371 bits are the entropy of 3/5, 1/5, 1/5.
    assert os.path.getsize(tmp_path / "model.sqz") < 1.371 / 8 * kernels + 4000


def test_file_is_weights_for_a_builder(tmp_path, randomize):
    model = randomize(SqueezeNet(weights=None, input_shape=SHAPE))
    path = tmp_path / "model.sqz"
    codec.save(model, path)
    expected = model.get_weights()
    for weights, include_top in ((str(path), True), (path, False)):
        other = SqueezeNet(
            weights=weights, input_shape=SHAPE, include_top=include_top
        )
        for one, received in zip(expected, other.get_weights()):
            np.testing.assert_array_equal(one, received)
    with pytest.raises(ValueError, match="'conv1' expects weights of shapes"):
        SqueezeNet1_0(weights=path, input_shape=SHAPE)


@pytest.fixture(scope="module")
def content():
    return codec.dump(make_transfer_model(), provenance=PROVENANCE)


@pytest.mark.parametrize(
    "labels, classes",
    [(None, 3), (codec.IMAGENET, 1000), (["ä", "b", "c"], 3)],
)
def test_labels_come_back(labels, classes, tmp_path):
    model = make_transfer_model(classes=classes)
    codec.save(model, tmp_path / "model.sqz", labels)
    assert codec.read_labels(tmp_path / "model.sqz") == labels


@pytest.mark.parametrize(
    "labels", ["cats", "imagenet", ["a", "b"], ["a", "b", 3], 3]
)
def test_labels_that_do_not_name_the_outputs_are_refused(labels, tmp_path):
    with pytest.raises(ValueError, match="a list of 3 strings, one for each"):
        codec.save(make_transfer_model(), tmp_path / "model.sqz", labels)
    assert os.listdir(tmp_path) == []


def test_thresholds_of_several_labels_come_back(tmp_path):
    model = make_transfer_model("sigmoid")
    found = dataclasses.replace(
        metadata.describe(model), thresholds=(0.1, 0.2, 0.9)
    )
    metadata.attach(model, found)
    path = tmp_path / "model.sqz"
    codec.save(model, path)
    assert codec.read_metadata(path) == found
    assert metadata.of(codec.load(path)) == found


def test_header_tells_input_and_provenance(content):
    header, _ = sqz.load(content)
    assert header["provenance"] == PROVENANCE
    assert header["input"] == {
        "channels": "BGR",
        "mean": [103.939, 116.779, 123.68],
        "scale": 1,
    }
    assert header["network"]["layers"][0]["shape"] == [64, 64, 3]
    assert "thresholds" not in header


def test_other_arrays_take_the_place_of_weights(tmp_path):
    model = make_transfer_model()
    shape = model.get_layer("head").kernel.shape
    codes = np.arange(np.prod(shape)).reshape(shape) % 7 - 3
    path = tmp_path / "model.sqz"
    other = {"head/kernel": encodings.UniformArray(codes, 0.25)}
    path.write_bytes(codec.dump(model, arrays=other))
    loaded = codec.load(path)
    np.testing.assert_array_equal(
        loaded.get_layer("head").get_weights()[0], codes * 0.25
    )
    np.testing.assert_array_equal(
        loaded.get_layer("conv1").get_weights()[0],
        model.get_layer("conv1").get_weights()[0],
    )


def plain(*values):
    return encodings.PlainArray(np.array(values, "float32"))


def layers(header):
    return header["network"]["layers"]


# By the error: a function that changes the header and the arrays.
CHANGES = {
    "layers before it. Received: 'fire2_squeeze1x1'": (
        lambda header, arrays: layers(header).pop(3)
    ),
    "its header is wrong .KeyError: 'network'": (
        lambda header, arrays: header.pop("network")
    ),
    "'conv1' must have from 1 to 16 inputs. Received: 0": (
        lambda header, arrays: layers(header)[1].update(inputs=[])
    ),
    "Received: head/bias without a counterpart": (
        lambda header, arrays: arrays.pop("head/bias")
    ),
    "filters of layer 'conv1' must be .* Received: filters=1000000000000": (
        lambda header, arrays: layers(header)[1].update(filters=10**12)
    ),
    "head/bias must be finite": (
        lambda header, arrays: arrays.update({"head/bias": plain(0, np.nan, 0)})
    ),
    "head/bias must have the shape .3,": (
        lambda header, arrays: arrays.update({"head/bias": plain(0, 0, 0, 0)})
    ),
    "numbers in the output of 'conv1'.* Received: 143,808,064": (
        lambda header, arrays: layers(header)[0].update(shape=[3000, 3000, 3])
    ),
    "have from 1 to 512 layers. Received: 5,0": (
        lambda header, arrays: layers(header).extend(5000 * layers(header)[1:2])
    ),
    "`thresholds` must be numbers greater than 0 and below 1": (
        lambda header, arrays: header.update(thresholds=[0.5, 1.5, 0.5])
    ),
    "`thresholds` must be one for each": (
        lambda header, arrays: header.update(thresholds=[0.5])
    ),
    "its header is wrong .TypeError": (
        lambda header, arrays: header.update(thresholds=0.5)
    ),
    "layer 'conv1' is a Lambda": (
        lambda header, arrays: layers(header)[1].update(type="Lambda")
    ),
}


@pytest.mark.parametrize("error", CHANGES)
def test_wrong_header_is_an_error_that_names_the_file(error, content, tmp_path):
    header, arrays = sqz.load(content)
    del header["arrays"]
    CHANGES[error](header, arrays)
    path = tmp_path / "model.sqz"
    path.write_bytes(sqz.dump(header, arrays))
    with pytest.raises(ValueError, match=f"model.sqz cannot be .*{error}"):
        codec.load(path)


def test_failed_save_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "model.sqz"
    path.write_bytes(b"before")
    inputs = keras.Input(SHAPE)
    with pytest.raises(ValueError, match="is a Rescaling"):
        codec.save(keras.Model(inputs, keras.layers.Rescaling(2)(inputs)), path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["model.sqz"]


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e39])
def test_weights_that_are_not_finite_are_refused(value, tmp_path):
    inputs = keras.Input((3,), dtype="float64")
    head = keras.layers.Dense(2, "softmax", dtype="float64", name="head")
    model = keras.Model(inputs, head(inputs))
    head.bias.assign([0.0, value])
    with pytest.raises(ValueError, match="finite in float32.*'head/bias'"):
        codec.save(model, tmp_path / "model.sqz")
    assert os.listdir(tmp_path) == []
