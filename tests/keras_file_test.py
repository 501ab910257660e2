"""Nothing in a .keras file is run, and no file costs more than it is worth."""

import io
import os
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras_archives import WEIGHTS
from keras_archives import layer
from keras_archives import replace_layer
from keras_archives import rewrite
from keras_archives import set_argument
from weight_arrays import assert_same
from weight_arrays import weights_of

from keras_squeezenet import architecture
from keras_squeezenet import graph
from keras_squeezenet import keras_file
from keras_squeezenet import models
from keras_squeezenet import squeezenet

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
# Python that a file could bring along, were it run.
PAYLOAD = "touch ran"
FUNCTION = {
    "module": "os",
    "class_name": "function",
    "config": "system",
    "registered_name": "system",
}


def make_model():
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 3), name="images")
    x = y = layers.Conv2D(
        4,
        3,
        2,
        "same",
        activation="relu",
        kernel_regularizer="l2",
        name="conv1",
    )(x)
    y = layers.Conv2D(4, 1, name="conv2")(y)
    x = layers.Concatenate(name="concat")([x, y])
    x = layers.Dropout(0.5, name="drop")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(2, activation="softmax", name="head")(x)
    return keras.Model(inputs, x, name="small")


def make_sequential():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.GlobalMaxPooling2D(name="pool"),
            layers.Dense(2, name="head"),
            layers.Softmax(name="probabilities"),
        ],
        name="chain",
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory, randomize):
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    randomize(make_model()).save(path)
    return path


@pytest.fixture
def crafted(saved, tmp_path, monkeypatch):
    """Returns a function that writes a change of the saved model."""
    monkeypatch.chdir(tmp_path)
    return lambda change: rewrite(tmp_path / "it.keras", change, saved)


@pytest.mark.parametrize("make", [make_model, make_sequential])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_model_comes_back_in_float32(make, policy, tmp_path, randomize):
    plain = randomize(make())
    keras.config.set_dtype_policy(policy)
    try:
        model = make()
        model.set_weights(plain.get_weights())
        model.save(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    loaded = models.load(tmp_path / "model.keras")
    assert loaded.name == model.name
    assert_same(weights_of(loaded), weights_of(model))
    np.testing.assert_array_equal(
        loaded.predict_on_batch(IMAGES), plain.predict_on_batch(IMAGES)
    )


def test_frozen_layers_stay_frozen(tmp_path):
    model = make_model()
    model.get_layer("conv1").trainable = False
    model.save(tmp_path / "model.keras")
    loaded = keras_file.load(tmp_path / "model.keras")
    frozen = [each.name for each in loaded.layers if not each.trainable]
    assert frozen == ["conv1"]


def as_keras_3_6(config, members):
    for each in config["config"]["layers"]:
        for new in ("optional", "ragged", "quantization_config"):
            each["config"].pop(new, None)


def with_dangerous_parts_that_are_not_needed(config, members):
    config.update(
        build_config={"input_shape": FUNCTION},
        compile_config={"optimizer": FUNCTION, "loss": 3},
        registered_name="os>system",
    )
    conv1 = layer(config, "conv1")
    conv1.update(registered_name="os>system", build_config=FUNCTION)
    conv1["config"].update(
        dtype=FUNCTION,
        kernel_initializer=FUNCTION,
        kernel_regularizer=FUNCTION,
        bias_constraint=FUNCTION,
    )
    members["metadata.json"] = b"no JSON"
    members["assets/layers/lookup/vocabulary.txt"] = b"1"


@pytest.mark.parametrize(
    "change", [as_keras_3_6, with_dangerous_parts_that_are_not_needed]
)
def test_what_a_network_does_not_need_is_not_read(change, crafted, saved):
    loaded = models.load(crafted(change))
    assert_same(weights_of(loaded), weights_of(models.load(saved)))


def call_again(config, members):
    calls = layer(config, "conv2")["inbound_nodes"]
    calls.append(calls[0])


def call_with(**arguments):
    def change(config, members):
        layer(config, "drop")["inbound_nodes"][0]["kwargs"] = arguments

    return change


def feed(name, source):
    def change(config, members):
        layer(config, name)["inbound_nodes"][0]["args"] = [source]

    return change


def nest(config, members):
    layer(config, "conv2").update(class_name="Functional")


def set_top(key, value):
    def change(config, members):
        config["config"][key] = value

    return change


def text(content):
    return lambda config, members: content


def drop_argument(name, key):
    def change(config, members):
        del layer(config, name)["config"][key]

    return change


def reshape_input(*shape):
    return set_argument("images", "batch_shape", [None, *shape])


def rewrite_weights(fill):
    def change(config, members):
        file = io.BytesIO(members[WEIGHTS])
        with h5py.File(file, "a") as opened:
            variables = opened["layers/dense/vars"]
            del variables["0"]
            fill(variables)
        members[WEIGHTS] = file.getvalue()

    return change


def store(**arguments):
    return rewrite_weights(lambda group: group.create_dataset("0", **arguments))


def compose(group):
    layout = h5py.VirtualLayout((8, 2), "<f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "0", (8, 2), "<f4")
    group.create_virtual_dataset("0", layout)


def link(target):
    return rewrite_weights(lambda group: group.__setitem__("0", target))


def unpack_to_much(config, members):
    members["assets/zeros"] = bytes(2**26)


def chain_concatenations(config, members):
    layers = config["config"]["layers"]
    for index in range(30):
        tensors = [["concat" if index == 0 else f"c{index - 1}", 0, 0]] * 2
        layers.insert(
            4 + index,
            {
                "module": "keras.layers",
                "class_name": "Concatenate",
                "config": {"name": f"c{index}", "axis": -1},
                "inbound_nodes": [{"args": [tensors], "kwargs": {}}],
            },
        )


def add_many_layers(config, members):
    config["config"]["layers"] += [layer(config, "drop")] * 600


# Files that Keras has run, read from elsewhere, or blown up for, some with
# `safe_mode=True`.
DANGEROUS = {
    "a lambda": (
        replace_layer("drop", "Lambda", function=["4wEAAAAA", None, None]),
        "'drop' is a Lambda, and a network may have",
    ),
    "a function as a layer": (
        replace_layer("drop", "function", "os", "system", fn=PAYLOAD),
        "'drop' is a os.function",
    ),
    "a download": (
        replace_layer(
            "drop", "get_file", "keras.utils", origin="file:///etc/passwd"
        ),
        "'drop' is a keras.utils.get_file",
    ),
    "the switch of the safe mode": (
        replace_layer("drop", "enable_unsafe_deserialization", "keras.config"),
        "'drop' is a keras.config.enable_unsafe_deserialization",
    ),
    "a pickle of PyTorch": (
        replace_layer("drop", "TorchModuleWrapper", pickled="gASV"),
        "'drop' is a TorchModuleWrapper",
    ),
    "a file as a vocabulary": (
        replace_layer("drop", "StringLookup", vocabulary="/etc/passwd"),
        "'drop' is a StringLookup",
    ),
    "a SavedModel": (
        replace_layer("drop", "TFSMLayer", filepath="https://example.org"),
        "'drop' is a TFSMLayer",
    ),
    "a registered class": (
        replace_layer("drop", "Dropout", "mine", "mine>Dropout", rate=0.5),
        "'drop' is a mine.Dropout",
    ),
    "a nested model": (nest, "the model 'conv2' is nested in another"),
    "a function as an activation": (
        set_argument("conv1", "activation", FUNCTION),
        "activation of layer 'conv1' must be one of .* Received: .*'module'",
    ),
    "a name as an activation": (
        set_argument("conv1", "activation", "os.system"),
        "must be one of elu, .* Received: activation='os.system'",
    ),
    "an argument that is not read": (
        set_argument("conv1", "groups", 2),
        "'conv1' must have groups=1, .* Received: groups=2",
    ),
    "an argument of a call": (
        call_with(training=True),
        "'drop' must have training=None.* Received: training=True",
    ),
    "a constant input": (feed("drop", 1), "must be the outputs of other"),
    "an input that comes later": (
        feed("drop", ["head", 0, 0]),
        "'drop' must be layers before it. Received: 'head'",
    ),
    "several inputs of a layer for one": (
        feed("drop", [["concat", 0, 0]] * 2),
        "'drop' must have one input",
    ),
    "thousands of inputs": (
        feed("concat", [["conv1", 0, 0]] * 5000),
        "'concat' must have from 1 to 16 inputs. Received: 5,000",
    ),
    "a shared layer": (call_again, "'conv2' must be called once"),
    "a name for two layers": (
        set_argument("conv2", "name", "conv1"),
        "several layers called 'conv1'",
    ),
    "an output in the middle": (
        set_top("output_layers", ["conv2", 0, 0]),
        "the last layer must compute the output. Received: .*'conv2'",
    ),
    "hundreds of layers": (
        add_many_layers,
        "from 1 to 512 layers. Received: 607",
    ),
    "a large image": (
        reshape_input(20_000, 20_000, 3),
        "at most 33,554,432 numbers in the output of 'conv1'.*400,000,000",
    ),
    "an image that is too large for Keras": (
        reshape_input(10**12, 8, 3),
        "from 1 to 65,536 each. Received: .1000000000000, 8, 3.",
    ),
    "exponential channels": (
        chain_concatenations,
        "at most 33,554,432 numbers in the output of 'c18'",
    ),
    "long computations": (
        replace_layer(
            "drop",
            "MaxPooling2D",
            pool_size=[60_000, 60_000],
            strides=[1, 1],
            padding="same",
        ),
        "at most 68,719,476,736 multiplications",
    ),
    "nothing left of an image": (
        set_argument("conv2", "kernel_size", [9, 9]),
        "'conv2' must have an output that is not empty",
    ),
    "a kernel of terabytes": (
        set_argument("conv1", "kernel_size", [60_000, 60_000]),
        "the kernel of 'conv1' must have the shape|multiplications",
    ),
    "another kernel": (
        set_argument("conv1", "filters", 5),
        r"kernel of 'conv1' must have the shape \(3, 3, 3, 5\)",
    ),
    "true as a number": (
        set_argument("conv1", "filters", True),
        "filters of layer 'conv1' must be a whole number .* filters=True",
    ),
    "a text as a number": (
        set_argument("conv1", "filters", "4"),
        "Received: filters='4'",
    ),
    "a negative number": (
        set_argument("head", "units", -2),
        "Received: units=-2",
    ),
    "a number as a truth": (
        set_argument("head", "use_bias", 1),
        "use_bias of layer 'head' must be true or false",
    ),
    "not a number": (
        set_argument("drop", "rate", float("nan")),
        "must be finite.* Received: NaN",
    ),
    "a list as a name": (
        set_argument("drop", "name", ["drop"]),
        "must have names",
    ),
    "a missing argument": (
        drop_argument("conv1", "filters"),
        "not as Keras 3 writes it .* .KeyError: 'filters'.",
    ),
    "an object as the layers": (
        set_top("layers", {}),
        "from 1 to 512 layers. Received: 0",
    ),
    "an infinity": (text('{"a": 1e999}'), "must be finite"),
    "an array": (text("[]"), "not as Keras 3 writes it"),
    "a null": (text("null"), "not as Keras 3 writes it"),
    "a deep text": (text("[" * 10**5), "at most 50 levels deep"),
    "a long text": (text(" " * 2**26), "at most 67,108,864 bytes"),
    "no text": (text(b"\xff"), "utf-8"),
    "a zip bomb": (unpack_to_much, "at most 67,108,864 bytes"),
    "no weights": (
        lambda config, members: members.clear(),
        "must have model.weights.h5",
    ),
    "weights of another file": (
        link(h5py.ExternalLink("/etc/passwd", "0")),
        "cannot be read",
    ),
    "weights of another place": (link(h5py.SoftLink("/")), "cannot be read"),
    "weights in another file": (
        store(shape=(8, 2), dtype="<f4", external=[("/etc/passwd", 0, 64)]),
        "must be one piece of the file",
    ),
    "weights of other files": (
        rewrite_weights(compose),
        "must be one piece of the file",
    ),
    "an array of terabytes": (
        store(shape=(10**6, 10**6), dtype="<f4", chunks=(1, 1)),
        "must be one piece of the file",
    ),
    "an array that is not there": (
        store(shape=(10**6, 10**6), dtype="<f4"),
        "must be one piece of the file",
    ),
    "integers": (
        store(data=np.zeros((8, 2), "int8")),
        "must hold floats. Received: int8",
    ),
    "other weights": (
        store(data=np.zeros((9, 2), "<f4")),
        "kernel of 'head' must have the shape .8, 2.",
    ),
    "weights that are not numbers": (
        store(data=np.full((8, 2), np.nan, "<f4")),
        "'head' expects finite weights",
    ),
}


@pytest.mark.parametrize("what", DANGEROUS)
def test_dangerous_file_is_refused_at_once(what, crafted):
    change, message = DANGEROUS[what]
    path = crafted(change)
    start = time.process_time()
    with pytest.raises(ValueError, match=message) as error:
        models.load(path)
    assert time.process_time() - start < 1
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert os.listdir() == ["it.keras"]


def test_legitimate_layers_of_others_are_refused_with_what_to_do(tmp_path):
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(name="bn")(x)
    path = tmp_path / "model.keras"
    keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(x)).save(path)
    message = (
        "layer 'bn' is a BatchNormalization, and a network may have .*If you "
        "trust the file, load it in Python with `keras.models.load_model`, and "
        "pass the model.$"
    )
    with pytest.raises(ValueError, match=message):
        models.load(path)


@pytest.mark.parametrize("side", [227, 1024])
@pytest.mark.parametrize("variant", architecture.VARIANTS)
def test_networks_of_the_package_are_within_the_limits(variant, side):
    model = squeezenet.SqueezeNet(
        weights=None, config=variant, input_shape=(side, side, 3)
    )
    assert len(graph.describe(model)["layers"]) > 40


def test_zip_with_two_configs_is_refused(saved, tmp_path):
    path = tmp_path / "it.keras"
    path.write_bytes(saved.read_bytes())
    with zipfile.ZipFile(path, "a") as opened:
        with pytest.warns(UserWarning, match="Duplicate name"):
            opened.writestr("config.json", "{}")
    with pytest.raises(ValueError, match="must have different names"):
        models.load(path)
