import time

import numpy as np
import pytest

from keras_squeezenet.evaluation import timing


def test_calls_of_full_batches_are_timed(monkeypatch):
    clock = iter([0.0, 2.0, 10.0, 10.5, 20.0, 22.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    timed = timing.Timed(np.negative, 4)
    for size in (4, 1, 4):
        assert timed(np.ones(size)).tolist() == [-1] * size
    assert timed.images_per_second == pytest.approx(8 / 4)
