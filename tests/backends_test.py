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
import short_networks

import keras_squeezenet
from keras_squeezenet import codec

BACKENDS = ("jax", "torch")
TESTS = pathlib.Path(__file__).parent
PATHS = (str(TESTS.parent), str(TESTS))
TOLERANCE = 1e-4
# With every type of layer.
CONFIG = keras_squeezenet.SqueezeNetConfig(
    base_e=16, incr_e=16, SR=0.25, bypass="complex"
)
SIDE = 48

# Each backend is another process that imports and compiles.
pytestmark = pytest.mark.slow


def build(shape):
    model = keras_squeezenet.SqueezeNet(
        weights=None,
        input_shape=shape,
        classes=10,
        classifier_activation=None,
        config=CONFIG,
    )
    return short_networks.shorten(model)


def run_on_this_backend(folder):
    """Return the outputs for the weights and images found in `folder`."""
    x = np.load(folder / "images.npy")
    model = build((SIDE, SIDE, 3))
    model.load_weights(folder / "squeezenet.weights.h5")
    found = {
        "backend": keras.config.backend(),
        "channels_last": model.predict(x, verbose=0),
        "sqz": codec.load(folder / "model.sqz").predict(x, verbose=0),
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
    model = build((3, SIDE, SIDE))
    model.load_weights(folder / "squeezenet.weights.h5")
    found["channels_first"] = model.predict(x.transpose(0, 3, 1, 2), verbose=0)
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory, randomize):
    """A folder with weights and images, and the outputs of this process."""
    folder = tmp_path_factory.mktemp("backends")
    shape = (4, SIDE, SIDE, 3)
    x = np.random.default_rng(1).normal(size=shape).astype("float32")
    np.save(folder / "images.npy", x)
    model = randomize(build(x.shape[1:]))
    model.save_weights(folder / "squeezenet.weights.h5")
    codec.save(model, folder / "model.sqz")
    return folder, model.predict(x, verbose=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_outputs_agree_between_backends_and_every_weight_is_trained(
    backend, expected
):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder, outputs = expected
    assert np.ptp(outputs) > 1
    environment = {
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(PATHS),
    }
    process = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    with np.load(folder / "found.npz") as found:
        assert found["backend"] == backend
        for kind in ("channels_last", "channels_first", "sqz"):
            np.testing.assert_allclose(
                found[kind], outputs, rtol=TOLERANCE, atol=TOLERANCE
            )
        assert np.isfinite(found["loss"]).all()
        assert found["trained"].all()


if __name__ == "__main__":
    argument = pathlib.Path(sys.argv[1])
    np.savez(argument / "found.npz", **run_on_this_backend(argument))
