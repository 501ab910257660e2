"""What every test shares."""

import dataclasses
import os
import pathlib
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hub_server
import keras
import numpy as np
import pytest
import quarters
import weight_arrays

from keras_squeezenet import data
from keras_squeezenet.data import lazy_examples
from keras_squeezenet.pretrained import registry
from keras_squeezenet.pretrained import weights_file
from keras_squeezenet.utils import signals

SHARED_DATA = pathlib.Path(__file__).parents[2] / "shared" / "data"


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "requires_trainable_backend: set by Keras's own tests"
    )


def pytest_generate_tests(metafunc):
    """Processes that share the tests must collect them in one order."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        if isinstance(mark.args[1], (set, frozenset)):
            raise TypeError(
                f"Expected values in order for {metafunc.function.__name__}, "
                f"as in a list or a tuple. Received: {mark.args[1]}"
            )


@pytest.fixture(scope="session", autouse=True)
def no_public_weights(tmp_path_factory):
    """Keeps tests off the internet and off the user's cache of weights."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("KERAS_HOME", "KERAS_SQUEEZENET_MIRROR"):
            monkeypatch.setenv(name, str(tmp_path_factory.mktemp("empty")))
        yield


@pytest.fixture(autouse=True)
def fresh_keras():
    data_format = keras.config.image_data_format()
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_image_data_format(data_format)
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def default_handlers():
    """Signals work even where the process that began the tests ignores them."""
    before = {
        number: signal.signal(
            number,
            signal.default_int_handler
            if number == signal.SIGINT
            else signal.SIG_DFL,
        )
        for number in signals.STOPS
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def shared_data():
    if not SHARED_DATA.is_dir():
        pytest.skip("this test needs ../shared/data, which is not here")
    return SHARED_DATA


@pytest.fixture(scope="session")
def photographs(shared_data):
    """One photograph of each ImageNet class, in the order of the classes."""
    return sorted((shared_data / "imagenet_samples").glob("n*.jpg"))


@pytest.fixture(scope="session")
def randomize():
    """Returns a function that gives a model weights that all matter.

    The initial weights are regular, and the initial logits nearly equal,
    behind which a wrong network could hide.
    """

    def randomize(model):
        rng = np.random.default_rng(0)
        for weight in model.weights:
            fan_in = np.prod(weight.shape[:-1])
            std = np.sqrt(2 / fan_in) if len(weight.shape) > 1 else 0.5
            weight.assign(rng.normal(scale=std, size=weight.shape))
        return model

    return randomize


@pytest.fixture(scope="session")
def write_npz():
    """Returns a function that writes the weights of a model to a path."""
    return lambda path, model: weight_arrays.write_npz(
        path, weight_arrays.weights_of(model)
    )


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder instead of the internet, and an empty cache."""
    folder, home = tmp_path / "mirror", tmp_path / "keras"
    for each in (folder, home):
        each.mkdir(exist_ok=True)
    monkeypatch.setenv("KERAS_SQUEEZENET_MIRROR", str(folder))
    monkeypatch.setenv("KERAS_HOME", str(home))
    return folder


@pytest.fixture
def hub_on_loopback(tmp_path, monkeypatch):
    """A `hub_server.Hub` in place of the Hugging Face hub, an empty cache."""
    pytest.importorskip("huggingface_hub")
    with hub_server.Hub() as server:
        hub_server.put_in_place(monkeypatch, server, tmp_path)
        monkeypatch.delenv("HF_TOKEN")
        yield server


@pytest.fixture
def publish(monkeypatch):
    """Returns a function that makes a file that of an entry of the registry."""

    def publish(path, name, variant, **fields):
        digest = weights_file.Digest("git", "0" * 40).of(path.read_bytes())
        url = f"https://example.org/{path.name}"
        fields["file"] = weights_file.File.published(url, digest)
        entry = registry.find(name, variant)
        entries = [
            dataclasses.replace(each, **fields) if each is entry else each
            for each in registry.ENTRIES
        ]
        monkeypatch.setattr(registry, "ENTRIES", tuple(entries))

    return publish


@pytest.fixture
def untraced(monkeypatch):
    """Trains SqueezeNets eagerly, which is quicker for a few steps."""
    quarters.untrace(monkeypatch)


@pytest.fixture(scope="session")
def dataset():
    return quarters.make_dataset()


@pytest.fixture
def broken_dataset(tmp_path, monkeypatch):
    """Images that are decoded in every pass, and cannot be."""
    monkeypatch.setattr(lazy_examples, "CACHE_LIMIT", 0)
    for number in range(40):
        path = tmp_path / "broken" / "abcd"[number % 4] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("no image")
    return data.load(tmp_path / "broken", image_size=quarters.SIDE)


@pytest.fixture(scope="session")
def make_model():
    """Returns a function that builds an untrained tiny SqueezeNet."""
    return quarters.make_squeezenet


@pytest.fixture(scope="session")
def trained_model(make_model, dataset):
    """Trained a little, so that its outputs mean something."""
    keras.utils.set_random_seed(0)
    model = make_model()
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss="sparse_categorical_crossentropy",
    )
    model.fit(
        dataset.train_batches(16), steps_per_epoch=30, epochs=1, verbose=0
    )
    return model


@pytest.fixture(scope="session")
def test_images(dataset):
    """Preprocessed."""
    return np.concatenate(
        [np.asarray(images) for images, _ in dataset.test_batches(32)]
    )
