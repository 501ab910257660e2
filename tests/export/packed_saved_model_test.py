import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import codec
from keras_squeezenet.codec import encodings
from keras_squeezenet.export import packed_saved_model
from keras_squeezenet.export import saved_model


def folder_size(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


@pytest.fixture(params=["bypass", "transfer"])
def packed(request, packed_models):
    return packed_models[request.param]


@pytest.fixture
def small_content(pruned):
    return codec.dump(pruned)


def test_outputs_are_those_of_the_keras_model(packed):
    predict, shape = saved_model.load_signature(packed.folder)
    images, expected = packed.images, packed.expected
    assert shape == (None, *images.shape[1:])
    np.testing.assert_allclose(predict(images), expected, atol=1e-5)
    np.testing.assert_allclose(predict(images[:1]), expected[:1], atol=1e-5)


def test_folder_is_little_larger_than_the_file(packed):
    assert folder_size(packed.folder) < len(packed.content) + 35_000


def test_two_models_do_not_disturb_each_other(packed_models):
    names = ("bypass", "transfer", "bypass")
    loaded = [
        saved_model.load_signature(packed_models[name].folder)[0]
        for name in names
    ]
    for name, predict in zip(names, loaded):
        packed = packed_models[name]
        np.testing.assert_allclose(
            predict(packed.images), packed.expected, atol=1e-5
        )


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


def test_stock_operations_only(packed):
    loaded = tf.saved_model.load(str(packed.folder))
    definition = loaded.signatures["serving_default"].graph.as_graph_def()
    operations = {node.op for node in definition.node} | {
        node.op
        for function in definition.library.function
        for node in function.node_def
    }
    assert "Conv2D" in operations
    assert not operations & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


def test_released_weights_are_exact_in_a_folder_of_568_kilobytes(
    shared_data, tmp_path
):
    path = shared_data / "weights" / "compressed_SqueezeNet.net"
    model = SqueezeNet1_0(weights=path)
    packed_saved_model.save(codec.dump(model), tmp_path / "saved_model")
    assert folder_size(pathlib.Path(tmp_path)) < 568_000
    images = np.random.default_rng(0).normal(scale=60, size=(1, 227, 227, 3))
    predict, _ = saved_model.load_signature(tmp_path / "saved_model")
    images = images.astype("float32")
    np.testing.assert_allclose(
        predict(images), model.predict_on_batch(images), atol=1e-5
    )


def test_damaged_file_is_refused(small_content, tmp_path):
    with pytest.raises(ValueError, match="checksum"):
        packed_saved_model.save(small_content[:-1], tmp_path / "saved_model")
    assert not (tmp_path / "saved_model").exists()


def test_other_backends_are_refused(small_content, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        packed_saved_model.save(small_content, tmp_path / "saved_model")
