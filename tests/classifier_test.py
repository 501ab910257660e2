import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import SqueezeNetSimpleBypass
from keras_squeezenet import Stem
from keras_squeezenet import classifier
from keras_squeezenet import codec
from keras_squeezenet import data
from keras_squeezenet import imagenet
from keras_squeezenet import models
from keras_squeezenet.export import saved_model
from keras_squeezenet.pretrained import download

SMALL = SqueezeNetConfig(
    base_e=8, incr_e=8, SR=0.25, stem=Stem(8)
).for_small_images()
SIDE = 32
SHAPE_48 = (48, 48, 3)
CLASSES = 5
NAMES = ("ant", "bee", "cat", "dog", "eel")
FORMATS = [
    "model.keras",
    "model.sqz",
    "model.weights.h5",
    "model.npz",
    "saved_model",
    "exported",
    "model.tflite",
]
DEEP_COMPRESSION = "compressed_SqueezeNet.net"
# Confident predictions: the index, the file's name, the probability.
SURE = [
    (340, "n02391049_zebra.jpg", 0.9999),
    (417, "n02782093_balloon.jpg", 1.0),
    (805, "n04254680_soccer_ball.jpg", 0.9997),
    (938, "n07715103_cauliflower.jpg", 0.9996),
]


def make_model(classes=CLASSES, channels=3, **options):
    return SqueezeNet(
        **{
            "weights": None,
            "input_shape": (SIDE, SIDE, channels),
            "classes": classes,
            "config": SMALL,
            **options,
        }
    )


def make_squares(count, side=SIDE):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side, 3)).astype("uint8")


def preprocess(squares):
    x = np.array(squares, "float32")
    return keras.applications.vgg16.preprocess_input(x)


def outputs_of(model, squares):
    return model.predict_on_batch(preprocess(squares))


def save(path, model):
    """Save a Keras model; return the path as `str`."""
    model.save(path)
    return str(path)


def convert(model, squares=None):
    """Return the content of a `.tflite` file, int8 if there are examples."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if squares is not None:
        x = preprocess(squares)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([each[None]] for each in x)
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        ]
    return converter.convert()


@pytest.fixture(scope="module")
def model(randomize):
    return randomize(make_model())


@pytest.fixture(scope="module")
def saved(model, write_npz, tmp_path_factory):
    """A folder with one network in every format."""
    folder = tmp_path_factory.mktemp("saved")
    model.save(folder / "model.keras")
    codec.save(model, folder / "model.sqz")
    model.save_weights(folder / "model.weights.h5")
    write_npz(folder / "model.npz", model)
    saved_model.save(model, folder / "saved_model")
    model.export(folder / "exported", verbose=False)
    (folder / "model.tflite").write_bytes(convert(model))
    return folder


@pytest.fixture
def public_weights(shared_data, monkeypatch, tmp_path):
    """A mirror with the public weights, and an empty cache."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv(download.MIRROR, str(shared_data / "weights"))
    return shared_data / "weights"


def load(path, **options):
    if str(path).endswith((".h5", ".npz")):
        options = {"config": SMALL, "image_size": SIDE, **options}
    return classifier.load(path, **options)


@pytest.mark.parametrize("file", FORMATS)
def test_every_format_gives_the_same_outputs_in_any_batch(
    file, saved, model, photographs
):
    network = load(saved / file)
    assert network.image_size == SIDE
    squares = [network.read(path) for path in photographs[::100]]
    expected = outputs_of(model, squares)
    assert len(set(expected.argmax(axis=1))) > 1
    outputs = network.predict(squares)
    assert outputs.dtype == "float32"
    np.testing.assert_allclose(outputs, expected, atol=1e-4)
    np.testing.assert_array_equal(
        outputs.argmax(axis=1), expected.argmax(axis=1)
    )
    # The batch changes no result.
    for batch in (slice(0, 1), slice(1, 3), slice(2, 3), slice(0, 3)):
        np.testing.assert_allclose(
            network.predict(squares[batch]), outputs[batch], atol=1e-5
        )


def test_int8_network_gives_nearly_the_same_outputs(model, tmp_path):
    squares = make_squares(32)
    path = tmp_path / "model_int8.tflite"
    path.write_bytes(convert(model, squares))
    network = classifier.load(path)
    expected = outputs_of(model, squares)
    outputs = network.predict(squares)
    assert set(np.unique(outputs * 256 % 1)) == {0}
    assert abs(outputs - expected).max() < 0.25
    high = np.sort(expected)[:, ::-1]
    sure = high[:, 0] > high[:, 1] + 0.3
    assert sure.sum() > 4
    np.testing.assert_array_equal(
        outputs[sure].argmax(axis=1), expected[sure].argmax(axis=1)
    )


def test_weights_of_the_package_are_loaded_by_their_name(shared_data):
    network = classifier.load("cifar10")
    assert (network.name, network.image_size) == ("cifar10", 32)
    assert len(network.classes) == 10
    assert network.class_of(0) == (None, "airplane")
    cifar10 = data.load("cifar10", data_dir=shared_data / "tfds")
    images, labels = next(iter(cifar10.test.decoded.batch(1000)))
    predicted = network.predict(images.numpy()).argmax(axis=-1)
    # The first 1,000 of 10,000: within three standard errors of 0.897.
    assert abs(np.mean(predicted == labels.numpy()) - 0.8975) < 0.03


def test_keras_model_is_a_classifier(model, saved, tmp_path, monkeypatch):
    # A report in the working folder is not that of the model.
    write_report(tmp_path, ["wrong"] * 5)
    monkeypatch.chdir(tmp_path)
    network = classifier.load(model)
    assert (network.name, network.image_size) == (model.name, SIDE)
    assert network.classes == ()
    squares = make_squares(2)
    np.testing.assert_allclose(
        network.predict(squares),
        load(saved / "model.keras").predict(squares),
        atol=1e-6,
    )


def test_source_is_loaded_by_its_name(public_weights, photographs):
    network = classifier.load("imagenet_deep_compression")
    assert network.name == "imagenet_deep_compression"
    assert network.image_size == 227
    assert network.classes == imagenet.imagenet_classes()
    by_name = {path.name: path for path in photographs}
    squares = [network.read(by_name[name]) for _, name, _ in SURE]
    outputs = network.predict(squares)
    assert outputs.argmax(axis=1).tolist() == [index for index, _, _ in SURE]
    np.testing.assert_allclose(
        outputs.max(axis=1), [sure for _, _, sure in SURE], atol=1e-3
    )


def test_source_by_its_path_is_the_source_by_its_name(public_weights):
    squares = make_squares(2, 64)
    one, other = (
        classifier.load(path, image_size=64).predict(squares)
        for path in (
            "imagenet_deep_compression",
            public_weights / DEEP_COMPRESSION,
        )
    )
    np.testing.assert_array_equal(one, other)


def test_config_chooses_the_source(public_weights):
    with pytest.raises(ValueError, match="no weights 'imagenet_deep_comp.*1.1"):
        classifier.load("imagenet_deep_compression", config="1.1")
    with pytest.raises(OSError, match="squeezenet_v1.0.caffemodel"):
        classifier.load("imagenet", config="1.0")


@pytest.mark.parametrize("config", ["1.0", "1.1", "complex_bypass"])
def test_weights_tell_their_network(config, tmp_path, randomize):
    model = randomize(
        make_model(config=config, input_shape=SHAPE_48, classes=7)
    )
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    network = classifier.load(path, image_size=48)
    assert (network.image_size, network.classes) == (48, ())
    squares = make_squares(2, 48)
    expected = outputs_of(model, squares)
    np.testing.assert_allclose(network.predict(squares), expected, atol=1e-5)


def test_weights_take_images_of_227_by_default(tmp_path):
    path = tmp_path / "model.weights.h5"
    SqueezeNet(weights=None, classes=3).save_weights(path)
    assert classifier.load(path).image_size == 227


@pytest.fixture
def bypass_weights(tmp_path, randomize):
    """Weights of v1.0 and of the simple bypass, which are alike."""
    path = tmp_path / "model.weights.h5"
    model = SqueezeNetSimpleBypass(weights=None, input_shape=SHAPE_48)
    randomize(model).save_weights(path)
    return path


def test_simple_bypass_has_to_be_named(bypass_weights):
    squares = make_squares(1, 48)
    expected, bypassed = (
        outputs_of(
            builder(weights=bypass_weights, input_shape=SHAPE_48), squares
        )
        for builder in (SqueezeNet1_0, SqueezeNetSimpleBypass)
    )
    network = classifier.load(bypass_weights, image_size=48)
    np.testing.assert_allclose(network.predict(squares), expected, atol=1e-5)
    named = classifier.load(
        bypass_weights, config="simple_bypass", image_size=48
    )
    np.testing.assert_allclose(named.predict(squares), bypassed, atol=1e-5)
    assert abs(bypassed - expected).max() > 0.1


def test_public_weights_of_the_simple_bypass_are_known(bypass_weights, publish):
    publish(bypass_weights, "imagenet", "simple_bypass", normalization="caffe")
    squares = make_squares(1, 48)
    model = SqueezeNetSimpleBypass(weights=bypass_weights, input_shape=SHAPE_48)
    np.testing.assert_allclose(
        classifier.load(bypass_weights, image_size=48).predict(squares),
        outputs_of(model, squares),
        atol=1e-5,
    )


def test_weights_without_the_classifier_are_refused(shared_data):
    (path,) = (shared_data / "weights").glob("*_notop.h5")
    with pytest.raises(ValueError, match="notop.h5 must have the weights of"):
        classifier.load(path)
    with pytest.raises(ValueError, match="Received: weights without `conv10`"):
        classifier.load(path, config="1.1")


def test_weights_of_another_network_are_refused(saved):
    with pytest.raises(ValueError, match="must fit one of the networks"):
        classifier.load(saved / "model.weights.h5")
    with pytest.raises(ValueError, match="'conv1' expects weights of shapes"):
        classifier.load(saved / "model.weights.h5", config="1.0")


def test_transfer_head_may_give_logits(tmp_path, randomize):
    base = make_model(include_top=False, pooling="avg")
    logits = keras.layers.Dense(4)(base.output)
    model = randomize(keras.Model(base.input, logits))
    network = classifier.load(save(tmp_path / "model.keras", model))
    squares = make_squares(3)
    outputs = network.predict(squares)
    expected = outputs_of(model, squares)
    assert expected.min() < 0
    # In a range in which they could be probabilities.
    weights = [0.01 * weight for weight in model.layers[-1].get_weights()]
    model.layers[-1].set_weights([weights[0], weights[1] + 0.5])
    small = classifier.load(model).predict(squares)
    np.testing.assert_allclose(small.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        outputs, keras.activations.softmax(expected), atol=1e-5
    )


def in_float32(activation):
    """Mixed precision, as Keras's guide has it."""
    outputs = keras.layers.Activation("linear", dtype="float32")
    return [keras.layers.Dense(4, activation), outputs]


def of_a_layer(activation):
    activations = {
        "softmax": keras.layers.Softmax(),
        "sigmoid": keras.layers.Activation("sigmoid"),
    }
    outputs = keras.layers.Activation("linear")
    return [keras.layers.Dense(4), activations[activation], outputs]


def of_an_operation(activation):
    return [keras.layers.Dense(4), getattr(keras.ops, activation)]


def nested(activation):
    head = keras.Sequential(in_float32(activation))
    return [head, keras.layers.Dropout(0.5)]


@pytest.mark.parametrize(
    "make_head", [in_float32, of_a_layer, of_an_operation, nested]
)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_stay_whatever_follows(activation, make_head, randomize):
    base = make_model(include_top=False, pooling="avg")
    outputs = base.output
    for layer in make_head(activation):
        outputs = layer(outputs)
    model = randomize(keras.Model(base.input, outputs))
    network = classifier.load(model)
    assert len(network.thresholds) == (4 if activation == "sigmoid" else 0)
    squares = make_squares(3)
    np.testing.assert_allclose(
        network.predict(squares), outputs_of(model, squares), atol=1e-6
    )


def stub(*rows):
    """A classifier that returns the first of these rows."""
    rows = np.array(rows, "float32")
    return classifier.Classifier("stub", lambda x: rows[: len(x)], 1)


@pytest.mark.parametrize(
    "outputs, probabilities",
    [
        ([-1 / 256, 0.25, 0.75], [-1 / 256, 0.25, 0.75]),
        ([1e4, 0, -1e4], [1, 0, 0]),
        ([0, np.log(2), 0], [0.25, 0.5, 0.25]),
        ([1 / 256] * 200, [1 / 256] * 200),
    ],
)
def test_only_logits_become_probabilities(outputs, probabilities):
    found = stub(outputs).predict(np.zeros((1, 1, 1, 3)))
    np.testing.assert_allclose(found, [probabilities], rtol=1e-6)


def test_probabilities_of_several_labels_may_have_any_sum():
    network = dataclasses.replace(stub([0.9, 0.8]), thresholds=(0.5, 0.5))
    found = network.predict(np.zeros((1, 1, 1, 3)))
    np.testing.assert_allclose(found, [[0.9, 0.8]])


def test_logits_of_one_image_do_not_change_those_of_another():
    network = stub([0.5, 0.25, 0.25], [3, -2, 0])
    squares = np.zeros((2, 1, 1, 3))
    np.testing.assert_array_equal(
        network.predict(squares)[:1], network.predict(squares[:1])
    )


def test_squares_are_preprocessed_and_left_alone():
    seen = []
    network = classifier.Classifier(
        "stub", lambda x: seen.append(x) or np.zeros((len(x), 2)), 1
    )
    squares = np.full((1, 1, 1, 3), [10, 20, 30], "float32")
    network.predict(squares)
    np.testing.assert_allclose(
        seen[0].ravel(), [30 - 103.939, 20 - 116.779, 10 - 123.68], rtol=1e-6
    )
    assert squares.ravel().tolist() == [10, 20, 30]


def test_data_format_of_keras_changes_nothing(saved):
    network = classifier.load(saved / "saved_model")
    expected = network.predict(make_squares(1))
    keras.config.set_image_data_format("channels_first")
    np.testing.assert_array_equal(network.predict(make_squares(1)), expected)


def write_noise(path, side):
    pixels = make_squares(1, side)[0]
    Image.fromarray(pixels).save(path)
    return pixels


def test_imagenet_is_asked_about_the_center_of_227_in_256(tmp_path):
    pixels = write_noise(tmp_path / "a.png", 256)
    network = classifier.Classifier(
        "stub", None, 227, imagenet.imagenet_classes()
    )
    np.testing.assert_array_equal(
        network.read(tmp_path / "a.png"), pixels[14:241, 14:241]
    )


@pytest.mark.parametrize("classes", [(), ((None, "cat"), (None, "dog"))])
def test_other_classes_are_asked_about_all_of_the_shorter_side(
    classes, tmp_path
):
    pixels = write_noise(tmp_path / "a.png", 32)
    network = classifier.Classifier("stub", None, 32, classes)
    square = network.read(str(tmp_path / "a.png"))
    assert isinstance(square, np.ndarray)
    np.testing.assert_array_equal(square, pixels)


def write_report(folder, names):
    report = {"dataset": {"name": "pets", "classes": names}}
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")


@pytest.mark.parametrize("path", ["model.keras", "saved_model", "saved_model/"])
def test_names_are_those_of_the_report_beside(path, saved, tmp_path):
    copy = shutil.copytree if "saved_model" in path else shutil.copy
    copy(saved / path, tmp_path / path)
    write_report(tmp_path, ["ä", *NAMES[1:]])
    network = classifier.load(f"{tmp_path}/{path}")
    assert network.classes[:2] == ((None, "ä"), (None, "bee"))
    assert network.class_of(4) == (None, "eel")


def test_names_are_those_in_a_sqz_file(model, tmp_path):
    codec.save(model, tmp_path / "model.sqz", ["ä", *NAMES[1:]])
    write_report(tmp_path, ["wrong"] * 5)
    network = classifier.load(tmp_path / "model.sqz")
    assert network.classes[:2] == ((None, "ä"), (None, "bee"))


def test_names_that_are_given_come_first(saved, tmp_path):
    shutil.copy(saved / "model.keras", tmp_path)
    write_report(tmp_path, ["wrong"] * 5)
    path = tmp_path / "model.keras"
    network = classifier.load(path, class_names=NAMES)
    assert network.classes == tuple((None, name) for name in NAMES)


@pytest.mark.parametrize(
    "content",
    [
        *("", "no report", "[]", "{}", "[" * 20_000, '{"dataset": null}'),
        '{"dataset": {"classes": 5}}',
    ],
    ids=lambda content: content[:30],
)
def test_report_without_names_gives_none(content, saved, tmp_path):
    shutil.copy(saved / "model.keras", tmp_path)
    (tmp_path / "report.json").write_text(content)
    network = classifier.load(tmp_path / "model.keras")
    assert network.classes == ()
    assert network.class_of(3) == (None, "class 3")


def test_report_in_the_working_folder_is_not_that_of_a_source(
    public_weights, tmp_path, monkeypatch
):
    write_report(tmp_path, ["cat", "dog"])
    monkeypatch.chdir(tmp_path)
    network = classifier.load("imagenet_deep_compression", image_size=48)
    assert network.classes == imagenet.imagenet_classes()


def test_another_size_than_that_of_training_is_said(public_weights, caplog):
    classifier.load("imagenet_deep_compression")
    assert caplog.messages == []
    classifier.load("imagenet_deep_compression", image_size=48)
    assert caplog.messages == [
        "imagenet_deep_compression was trained on images of 227x227. "
        "Received: image_size=48"
    ]


def test_model_of_another_size_than_that_of_training_keeps_it(public_weights):
    model = models.load("imagenet_deep_compression", image_size=48)
    assert classifier.load(model).image_size == 48


@pytest.mark.parametrize("names", [NAMES[:4], (*NAMES, "fox")])
def test_as_many_names_as_outputs_are_expected(names, saved, tmp_path):
    path = saved / "model.keras"
    text = f"one output for each of the {len(names)} names.*Received: 5 outputs"
    with pytest.raises(ValueError, match=f"model.keras must have {text}"):
        classifier.load(path, class_names=names)
    shutil.copy(path, tmp_path)
    write_report(tmp_path, names)
    with pytest.raises(ValueError, match=text):
        classifier.load(tmp_path / "model.keras")


def test_1000_outputs_are_the_classes_of_imagenet(tmp_path):
    path = save(tmp_path / "model.keras", make_model(classes=1000))
    network = classifier.load(path)
    assert network.classes == imagenet.imagenet_classes()
    assert network.class_of(386) == ("n02504458", "African_elephant")
    named = classifier.load(path, class_names=[f"{i}" for i in range(1000)])
    assert named.class_of(386) == (None, "386")


def test_images_of_any_size_are_227_unless_asked_for(tmp_path, randomize):
    base = make_model(
        include_top=False, input_shape=(None, None, 3), pooling="avg"
    )
    outputs = keras.layers.Dense(4, activation="softmax")(base.output)
    model = randomize(keras.Model(base.input, outputs))
    path = save(tmp_path / "model.keras", model)
    assert classifier.load(path).image_size == 227
    network = classifier.load(path, image_size=48)
    assert network.image_size == 48
    assert network.predict(make_squares(2, 48)).shape == (2, 4)
    with pytest.raises(ValueError, match="cannot be run on an image of 2x2"):
        classifier.load(path, image_size=2)


@pytest.mark.parametrize(
    "file", ["model.keras", "model.sqz", "exported", "model.tflite"]
)
def test_another_size_than_the_networks_is_refused(file, saved):
    side = classifier.load(saved / file, image_size=SIDE).image_size
    assert (type(side), side) == (int, SIDE)
    with pytest.raises(
        ValueError, match=f"{file} takes images of 32x32.*image_size=64"
    ):
        classifier.load(saved / file, image_size=64)


def of_two_images():
    inputs = [keras.Input((SIDE, SIDE, 3)) for _ in range(2)]
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()(inputs))
    return keras.Model(inputs, outputs)


def of_two_outputs():
    model = make_model()
    return keras.Model(model.input, [model.output, model.output])


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: make_model(input_shape=(32, 48, 3)),
            r"\(batch, side, side, 3\).*Received: \(None, 32, 48, 3\)",
        ),
        (
            lambda: make_model(channels=1),
            r"\(batch, side, side, 3\).*Received: \(None, 32, 32, 1\)",
        ),
        (of_two_images, "must have one input.*Received: .* with 2 and 1"),
        (
            lambda: make_model(include_top=False),
            r"must be a classifier.*\(1, 4, 4, 32\)",
        ),
        (of_two_outputs, "must have one input.*Received: .* with 1 and 2"),
        (
            lambda: keras.Sequential([keras.layers.Conv2D(2, 3)]),
            "cannot be loaded as a Keras model",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:You are saving a model that has not")
def test_other_networks_are_refused(make, message, tmp_path):
    path = save(tmp_path / "model.keras", make())
    with pytest.raises(ValueError, match=message):
        classifier.load(path)


@pytest.mark.parametrize("length", [0, 0.5])
@pytest.mark.parametrize(
    "file,what",
    [
        ("model.keras", "cannot be loaded as a Keras model"),
        ("model.sqz", "cannot be read as a .sqz file"),
        ("model.tflite", "cannot be loaded as a LiteRT file"),
        ("model.npz", "cannot be read as a NumPy archive"),
        ("model.weights.h5", "cannot be read as Keras weights"),
    ],
)
def test_damaged_file_is_an_error_that_names_it(
    file, what, length, saved, tmp_path
):
    content = (saved / file).read_bytes()
    (tmp_path / file).write_bytes(content[: int(length * len(content))])
    with pytest.raises(ValueError, match=f"{tmp_path / file}.*{what}"):
        load(tmp_path / file)


@pytest.mark.parametrize("length", [0, 1000])
@pytest.mark.parametrize("damaged", ["saved_model.pb", "variables/*.data-*"])
def test_damaged_saved_model_is_an_error_that_names_it(
    damaged, length, saved, tmp_path
):
    folder = tmp_path / "saved_model"
    shutil.copytree(saved / "saved_model", folder)
    (file,) = folder.glob(damaged)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(
        ValueError, match=f"{folder} cannot be loaded as a SavedModel"
    ):
        classifier.load(folder)


def test_folder_that_is_not_a_saved_model_is_refused(tmp_path):
    for name in ("folder", "folder.keras", "folder.tflite"):
        (tmp_path / name).mkdir()
        with pytest.raises(OSError, match=f"that of a SavedModel.*{name}"):
            classifier.load(tmp_path / name)


def test_networks_in_a_folder_that_is_not_one_are_named(tmp_path):
    for name in ("model.tflite", "model.onnx", "export.json"):
        (tmp_path / name).touch()
    with pytest.raises(OSError, match="it has model.onnx, model.tflite.$"):
        classifier.load(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["a.keras", "a.tflite", "a.weights.h5", "a.net", "imagnet", "saved_model/"],
)
def test_missing_network_is_an_error_that_names_it(name, tmp_path):
    with pytest.raises(
        FileNotFoundError, match="name of pretrained weights.*" + name
    ):
        classifier.load(f"{tmp_path}/{name}")


@pytest.mark.parametrize("model", [None, 3])
def test_what_is_neither_a_model_nor_a_name_is_refused(model):
    with pytest.raises(ValueError, match="must be a `keras.Model`, a path, or"):
        classifier.load(model)


def test_file_of_unknown_format_is_refused(tmp_path):
    (tmp_path / "model.mnn").write_text("something")
    with pytest.raises(ValueError, match="must end with one of .*model.mnn"):
        classifier.load(tmp_path / "model.mnn")


def test_damaged_onnx_file_is_an_error(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is missing")
    (tmp_path / "a.onnx").write_text("something")
    with pytest.raises(ValueError, match="a.onnx cannot be loaded as an ONNX"):
        classifier.load(tmp_path / "a.onnx")


def test_damaged_folder_for_openvino_is_an_error(tmp_path):
    # Imported itself, OpenVINO would send this to its authors.
    pytest.importorskip(
        "keras_squeezenet.export.openvino_file",
        reason="the extra `openvino` is missing",
    )
    (tmp_path / "model.xml").write_text("something")
    with pytest.raises(ValueError, match="cannot be loaded by OpenVINO"):
        classifier.load(tmp_path)
