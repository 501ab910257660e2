import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import codec
from keras_squeezenet.codec import encodings
from keras_squeezenet.export import packed_saved_model
from keras_squeezenet.export import saved_model

SHAPE = (64, 64, 3)
IMAGES = np.random.default_rng(0).normal(scale=60, size=(3, *SHAPE))
IMAGES = IMAGES.astype("float32")


def folder_size(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


def make_content(model):
    """A .sqz file with every form of an array."""
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
            form = encodings.UniformArray(codes, step)
            if number % 2:
                form = encodings.lossless(form.to_array())
                assert isinstance(form, encodings.CodebookArray)
            found[f"{layer.name}/kernel"] = form
    return codec.dump(model, arrays=found)


@pytest.fixture(scope="module", params=["1.1", "complex_bypass", "transfer"])
def model_and_content(request, randomize):
    if request.param == "transfer":
        base = SqueezeNet(
            include_top=False, weights=None, pooling="max", input_shape=SHAPE
        )
        head = keras.layers.Dense(3, activation="softmax", name="head")
        model = keras.Model(base.input, head(base.output))
    else:
        model = SqueezeNet(
            weights=None, input_shape=SHAPE, classes=5, config=request.param
        )
    return model, make_content(randomize(model))


@pytest.fixture(scope="module")
def expected(model_and_content, tmp_path_factory):
    path = tmp_path_factory.mktemp("expected") / "model.sqz"
    path.write_bytes(model_and_content[1])
    return codec.load(path).predict_on_batch(IMAGES)


@pytest.fixture(scope="module")
def folder(model_and_content, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "saved_model"
    packed_saved_model.save(model_and_content[1], path)
    return path


def test_outputs_are_those_of_the_keras_model(folder, expected):
    predict, shape = saved_model.load_signature(folder)
    assert shape == (None, *SHAPE)
    np.testing.assert_allclose(predict(IMAGES), expected, atol=1e-5)
    np.testing.assert_allclose(predict(IMAGES[:1]), expected[:1], atol=1e-5)


def test_folder_is_little_larger_than_the_file(folder, model_and_content):
    _, content = model_and_content
    assert folder_size(folder) < len(content) + 43_000


PROGRAM = """
import sys
import numpy as np
import tensorflow as tf
loaded = tf.saved_model.load("saved_model")
serve = loaded.signatures["serving_default"]
outputs = serve(tf.constant(np.load("images.npy")))
np.save("outputs.npy", outputs["probabilities"].numpy())
assert "keras_squeezenet" not in sys.modules
"""


def run_elsewhere(program, folder, tmp_path):
    (tmp_path / "saved_model").symlink_to(folder)
    np.save(tmp_path / "images.npy", IMAGES)
    subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=tmp_path, timeout=300
    )
    return np.load(tmp_path / "outputs.npy")


def test_process_without_this_package_loads_it(folder, expected, tmp_path):
    received = run_elsewhere(PROGRAM, folder, tmp_path)
    np.testing.assert_allclose(received, expected, atol=1e-5)


PROGRAM_OF_TENSORFLOW_1 = """
import numpy as np
import tensorflow.compat.v1 as tf
with tf.Session(graph=tf.Graph()) as session:
    meta_graph = tf.saved_model.load(session, ["serve"], "saved_model")
    signature = meta_graph.signature_def["serving_default"]
    outputs = session.run(
        signature.outputs["probabilities"].name,
        {signature.inputs["images"].name: np.load("images.npy")},
    )
np.save("outputs.npy", outputs)
"""


def test_loader_that_servers_use_loads_it(folder, expected, tmp_path):
    received = run_elsewhere(PROGRAM_OF_TENSORFLOW_1, folder, tmp_path)
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_two_models_do_not_disturb_each_other(folder, expected, tmp_path):
    other_model = SqueezeNet(weights=None, input_shape=SHAPE, classes=4)
    content = make_content(other_model)
    packed_saved_model.save(content, tmp_path / "other")
    one, _ = saved_model.load_signature(folder)
    other, _ = saved_model.load_signature(tmp_path / "other")
    again, _ = saved_model.load_signature(folder)
    assert other(IMAGES).shape == (3, 4)
    for predict in (one, again):
        np.testing.assert_allclose(predict(IMAGES), expected, atol=1e-5)


def test_models_that_differ_in_their_biases_alone_share_a_session(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    head = keras.layers.Dense(3, activation="softmax", name="head")
    model = keras.Model(inputs, head(x))
    codes = np.arange(9).reshape(3, 3) % 4
    kernel = {"head/kernel": encodings.UniformArray(codes, 0.25)}
    biases = ([0, 1, 2], [2, 1, 0])
    for number, bias in enumerate(biases):
        head.bias.assign(bias)
        content = codec.dump(model, arrays=kernel)
        packed_saved_model.save(content, tmp_path / str(number))
    v1 = tf.compat.v1
    with v1.Session(graph=tf.Graph()) as session:
        feeds, fetches = {}, []
        for number in range(len(biases)):
            path = tmp_path / str(number)
            loaded = v1.saved_model.load(
                session, ["serve"], str(path), import_scope=f"model{number}"
            )
            signature = loaded.signature_def["serving_default"]
            zeros = np.zeros((1, 8, 8, 3), "float32")
            feeds[f"model{number}/{signature.inputs['images'].name}"] = zeros
            output = signature.outputs["probabilities"].name
            fetches.append(f"model{number}/{output}")
        outputs = session.run(fetches, feeds)
    assert [output.argmax() for output in outputs] == [2, 0]


def test_stock_operations_only(folder):
    loaded = tf.saved_model.load(str(folder))
    definition = loaded.signatures["serving_default"].graph.as_graph_def()
    operations = {node.op for node in definition.node} | {
        node.op
        for function in definition.library.function
        for node in function.node_def
    }
    assert "Conv2D" in operations
    assert not operations & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


def test_released_weights_are_exact_in_a_folder_of_575_kilobytes(
    shared_data, tmp_path
):
    path = shared_data / "weights" / "compressed_SqueezeNet.net"
    model = SqueezeNet1_0(weights=path)
    packed_saved_model.save(codec.dump(model), tmp_path / "saved_model")
    assert folder_size(pathlib.Path(tmp_path)) < 575_000
    images = np.random.default_rng(0).normal(scale=60, size=(1, 227, 227, 3))
    predict, _ = saved_model.load_signature(tmp_path / "saved_model")
    images = images.astype("float32")
    np.testing.assert_allclose(
        predict(images), model.predict_on_batch(images), atol=1e-5
    )


def test_damaged_file_is_refused(model_and_content, tmp_path):
    _, content = model_and_content
    with pytest.raises(ValueError, match="checksum"):
        packed_saved_model.save(content[:-1], tmp_path / "saved_model")
    assert not (tmp_path / "saved_model").exists()


def test_other_backends_are_refused(model_and_content, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        packed_saved_model.save(model_and_content[1], tmp_path / "saved_model")
