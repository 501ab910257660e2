"""Weights of imgclsmob's layout: Keras on MXNet, in a zip archive."""

import dataclasses

import h5py
import keras
import numpy as np
import pytest
from contents import zip_archive
from weight_arrays import assert_same
from weight_arrays import random_weights
from weight_arrays import weights_of

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import SqueezeNet1_1
from keras_squeezenet import SqueezeNet1_1SimpleBypass
from keras_squeezenet import SqueezeNetSimpleBypass
from keras_squeezenet import preprocess_input
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained import registry
from keras_squeezenet.pretrained.readers import imgclsmob

NAME = "imagenet_imgclsmob"
BUILDERS = {
    "1.0": SqueezeNet1_0,
    "1.1": SqueezeNet1_1,
    "simple_bypass": SqueezeNetSimpleBypass,
    "1.1_simple_bypass": SqueezeNet1_1SimpleBypass,
}
# The Fire modules in each stage.
STAGES = {"1.0": (3, 4, 1), "1.1": (2, 2, 4)}
MEAN = np.array([123.68, 116.779, 103.939])
STD = np.array([58.393, 57.12, 57.375])

every_variant = pytest.mark.parametrize("variant", BUILDERS)


def published_names(variant):
    """The names of layers in imgclsmob, and those in the paper."""
    stages = STAGES["1.1" if variant.startswith("1.1") else "1.0"]
    units = [
        f"features/stage{stage}/unit{unit}"
        for stage, count in enumerate(stages, start=1)
        for unit in range(1, count + 1)
    ]
    names = {"features/init_block/conv": "conv1"}
    for fire, unit in enumerate(units, start=2):
        names[f"{unit}/squeeze/conv"] = f"fire{fire}_squeeze1x1"
        for part in ("expand1x1", "expand3x3"):
            names[f"{unit}/{part}/conv"] = f"fire{fire}_{part}"
    return {**names, "output/final_conv": "conv10"}


def write(path, variant, arrays, backend=b"mxnet"):
    """Write the weights as Keras on MXNet does: kernels in OIHW."""
    with h5py.File(path, "w") as file:
        names = published_names(variant)
        layers = ["input_1", *names, "output/final_activ"]
        file.attrs["layer_names"] = [name.encode() for name in layers]
        file.attrs["backend"] = backend
        file.attrs["keras_version"] = b"2.2.4"
        for layer in layers:
            group = file.create_group(layer)
            weights = {}
            if layer in names:
                kernel, bias = arrays[names[layer]]
                weights[f"{layer}/kernel1"] = kernel.transpose(3, 2, 0, 1)
                weights[f"{layer}/bias1"] = bias
            group.attrs["weight_names"] = [name.encode() for name in weights]
            for name, array in weights.items():
                group[name] = array
    return path


def images(*shape):
    return np.random.default_rng(1).integers(0, 256, shape).astype("float32")


@every_variant
def test_layers_are_renamed_and_transposed(variant, tmp_path):
    arrays = random_weights(variant, 7)
    found = readers.read(write(tmp_path / "weights.h5", variant, arrays))
    assert list(found) == list(published_names(variant).values())
    assert_same(found, arrays)


def test_order_of_the_layers_does_not_matter():
    names = published_names("1.0")
    assert imgclsmob.rename(reversed(names)) == names
    assert names["features/stage3/unit1/squeeze/conv"] == "fire9_squeeze1x1"


def test_other_names_are_kept():
    assert imgclsmob.rename(["conv1", "features/stage1/unit1/conv"]) == {}


@pytest.fixture
def serve(tmp_path, mirror, monkeypatch):
    """Return a function that puts a source's archive onto the mirror."""

    def serve(variant, arrays):
        entry = registry.find(NAME, variant)
        name = entry.file.weights_name
        content = write(tmp_path / name, variant, arrays).read_bytes()
        archive = zip_archive({name: content})
        (mirror / entry.file.name).write_bytes(archive)
        digest = entry.file.digest.of(content)
        file = dataclasses.replace(entry.file, digest=digest)
        entries = [
            dataclasses.replace(each, file=file) if each is entry else each
            for each in registry.ENTRIES
        ]
        monkeypatch.setattr(registry, "ENTRIES", tuple(entries))
        return tmp_path / name

    return serve


@pytest.mark.parametrize(
    "variant, by_name",
    zip(BUILDERS, [True, False, False, True]),
)
def test_outputs_are_those_of_the_training_input(variant, by_name, serve):
    arrays = random_weights(variant, 1000)
    path = serve(variant, arrays)
    options = {"input_shape": (64, 64, 3), "classifier_activation": None}
    # As the entry's configuration says, without zeros around conv10.
    config = registry.find(NAME, variant).config
    reference = SqueezeNet(weights=None, config=config, **options)
    for layer in reference.layers:
        if layer.weights:
            layer.set_weights(arrays[layer.name])
    model = BUILDERS[variant](weights=NAME if by_name else path, **options)
    assert [layer.name for layer in model.layers[1:]] == [
        layer.name for layer in reference.layers[1:]
    ]
    rgb = images(2, 64, 64, 3)
    expected = reference.predict_on_batch((rgb - MEAN) / STD)
    found = keras.ops.convert_to_numpy(model(preprocess_input(rgb)))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=1e-5 * expected.max()
    )


def test_padding_comes_with_the_source(serve):
    serve("1.0", random_weights("1.0", 1000))
    model = SqueezeNet1_0(weights=NAME, input_shape=(224, 224, 3))
    names = [layer.name for layer in model.layers]
    # Zeros after a ReLU: what the ceil mode of Gluon's pooling does.
    assert [name for name in names if name.endswith("pad")] == ["pool4_pad"]


def test_archive_stays_in_the_cache_and_is_read_again(serve, mirror):
    arrays = random_weights("1.1", 1000)
    serve("1.1", arrays)
    entry = registry.find(NAME)
    assert entry.variant == "1.1"
    path = download.fetch(entry.file)
    assert path.endswith("models/squeezenet_v1_1-1739-b9a8f9ea.h5.zip")
    (mirror / entry.file.name).unlink()
    model = SqueezeNet1_1(weights=NAME, input_shape=(64, 64, 3))
    kernel, _ = weights_of(model)["fire9_expand3x3"]
    np.testing.assert_array_equal(kernel, arrays["fire9_expand3x3"][0])


def test_weights_of_another_digest_are_not_used(serve, mirror):
    serve("1.1", random_weights("1.1", 1000))
    file = registry.find(NAME).file
    archive = zip_archive({file.weights_name: b"other"})
    (mirror / file.name).write_bytes(archive)
    with pytest.raises(
        ValueError,
        # The output of `printf other | sha1sum`.
        match="h5 in .*h5.zip must have the digest sha1 .*Received: sha1 "
        "d0941e68da8f38151ff86a61fc59f7c5cf9fcaa2.",
    ):
        SqueezeNet1_1(weights=NAME)
    assert not download.is_available(file)
