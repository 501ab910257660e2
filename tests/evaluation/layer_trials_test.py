import keras
import numpy as np
import pytest

from keras_squeezenet.evaluation import layer_trials
from keras_squeezenet.evaluation.layer_trials import Geometry
from keras_squeezenet.evaluation.layer_trials import Trial
from keras_squeezenet.export import formats
from keras_squeezenet.utils.progress import Progress

EXPAND = Geometry((3, 3), (1, 1), "same", (14, 14))
STEM = Geometry((3, 3), (2, 2), "valid", (224, 224))


def test_size_of_outputs_is_that_of_the_layer():
    assert EXPAND.output_size(10) == 14 * 14 * 10
    assert STEM.output_size(64) == 111 * 111 * 64


def test_large_layers_have_few_copies():
    assert Trial.of(EXPAND, 8, 64).copies == 8
    assert Trial.of(EXPAND, 8, 512).copies == 3
    assert Trial.of(STEM, 3, 64).copies == 1


def test_file_has_copies_of_the_layer():
    model = layer_trials._build(Trial(EXPAND, 8, 32, 3))
    kernels = [weight.shape for weight in model.weights if weight.ndim == 4]
    assert kernels == [(1, 1, 3, 8), *[(3, 3, 8, 32)] * 3]
    without = layer_trials._build(Trial(EXPAND, 8, 32, 3).without())
    kernels = [weight.shape for weight in without.weights if weight.ndim == 4]
    assert kernels == [(1, 1, 3, 8)]
    assert without.input_shape == model.input_shape == (None, 14, 14, 3)


def test_images_go_to_the_layer_itself():
    model = layer_trials._build(Trial(EXPAND, 3, 32, 1))
    assert [weight.shape for weight in model.weights] == [(3, 3, 3, 32), (32,)]


def test_times_are_the_least_of_calls_in_turns(monkeypatch):
    calls = []

    def load(model, runtime, path, calibration, threads):
        name = model if isinstance(model, str) else model.name
        return lambda images: calls.append((name, images.shape))

    monkeypatch.setattr(layer_trials, "_load", load)
    times = iter(np.cumsum([0, *[0.001, 0, 0.1, 0] * 1000]))
    monkeypatch.setattr(layer_trials.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(layer_trials, "TURNS", 2)
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), keras.layers.ReLU()], name="a"
    )
    found = layer_trials.measure(
        [model, Trial(EXPAND, 8, 32, 1)], "litert", 1, 4, Progress()
    )
    # Those that warm up are not timed.
    first, second = ("a", (4, 6, 6, 3)), ("layers", (4, 14, 14, 3))
    assert calls == [
        *([first] * 8 + [second] * 8),
        *([first] * 5 + [second] * 5),
    ]
    assert found == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("runtime", ["litert_int8", "onnx_int8", "openvino"])
def test_runtime_is_timed(runtime, monkeypatch):
    for package in formats.FORMATS[runtime].packages:
        pytest.importorskip(package)
    monkeypatch.setattr(layer_trials, "TURNS", 1)
    large = Trial(Geometry((3, 3), (1, 1), "same", (64, 64)), 64, 64, 4)
    times = layer_trials.measure(
        [large, large.without()], runtime, 1, 2, Progress()
    )
    # It takes about twenty times as long.
    assert 0 < 2 * times[1] < times[0] < 1000
