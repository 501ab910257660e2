import functools
import json

import keras
import numpy as np
import pytest

from keras_squeezenet.evaluation import latency_cache
from keras_squeezenet.evaluation import layer_latencies
from keras_squeezenet.evaluation import layer_trials
from keras_squeezenet.utils import cpu
from keras_squeezenet.utils import extras

CALL = 0.05
# Of the numbers in the outputs.
RATE = 1e-7


def make_model(stem=64, squeeze=16, expand1x1=32, expand3x3=32):
    """A network with two Fire modules of the same geometry."""
    convolution = functools.partial(
        keras.layers.Conv2D, padding="same", activation="relu"
    )
    inputs = keras.Input((96, 96, 3))
    x = keras.layers.Conv2D(stem, 3, strides=2, name="conv1")(inputs)
    x = keras.layers.MaxPooling2D(3, 2)(x)
    for name in ("fire2", "fire3"):
        x = convolution(squeeze, 1, name=f"{name}_squeeze1x1")(x)
        outputs = [
            convolution(expand1x1, 1, name=f"{name}_expand1x1")(x),
            convolution(expand3x3, 3, name=f"{name}_expand3x3")(x),
        ]
        x = keras.layers.Concatenate()(outputs)
    x = convolution(10, 1, name="conv10")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


@pytest.fixture(scope="module")
def model():
    return make_model()


def blocks_of(count, size):
    return -(-count // size)


def cost(geometry, in_channels, out_channels):
    """What a layer takes whose runtime computes 8 by 16 channels at once."""
    height, width = geometry.kernel_size
    rows, columns = (
        side // step for side, step in zip(geometry.sides, geometry.strides)
    )
    ins, outs = blocks_of(in_channels, 8), blocks_of(out_channels, 16)
    return rows * columns * outs * (1e-6 + 1e-6 * height * width * ins)


def true_latency(model):
    geometries, channels = layer_latencies._layers_of(model)
    layers = sum(
        cost(geometries[name], *counts)
        + RATE * geometries[name].output_size(counts[1])
        for name, counts in channels.items()
    )
    return CALL + layers


@pytest.fixture
def timed(monkeypatch):
    """The runs of a fake timer, each with the names of its arguments."""
    runs = []

    def time(trials, runtime, threads, batch_size, progress):
        runs.append((runtime, threads, batch_size))
        return [
            CALL + trial.copies * cost(*trial[:3])
            if isinstance(trial, layer_trials.Trial)
            else true_latency(trial)
            for trial in trials
        ]

    monkeypatch.setattr(layer_trials, "measure", time)
    return runs


def test_narrower_networks_are_predicted(model, timed):
    found = layer_latencies.measure(model, cache=False)
    assert found.runtime == "litert_int8"
    assert found.blocks == (8, 16)
    assert found.rest == pytest.approx(CALL)
    for narrow in (
        model,
        make_model(stem=48, squeeze=8),
        make_model(squeeze=32, expand1x1=16, expand3x3=100),
    ):
        channels = layer_latencies.channels_of(narrow)
        predicted = found.network(channels)
        # The shares of partly filled blocks are those of full ones.
        assert predicted == pytest.approx(true_latency(narrow), rel=0.02)
    assert timed == [("litert_int8", 1, 1)]


def test_latency_is_that_of_full_blocks_and_never_falls(model, timed):
    found = layer_latencies.measure(model, cache=False)

    def latency(*channels):
        return found.layer("fire2_expand3x3", *channels)

    assert latency(9, 17) == latency(16, 32)
    assert latency(8, 32) < latency(9, 32) < latency(17, 32)
    assert latency(16, 16) < latency(16, 17) < latency(16, 33)
    # Beyond what was measured too.
    counts = [1, 5, 8, 9, 16, 40, 64, 100, 300]
    for other in counts:
        for axis in (0, 1):
            pairs = [(count, other)[:: 1 - 2 * axis] for count in counts]
            values = [latency(*pair) for pair in pairs]
            assert values == sorted(values)


def test_noise_is_kept_from_falling():
    geometry = layer_latencies.PROBE
    inputs, outputs = (8, 32), (16, 32, 64)
    noisy = [[3.0, 2.0, 5.0], [1.0, 4.0, 4.5]]
    costs = {
        layer_trials.Trial.of(geometry, ins, outs): noisy[i][j]
        for i, ins in enumerate(inputs)
        for j, outs in enumerate(outputs)
    }
    found = layer_latencies._table(geometry, inputs, outputs, costs)
    assert found.milliseconds == ((3, 3, 5), (3, 4, 5))


@pytest.mark.parametrize("size", [1, 4, 8, 16, 32])
def test_size_of_blocks_is_found_in_noise(size):
    rng = np.random.default_rng(size)
    probes = layer_latencies._probes(1)
    costs = {
        trial: (1 + blocks_of(trial.out_channels, size) * size / 8)
        * rng.uniform(1, 1.01)
        for trial in probes.values()
    }
    assert layer_latencies._block(probes, costs) == size


def test_geometries_are_measured_once_with_the_channels_they_have(model):
    geometries, channels = layer_latencies._layers_of(model)
    grids = layer_latencies._grids(geometries, channels)
    first = layer_trials.Geometry((3, 3), (2, 2), "valid", (96, 96))
    assert geometries["conv1"] == first
    assert grids[first] == ((3,), (16, 64))
    expand = layer_trials.Geometry((3, 3), (1, 1), "same", (23, 23))
    names = [name for name in geometries if geometries[name] == expand]
    assert names == ["fire2_expand3x3", "fire3_expand3x3"]
    # Of 16 inputs and 32 outputs.
    assert grids[expand] == ((8, 32), (16, 32))
    assert channels["fire2_expand3x3"] == (16, 32)
    assert layer_latencies._grid(8, 500) == (8, 128, 512)


def test_dense_layer_is_a_convolution_of_one_pixel():
    inputs = keras.Input((20, 20, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(5, name="top")(x))
    geometries, channels = layer_latencies._layers_of(model)
    assert geometries == {
        "top": layer_trials.Geometry((1, 1), (1, 1), "same", (1, 1))
    }
    assert channels == {"top": (3, 5)}


def test_second_call_measures_nothing(model, timed, tmp_path):
    first = layer_latencies.measure(model, cache=tmp_path / "new")
    second = layer_latencies.measure(model, cache=tmp_path / "new")
    assert first == second
    assert len(timed) == 1
    layer_latencies.measure(model, threads=2, cache=tmp_path / "new")
    layer_latencies.measure(model, batch_size=32, cache=tmp_path / "new")
    layer_latencies.measure(make_model(squeeze=32), cache=tmp_path / "new")
    assert timed[1:] == [
        ("litert_int8", 2, 1),
        ("litert_int8", 1, 32),
        ("litert_int8", 1, 1),
    ]
    layer_latencies.measure(model, cache=False)
    assert len(timed) == 5
    assert len(list((tmp_path / "new").iterdir())) == 4


def test_cache_is_beside_that_of_weights(model, timed, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    layer_latencies.measure(model)
    layer_latencies.measure(model)
    assert len(timed) == 1
    assert [path.name for path in tmp_path.iterdir()] == [
        "squeezenet_latencies"
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.clear(),
        lambda content: content.update(latencies=[]),
        lambda content: content["latencies"].update(rest=0.01),
        lambda content: content["latencies"]["tables"].pop("conv1"),
    ],
)
def test_broken_cache_is_measured_again(model, timed, tmp_path, change):
    first = layer_latencies.measure(model, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    content = json.loads(path.read_text())
    change(content)
    for text in (json.dumps(content), "{", "[]"):
        path.write_text(text)
        assert layer_latencies.measure(model, cache=tmp_path) == first
    assert len(timed) == 4
    assert layer_latencies.measure(model, cache=tmp_path) == first
    assert len(timed) == 4


def test_latencies_of_another_cpu_are_not_used(
    model, timed, tmp_path, monkeypatch
):
    layer_latencies.measure(model, cache=tmp_path)
    info = tmp_path / "cpuinfo"
    info.write_text("model name\t: another\nflags\t: few\n\nmodel name\t: 2\n")
    monkeypatch.setattr(cpu, "INFO", info)
    assert latency_cache._cpu()[2:] == ["another", "few"]
    layer_latencies.measure(model, cache=tmp_path)
    assert len(timed) == 2


def test_cache_that_cannot_be_written_is_a_warning(
    model, timed, tmp_path, caplog
):
    (tmp_path / "file").touch()
    layer_latencies.measure(model, cache=tmp_path / "file")
    assert "are not cached" in caplog.text
    assert len(timed) == 1


def test_bad_arguments_are_errors_before_any_work(model, monkeypatch):
    def fail(*args):
        raise AssertionError

    monkeypatch.setattr(layer_trials, "measure", fail)
    with pytest.raises(ValueError, match="'litert_int4'.* 'litert_int8'?"):
        layer_latencies.measure(model, "litert_int4")
    with pytest.raises(ValueError, match="`threads` must be at least 1"):
        layer_latencies.measure(model, threads=0)
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        layer_latencies.measure(model, batch_size=0)
    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.GlobalAveragePooling2D()(inputs)
    with pytest.raises(ValueError, match="must be static"):
        layer_latencies.measure(keras.Model(inputs, outputs))
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"squeezenet-keras\[onnx\]"):
        layer_latencies.measure(model, "onnx_int8")
