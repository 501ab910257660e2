"""A SavedModel that does more than compute is not run, and never loaded."""

import re

import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import classifier
from keras_squeezenet import inspection
from keras_squeezenet.export import saved_model
from keras_squeezenet.export import saved_model_check


class Resource(tf.saved_model.experimental.TrackableResource):
    """Runs a function when the SavedModel is loaded."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def _create_resource(self):
        return tf.raw_ops.VarHandleOp(
            dtype=tf.float32, shape=[], shared_name="it"
        )

    def _initialize(self):
        self.function(tf.zeros((1, 4)))


def call_python(images):
    (images,) = tf.py_function(lambda it: [it], [images], [tf.float32])
    return tf.ensure_shape(images, (None, 4))


def call_numpy(images):
    images = tf.numpy_function(lambda it: it, [images], tf.float32)
    return tf.ensure_shape(images, (None, 4))


def write(images):
    tf.io.write_file("written", "by the SavedModel")
    return images


def read(images):
    tf.io.read_file("/etc/passwd")
    return images + tf.cast(tf.size(tf.io.read_file("/etc/passwd")), "float32")


def find(images):
    return images + tf.cast(tf.size(tf.io.matching_files("/etc/*")), "float32")


def save(images):
    tf.raw_ops.SaveV2(
        prefix="written",
        tensor_names=["images"],
        shape_and_slices=[""],
        tensors=[images],
    )
    return images


def restore(images):
    return images + tf.raw_ops.RestoreV2(
        prefix="/etc/passwd",
        tensor_names=["images"],
        shape_and_slices=[""],
        dtypes=[tf.float32],
    )


def show(images):
    tf.print(images)
    return images


def write_if(images):
    zeros = tf.reduce_all(images == 0)
    return tf.cond(zeros, lambda: write(images), lambda: images)


def write_in_a_loop(images):
    return tf.while_loop(
        lambda x: tf.reduce_all(x > 0), lambda x: [write(x)], [images]
    )[0]


FUNCTIONS = {
    call_python: "EagerPyFunc",
    call_numpy: "PyFunc",
    write: "WriteFile",
    write_if: "WriteFile",
    write_in_a_loop: "WriteFile",
    read: "ReadFile",
    find: "MatchingFiles",
    save: "SaveV2",
    restore: "RestoreV2",
    show: "PrintV2|StringFormat",
}


@pytest.mark.parametrize("function, operation", FUNCTIONS.items())
@pytest.mark.parametrize("when", ["called", "loaded"])
def test_program_is_not_run(function, operation, when, tmp_path, monkeypatch):
    module = tf.Module()
    spec = [tf.TensorSpec((None, 4))]
    module.serve = tf.function(
        function if when == "called" else tf.identity, input_signature=spec
    )
    if when == "loaded":
        module.resource = Resource(function)
    folder = tmp_path / "saved_model"
    monkeypatch.chdir(tmp_path)
    tf.saved_model.save(module, folder, signatures=module.serve)
    for path in tmp_path.glob("written*"):
        path.unlink()
    message = rf"the operation ({operation}), .*may do anything"
    with pytest.raises(ValueError, match=message):
        saved_model.load(folder)
    with pytest.raises(ValueError, match=f"{re.escape(str(folder))} cannot be"):
        classifier.load(folder)
    with pytest.raises(ValueError, match="must have layers with kernels"):
        inspection.load_kernels(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["saved_model"]


def test_function_of_another_function_is_checked(tmp_path):
    inner = tf.function(write)
    module = tf.Module()
    module.serve = tf.function(
        lambda images: inner(images) + 1, input_signature=[tf.TensorSpec((4,))]
    )
    tf.saved_model.save(module, tmp_path, signatures=module.serve)
    with pytest.raises(ValueError, match="the operation WriteFile"):
        saved_model_check.require_computation(tmp_path)


def test_saved_model_of_tensorflow_1_is_refused(tmp_path):
    folder = str(tmp_path / "saved_model")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder("float32", (None, 4))
        tf.compat.v1.saved_model.simple_save(
            session, folder, {"x": x}, {"y": x}
        )
    with pytest.raises(ValueError, match="a SavedModel of TensorFlow 2"):
        saved_model.load(folder)


def test_variables_larger_than_their_files_are_refused(tmp_path):
    module = tf.Module()
    module.kernel = tf.Variable(np.zeros((64, 64), "float32"), name="a/kernel")
    tf.saved_model.save(module, tmp_path)
    assert inspection.load_kernels(tmp_path)["a"].shape == (64, 64)
    (data,) = (tmp_path / "variables").glob("variables.data-*")
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(ValueError, match="as large as their files"):
        inspection.load_kernels(tmp_path)
