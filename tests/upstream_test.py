"""Keras's own tests of `keras.applications`, run on this package's builders.

Offline: photographs and weights come from `../shared/data`.
"""

import ast
import pathlib
import types
import unittest

import keras
import numpy as np
import pytest
from keras.src import applications

import keras_squeezenet
from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import SqueezeNet1_1
from keras_squeezenet import SqueezeNetComplexBypass
from keras_squeezenet import SqueezeNetSimpleBypass

imagenet_utils_test = pytest.importorskip(
    "keras.src.applications.imagenet_utils_test",
    reason="this Keras was installed without its tests",
    exc_type=ImportError,
)

# The files that "imagenet" loads here instead of the original caffemodels.
FILES = {
    "1.0": "compressed_SqueezeNet.net",
    "1.1": "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz",
}
WITHOUT_WEIGHTS = ("SimpleBypass", "ComplexBypass")
ELEPHANT = "n02504458_African_elephant.jpg"


def load_upstream(model_list):
    """Keras's `applications_test` with another `MODEL_LIST`, as a module."""
    path = pathlib.Path(applications.__file__).with_name("applications_test.py")
    tree = ast.parse(path.read_text(), path)
    (assignment,) = (
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "MODEL_LIST"
    )
    tree.body.remove(assignment)
    module = types.ModuleType(path.stem)
    module.MODEL_LIST = model_list
    exec(compile(tree, path, "exec"), module.__dict__)
    return module


upstream = load_upstream(
    [
        (builder, 512, keras_squeezenet)
        for builder in (
            SqueezeNet,
            SqueezeNet1_0,
            SqueezeNet1_1,
            SqueezeNetSimpleBypass,
            SqueezeNetComplexBypass,
        )
    ]
)
ApplicationsTest = upstream.ApplicationsTest
TestImageNetUtils = imagenet_utils_test.TestImageNetUtils


@pytest.fixture(autouse=True)
def keep_traceback_filtering():
    enabled = keras.config.is_traceback_filtering_enabled()
    yield
    # Keras's own tests turn it off.
    if enabled:
        keras.config.enable_traceback_filtering()


@pytest.fixture(autouse=True)
def offline(request, monkeypatch, tmp_path, publish):
    name = request.node.name
    if "test_application_base" not in name:
        return
    if any(variant in name for variant in WITHOUT_WEIGHTS):
        pytest.skip("no ImageNet weights of this variant are here")
    pytest.importorskip("tensorflow", reason="Keras's test imports TensorFlow")
    shared_data = request.getfixturevalue("shared_data")

    def elephant(target_size):
        image = keras.utils.load_img(
            shared_data / "imagenet_samples" / ELEPHANT,
            target_size=target_size,
        )
        return np.expand_dims(keras.utils.img_to_array(image), axis=0)

    monkeypatch.setattr(upstream, "_get_elephant", elephant)
    weights = shared_data / "weights"
    for variant, file in FILES.items():
        publish(weights / file, "imagenet", variant)
    monkeypatch.setenv("KERAS_SQUEEZENET_MIRROR", str(weights))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def test_every_builder_meets_every_upstream_test():
    tests = unittest.defaultTestLoader.getTestCaseNames(ApplicationsTest)
    base = [name for name in tests if "test_application_base" in name]
    assert len(base) == 2 * 5
    assert len(tests) >= 6 * len(base)
