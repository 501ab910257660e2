import dataclasses
import re
import shutil

import h5py
import keras
import numpy as np
import pytest
from weight_arrays import assert_same
from weight_arrays import random_weights
from weight_arrays import weights_of
from weight_arrays import write_npz

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import SqueezeNet1_1
from keras_squeezenet import SqueezeNetComplexBypass
from keras_squeezenet import architecture
from keras_squeezenet import preprocess_input
from keras_squeezenet import pretrained
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import readers
from keras_squeezenet.utils import archive

VARIANTS = architecture.VARIANTS
SHAPE = (32, 32, 3)
DEEP_COMPRESSION = "compressed_SqueezeNet.net"
CAFFE = "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz"
NO_TOP = "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"


def load_weights(model, path, normalization=None):
    weights = pretrained.open_weights(path, normalization=normalization)
    weights.assign_to(model)


def write(path, model):
    if path.suffix == ".npz":
        write_npz(path, weights_of(model))
    elif path.suffix == ".keras":
        model.save(path)
    else:
        model.save_weights(path)


@pytest.fixture
def random_file(tmp_path):
    """A file of random weights of v1.1."""
    path = tmp_path / "squeezenet.npz"
    write_npz(path, random_weights())
    return path


@pytest.mark.parametrize(
    "builder, file, normalization, parameters",
    [
        (SqueezeNet1_0, DEEP_COMPRESSION, "squeezenet", 1_248_424),
        (SqueezeNet1_1, CAFFE, "caffe", 1_235_496),
    ],
)
def test_released_weights_fill_networks_of_any_size_and_features(
    builder, file, normalization, parameters, shared_data
):
    path = shared_data / "weights" / file
    expected = pretrained.fold(readers.read(path), normalization)
    default = builder(weights=path)
    assert default.count_params() == parameters
    assert_same(weights_of(default), expected)
    other = builder(weights=str(path), input_shape=(64, 80, 3))
    assert other.output_shape == (None, 1000)
    assert_same(weights_of(other), expected)
    features = builder(include_top=False, weights=path)
    del expected["conv10"]
    assert_same(weights_of(features), expected)


@pytest.mark.parametrize("suffix", [".npz", ".weights.h5", ".keras"])
@pytest.mark.parametrize("builder", [SqueezeNet1_1, SqueezeNetComplexBypass])
def test_file_of_a_whole_model_serves_models_and_features(
    suffix, builder, tmp_path, randomize
):
    model = randomize(builder(weights=None, input_shape=SHAPE, classes=10))
    expected = weights_of(model)
    path = tmp_path / f"squeezenet{suffix}"
    write(path, model)
    arguments = {"weights": path, "input_shape": SHAPE}
    assert_same(weights_of(builder(classes=10, **arguments)), expected)
    del expected["conv10"]
    assert_same(weights_of(builder(include_top=False, **arguments)), expected)


def test_weights_of_a_transfer_head_serve_the_same_head(tmp_path, randomize):
    config = dataclasses.replace(VARIANTS["1.1"], conv10_activation=None)
    arguments = {"config": config, "classes": 12, "input_shape": SHAPE}
    model = randomize(SqueezeNet(weights=None, **arguments))
    model.save_weights(tmp_path / "flowers.weights.h5")
    found = SqueezeNet(weights=tmp_path / "flowers.weights.h5", **arguments)
    assert_same(weights_of(found), weights_of(model))
    assert found.get_layer("conv10").activation is keras.activations.linear


def test_half_precision_file_is_loaded_in_single_precision(tmp_path):
    half = {
        name: [array.astype("float16") for array in arrays]
        for name, arrays in random_weights(classes=None).items()
    }
    write_npz(tmp_path / "half.npz", half)
    model = SqueezeNet1_1(include_top=False, weights=tmp_path / "half.npz")
    # The comparison is of float32 only.
    assert_same(weights_of(model), half)


@pytest.mark.parametrize(
    "builder, variant, classes, missing",
    [
        (SqueezeNet1_1, "1.1", None, "conv10"),
        (SqueezeNetComplexBypass, "1.0", 1000, "fire2_bypass1x1"),
    ],
)
def test_missing_layer_is_named(builder, variant, classes, missing, tmp_path):
    path = tmp_path / "other.npz"
    write_npz(path, random_weights(variant, classes))
    message = f"{path} has no weights for layer {missing!r}. It has: "
    with pytest.raises(ValueError, match=re.escape(message)):
        builder(weights=path)


@pytest.mark.parametrize(
    "builder, arguments, message, way_out",
    [
        (
            SqueezeNet1_0,
            {"classes": 10},
            "Layer 'conv10' expects weights of shapes "
            "[(1, 1, 512, 10), (10,)]. "
            "Received: [(1, 1, 512, 1000), (1000,)] from ",
            "include_top=False",
        ),
        (
            SqueezeNet1_1,
            {},
            "Layer 'conv1' expects weights of shapes [(3, 3, 3, 64), (64,)]. "
            "Received: [(7, 7, 3, 96), (96,)] from ",
            "config='1.0'",
        ),
        (
            SqueezeNet1_0,
            {"input_shape": (64, 64, 1)},
            "Layer 'conv1' expects weights of shapes [(7, 7, 1, 96), (96,)]. "
            "Received: [(7, 7, 3, 96), (96,)] from ",
            "images of 3 channels; repeat",
        ),
    ],
)
def test_weights_of_another_shape_are_refused_with_the_way_out(
    builder, arguments, message, way_out, tmp_path
):
    path = tmp_path / "v1.0.npz"
    write_npz(path, random_weights("1.0"))
    with pytest.raises(ValueError, match=re.escape(f"{message}{path}")) as info:
        builder(weights=path, **arguments)
    assert way_out in str(info.value)


def test_nothing_is_assigned_when_a_layer_does_not_fit(random_file, randomize):
    model = randomize(
        SqueezeNet1_1(weights=None, input_shape=SHAPE, classes=10)
    )
    before = weights_of(model)
    with pytest.raises(ValueError, match="conv10"):
        load_weights(model, random_file)
    assert_same(weights_of(model), before)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("layer, index", [("conv10", 0), ("conv1", 1)])
def test_weights_that_are_not_finite_are_refused(value, layer, index, tmp_path):
    weights = random_weights()
    weights[layer][index].flat[-1] = value
    path = tmp_path / "diverged.npz"
    write_npz(path, weights)
    model = SqueezeNet1_1(weights=None)
    before = weights_of(model)
    message = (
        f"Layer '{layer}' expects finite weights. Received: NaN or infinity "
        f"from {path}"
    )
    for normalization in (None, "torch"):
        with pytest.raises(ValueError, match=re.escape(message)):
            load_weights(model, path, normalization)
    assert_same(weights_of(model), before)


def test_layer_without_a_bias_in_the_file_is_refused(random_file, monkeypatch):
    weights = random_weights()
    weights["fire2_squeeze1x1"] = weights["fire2_squeeze1x1"][:1]
    monkeypatch.setattr(readers, "parse", lambda name, content: weights)
    message = (
        "Layer 'fire2_squeeze1x1' expects weights of shapes "
        f"[(1, 1, 64, 16), (16,)]. Received: [(1, 1, 64, 16)] from "
        f"{random_file}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        load_weights(SqueezeNet1_1(weights=None), random_file)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(ValueError, match="or the path to the weights file"):
        SqueezeNet1_1(weights=tmp_path / "missing.npz")
    with pytest.raises(FileNotFoundError):
        load_weights(SqueezeNet1_1(weights=None), tmp_path / "missing.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(OSError):
        SqueezeNet1_1(weights=tmp_path / "folder.npz")


@pytest.mark.parametrize(
    "normalization", [None, "caffe", "squeezenet", "tf", "torch"]
)
def test_normalization_is_folded_into_the_first_layer_alone(
    normalization, random_file
):
    folded = normalization or "caffe"
    weights = random_weights()
    model = SqueezeNet1_1(weights=None)
    load_weights(model, random_file, normalization=normalization)
    found = weights_of(model)
    assert_same(found, pretrained.fold(weights, folded))
    changed = [
        name
        for name, arrays in weights.items()
        if any((one != other).any() for one, other in zip(arrays, found[name]))
    ]
    assert changed == ([] if folded == "caffe" else ["conv1"])


@pytest.mark.parametrize(
    "usual, suffixes",
    [
        ("caffe", [".weights.h5", ".keras", ".h5", ".npz"]),
        ("squeezenet", [".caffemodel", ".net"]),
        ("torch", [".pth", ".pt"]),
    ],
)
def test_format_tells_the_usual_normalization(usual, suffixes):
    for suffix in suffixes:
        assert readers.get_format(f"x{suffix}").normalization == usual


def write_h5(path, weights, normalization):
    with h5py.File(path, "w") as file:
        for layer, arrays in weights.items():
            group = file.create_group(f"layers/{layer}/vars")
            group.attrs["name"] = layer
            for index, array in enumerate(arrays):
                group.create_dataset(str(index), data=array)
        file.attrs["normalization"] = normalization


@pytest.mark.parametrize(
    "write, suffix", [(write_npz, ".npz"), (write_h5, ".weights.h5")]
)
def test_file_says_on_which_images_it_was_trained(
    write, suffix, tmp_path, caplog
):
    path, weights = tmp_path / f"mine{suffix}", random_weights()
    write(path, weights, normalization="torch")
    found = pretrained.open_weights(path)
    expected = pretrained.fold(weights, "torch")["conv1"]
    for one, other in zip(found.arrays["conv1"], expected):
        np.testing.assert_array_equal(one, other)
    stated = pretrained.open_weights(path, normalization="caffe")
    with pytest.raises(ValueError, match="with normalization='torch', as its"):
        _ = stated.arrays
    assert not caplog.messages


@pytest.mark.parametrize("normalization", ["bgr", 3, ["torch", "torch"]])
def test_unknown_normalization_of_a_file_is_refused(normalization, tmp_path):
    path = tmp_path / "mine.npz"
    write_npz(path, random_weights(), normalization=normalization)
    with pytest.raises(ValueError, match="normalization.* must be .*torch'"):
        _ = pretrained.open_weights(path).arrays


def test_assumed_normalization_is_said_once(random_file, caplog):
    for _ in range(2):
        assert pretrained.open_weights(random_file).normalization == "caffe"
    stated = pretrained.open_weights(random_file, normalization="torch")
    assert stated.normalization == "torch"
    (message,) = caplog.messages
    assert message.startswith(f"{random_file} does not say on which images")


def test_weights_without_a_first_layer_are_not_folded():
    weights = random_weights()
    del weights["conv1"]
    assert pretrained.fold(weights, "torch") is weights
    # A kernel alone is refused when it is assigned.
    weights["conv1"] = (np.zeros((3, 3, 3, 64)),)
    assert pretrained.fold(weights, "torch") is weights


def test_folded_network_classifies_the_same_image_alike(tmp_path, randomize):
    """The images are from 0 to 255, the weights for values from -1 to 1."""
    path = tmp_path / "tf.npz"
    model = randomize(
        SqueezeNet1_1(
            weights=None, input_shape=SHAPE, classifier_activation=None
        )
    )
    write_npz(path, weights_of(model))
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (2, *SHAPE)).astype("float32")
    expected = keras.ops.convert_to_numpy(model(rgb / 127.5 - 1))
    load_weights(model, path, normalization="tf")
    found = keras.ops.convert_to_numpy(model(preprocess_input(rgb)))
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=1e-5 * expected.max()
    )


# Weights of the registry, by name and by path.


def test_public_source_is_loaded_by_name(mirror, shared_data):
    released = shared_data / "weights" / DEEP_COMPRESSION
    shutil.copy(released, mirror)
    model = SqueezeNet1_0(weights="imagenet_deep_compression")
    assert_same(weights_of(model), weights_of(SqueezeNet1_0(weights=released)))
    cached = download.cache_folder() / DEEP_COMPRESSION
    assert cached.read_bytes() == released.read_bytes()


def test_path_of_a_public_file_is_taken_as_its_source(shared_data, tmp_path):
    released = shared_data / "weights" / NO_TOP
    weights = readers.read(released)
    model = SqueezeNet1_1(include_top=False, weights=released)
    assert_same(weights_of(model), pretrained.fold(weights, "squeezenet"))
    renamed = tmp_path / "renamed.h5"
    shutil.copy(released, renamed)
    model = SqueezeNet1_1(include_top=False, weights=renamed)
    assert_same(weights_of(model), pretrained.fold(weights, "squeezenet"))
    # HDF5 ignores trailing bytes.
    other = tmp_path / "other.h5"
    other.write_bytes(released.read_bytes() + b"\0")
    model = SqueezeNet1_1(include_top=False, weights=other)
    assert_same(weights_of(model), weights)


def test_features_of_a_public_source_need_no_classifier(mirror, shared_data):
    shutil.copy(shared_data / "weights" / NO_TOP, mirror)
    model = SqueezeNet1_1(include_top=False, weights="imagenet")
    path = shared_data / "weights" / NO_TOP
    expected = weights_of(SqueezeNet1_1(include_top=False, weights=path))
    assert_same(weights_of(model), expected)
    with pytest.raises(download.DownloadError):
        SqueezeNet1_1(weights="imagenet")


def test_features_come_from_a_whole_file_that_is_here(
    mirror, random_file, publish
):
    publish(random_file, "imagenet", "1.1")
    download.cache_folder().mkdir()
    shutil.copy(random_file, download.cache_folder())
    model = SqueezeNet1_1(include_top=False, weights="imagenet")
    expected = pretrained.fold(random_weights(), "squeezenet")
    del expected["conv10"]
    assert_same(weights_of(model), expected)


def test_unknown_file_is_for_the_network_that_was_given(tmp_path):
    path = tmp_path / "squeezenet.npz"
    write_npz(path, random_weights(classes=None))
    config = dataclasses.replace(VARIANTS["1.0"], conv10_padding=3)
    found = pretrained.open_weights(path)
    assert (found.entry, found.classes, found.variant) == (None, None, "1.1")
    assert found.config() == VARIANTS["1.1"]
    assert found.config(config) == config


@pytest.mark.parametrize("stated", [None, "tf", "caffe"])
def test_public_weights_are_folded_whatever_images_are_stated(
    stated, random_file, publish
):
    publish(random_file, "imagenet", "1.1", normalization="tf")
    found = pretrained.open_weights(random_file, normalization=stated)
    assert found.normalization == "tf"
    expected = pretrained.fold(readers.read(random_file), "tf")
    for one, other in zip(found.arrays["conv1"], expected["conv1"]):
        np.testing.assert_array_equal(one, other)


def test_another_normalization_of_public_weights_is_refused(
    random_file, publish
):
    publish(random_file, "imagenet", "1.1", normalization="tf")
    found = pretrained.open_weights(random_file, normalization="torch")
    with pytest.raises(ValueError, match="on images with normalization='tf'"):
        _ = found.arrays


@pytest.mark.parametrize("padding, side", [(0, 3), (2, 5)])
def test_public_file_brings_its_normalization_and_its_padding(
    padding, side, random_file, publish
):
    trained = dataclasses.replace(VARIANTS["1.1"], conv10_padding=padding)
    publish(random_file, "imagenet", "1.1", normalization="tf", trained=trained)
    config = dataclasses.replace(
        VARIANTS["1.1"], conv10_padding=1, conv10_activation=None
    )
    found = pretrained.open_weights(random_file)
    assert (found.normalization, found.classes) == ("tf", 1000)
    # The padding is that of v1.1 or the trained one, the rest that of `config`.
    assert found.config(config) == dataclasses.replace(
        config, conv10_padding=padding or 1
    )
    model = SqueezeNet(weights=random_file, config=config, input_shape=SHAPE)
    assert model.get_layer("conv10").output.shape[1] == side


def test_file_is_read_once(random_file, monkeypatch):
    read = []
    read_file = archive.read_file
    monkeypatch.setattr(
        archive, "read_file", lambda path: read.append(path) or read_file(path)
    )
    SqueezeNet1_1(weights=random_file, input_shape=SHAPE)
    assert read == [str(random_file)]


def test_source_that_a_network_has_not_is_refused():
    message = "complex_bypass: none; 1.1_simple_bypass: 'imagenet_imgclsmob'. "
    with pytest.raises(ValueError, match=re.escape(message)):
        SqueezeNetComplexBypass()
    with pytest.raises(ValueError, match="Received: weights='imagenet_dsd'"):
        SqueezeNet1_1(weights="imagenet_dsd")


# The network that weights fit.


@pytest.mark.parametrize("classes", [2, 1000, None])
@pytest.mark.parametrize("variant", VARIANTS)
def test_network_is_inferred_from_its_weights(variant, classes):
    weights = random_weights(variant, classes)
    inferred = {"simple_bypass": "1.0", "1.1_simple_bypass": "1.1"}
    inferred = inferred.get(variant, variant)
    assert pretrained.infer_network(weights) == (inferred, classes)


def test_network_of_a_released_file_is_inferred(shared_data):
    assert {
        name: pretrained.infer_network(
            readers.read(shared_data / "weights" / name)
        )
        for name in (DEEP_COMPRESSION, CAFFE, NO_TOP)
    } == {
        DEEP_COMPRESSION: ("1.0", 1000),
        CAFFE: ("1.1", 1000),
        NO_TOP: ("1.1", None),
    }


def test_weights_of_another_network_are_refused(shared_data):
    arrays = readers.read(shared_data / "caffe" / "det1.caffemodel")
    message = (
        "The weights must fit one of the networks 1.0, 1.1, "
        "simple_bypass, complex_bypass, 1.1_simple_bypass. Received: conv1 "
        "[(3, 3, 3, 10), (10,)]"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        pretrained.infer_network(arrays)


@pytest.mark.parametrize(
    "changed",
    [
        {"conv11": (np.zeros((1, 1, 10, 10)), np.zeros(10))},
        {"conv10": ()},
        {"conv10": (np.array(0.0),)},
        {"conv10": (np.zeros((1, 1, 512, 1000)),)},
        {"conv10": (np.zeros((1, 1, 512, 9)), np.zeros(10))},
        {"conv1": (np.zeros((3, 3, 1, 64)), np.zeros(64))},
        {"fire2_squeeze1x1": (np.zeros((1, 1, 64, 17)), np.zeros(17))},
    ],
    ids=lambda changed: " ".join(changed),
)
def test_weights_that_nearly_fit_a_network_are_refused(changed):
    weights = {**random_weights(), **changed}
    with pytest.raises(ValueError, match="The weights must fit one of"):
        pretrained.infer_network(weights)
