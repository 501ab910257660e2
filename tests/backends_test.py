"""The same weights and images give the same outputs on every backend.

Keras takes its backend when it is imported: this file is also the script that
runs on another one, in another process.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_squeezenet

BACKENDS = ("jax", "torch")
VARIANTS = ("1.1", "complex_bypass")
ROOT = pathlib.Path(__file__).parents[1]
TOLERANCE = 1e-4

# Each backend is another process that imports and compiles.
pytestmark = pytest.mark.slow


def build(variant, shape):
    return keras_squeezenet.SqueezeNet(
        weights=None,
        input_shape=shape,
        classes=10,
        classifier_activation=None,
        config=variant,
    )


def run_on_this_backend(folder):
    """Write the outputs for the weights and images found in `folder`."""
    for variant in VARIANTS:
        keras.config.set_image_data_format("channels_last")
        np.savez(folder / variant / "found.npz", **found(folder / variant))


def found(folder):
    x = np.load(folder / "images.npy")
    model = build(folder.name, (64, 64, 3))
    model.load_weights(folder / "squeezenet.weights.h5")
    found = {
        "backend": keras.config.backend(),
        "channels_last": model.predict(x, verbose=0),
    }
    before = model.get_weights()
    model.compile(
        optimizer=keras.optimizers.SGD(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    history = model.fit(x, np.arange(len(x)), verbose=0)
    found["loss"] = history.history["loss"]
    found["trained"] = [
        (old != new).any()
        for old, new in zip(before, model.get_weights(), strict=True)
    ]
    keras.config.set_image_data_format("channels_first")
    model = build(folder.name, (3, 64, 64))
    model.load_weights(folder / "squeezenet.weights.h5")
    found["channels_first"] = model.predict(x.transpose(0, 3, 1, 2), verbose=0)
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory, randomize):
    """A folder with weights and images, and the outputs of this process."""
    folder = tmp_path_factory.mktemp("backends")
    x = np.random.default_rng(1).normal(size=(4, 64, 64, 3)).astype("float32")
    outputs = {}
    for variant in VARIANTS:
        (folder / variant).mkdir()
        model = randomize(build(variant, (64, 64, 3)))
        np.save(folder / variant / "images.npy", x)
        model.save_weights(folder / variant / "squeezenet.weights.h5")
        outputs[variant] = model.predict(x, verbose=0)
    return folder, outputs


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request, expected):
    """A backend whose outputs another process has written."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    folder, _ = expected
    environment = {"KERAS_BACKEND": request.param, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return request.param


@pytest.fixture(params=VARIANTS)
def outputs(request, backend, expected):
    """The outputs of this process, and those of the other one."""
    folder, outputs = expected
    with np.load(folder / request.param / "found.npz") as found:
        return outputs[request.param], dict(found)


def test_backend_is_the_one_asked_for(backend, outputs):
    _, found = outputs
    assert found["backend"] == backend


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_outputs_agree_between_backends(data_format, outputs):
    expected, found = outputs
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(
        found[data_format], expected, rtol=TOLERANCE, atol=TOLERANCE
    )


def test_every_weight_is_trained_with_fit(outputs):
    _, found = outputs
    assert np.isfinite(found["loss"]).all()
    assert found["trained"].all()


if __name__ == "__main__":
    run_on_this_backend(pathlib.Path(sys.argv[1]))
