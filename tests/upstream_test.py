"""Keras's own tests of `keras.applications`, run on this package's builders.

Offline: photographs and weights come from `../shared/data`.
"""

import ast
import functools
import pathlib
import types
import unittest

import keras
import numpy as np
import pytest
from keras.src import applications
from keras.src.applications import imagenet_utils

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

IMAGENET_WEIGHTS = {
    "SqueezeNet": "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz",
    "SqueezeNet1_0": "compressed_SqueezeNet.net",
    "SqueezeNet1_1": "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz",
}
ELEPHANT = "n02504458_African_elephant.jpg"

imagenet_paths = {}


def with_imagenet_from_file(builder):
    @functools.wraps(builder)
    def build(weights="imagenet", **arguments):
        if weights == "imagenet":
            if builder.__name__ not in imagenet_paths:
                raise unittest.SkipTest(
                    f"no ImageNet weights of {builder.__name__} are here"
                )
            weights = imagenet_paths[builder.__name__]
        return builder(weights=weights, **arguments)

    return build


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
        (with_imagenet_from_file(builder), 512, keras_squeezenet)
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
def offline(request, monkeypatch):
    if "test_application_base" not in request.node.name:
        return
    pytest.importorskip("tensorflow", reason="Keras's test imports TensorFlow")
    shared_data = request.getfixturevalue("shared_data")
    photographs = request.getfixturevalue("photographs")

    def elephant(target_size):
        image = keras.utils.load_img(
            shared_data / "imagenet_samples" / ELEPHANT,
            target_size=target_size,
        )
        return np.expand_dims(keras.utils.img_to_array(image), axis=0)

    monkeypatch.setattr(upstream, "_get_elephant", elephant)
    for name, file in IMAGENET_WEIGHTS.items():
        monkeypatch.setitem(
            imagenet_paths, name, shared_data / "weights" / file
        )
    monkeypatch.setattr(
        imagenet_utils,
        "CLASS_INDEX",
        {
            str(index): path.stem.split("_", maxsplit=1)
            for index, path in enumerate(photographs)
        },
    )


def test_every_builder_meets_every_upstream_test():
    tests = unittest.defaultTestLoader.getTestCaseNames(ApplicationsTest)
    base = [name for name in tests if "test_application_base" in name]
    assert len(base) == 2 * 5
    assert len(tests) >= 6 * len(base)
