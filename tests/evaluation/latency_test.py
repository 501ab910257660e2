import contextlib
import types

import keras
import numpy as np
import pytest

from keras_squeezenet.evaluation import latency
from keras_squeezenet.export import litert


@pytest.fixture
def path(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))
    path = tmp_path / "model.tflite"
    path.write_bytes(litert.convert_float32(model))
    return path


def test_times_are_percentiles_in_milliseconds():
    seconds = np.linspace(0.001, 0.011, 11)
    found = latency.summarize("a", 4, seconds, 50.0)
    assert found == latency.Latency(
        "a",
        4,
        11,
        median=pytest.approx(6),
        low=pytest.approx(2),
        high=pytest.approx(10),
        memory=50.0,
    )


def test_files_take_turns_until_their_time_is_over(monkeypatch):
    asked = []

    @contextlib.contextmanager
    def started(name, path, threads):
        def ask(size, calls):
            asked.append((name, size, calls, threads))
            return {"seconds": [len(path)] * calls, "memory": 7}

        yield types.SimpleNamespace(ask=ask)

    monkeypatch.setattr(latency, "_started", started)
    found = latency.measure(
        {"a": "1", "b": "1234"}, (2,), threads=3, calls=12, seconds=11
    )
    assert asked == [
        *(("a", 2, 3, 3), ("b", 2, 3, 3)),
        *(("a", 2, 5, 3), ("b", 2, 5, 3)),
        *(("a", 2, 5, 3), ("a", 2, 5, 3)),
    ]
    assert [(each.name, each.calls) for each in found] == [("a", 15), ("b", 5)]
    assert found[1].median == 4000


def test_file_is_timed_in_a_process_of_its_own(path):
    found = latency.measure({"a": path}, (1, 4), calls=10)
    assert [(each.batch_size, each.calls) for each in found] == [
        *((1, 10), (4, 10))
    ]
    for each in found:
        assert 0 < each.low <= each.median <= each.high < 1000
        # Neither TensorFlow nor Keras is in it.
        assert each.memory is None or 10 < each.memory < 200


def test_file_that_cannot_be_run_is_named(tmp_path):
    with pytest.raises(RuntimeError, match="^b cannot be timed: .*no.tflite"):
        latency.measure({"b": tmp_path / "no.tflite"})
