import dataclasses
import os
import signal
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest

from keras_squeezenet.utils import checkpoints

FILE = "unfinished.npz"
RUN = {"recipe.seed": 0, "recipe.bits": {"*": 4}, "model": "squeezenet"}


@dataclasses.dataclass
class State:
    ARRAYS: ClassVar = ("weights", "training")

    stage: int = 0
    history: list = dataclasses.field(default_factory=list)
    ranges: dict = dataclasses.field(default_factory=dict)
    weights: list = dataclasses.field(default_factory=list)
    training: list = dataclasses.field(default_factory=list)


STATE = State(
    stage=2,
    history=[{"epoch": 1, "loss": 0.5}],
    ranges={"conv1": [0.0, 1.5]},
    weights=[np.arange(12, dtype="float32").reshape(3, 4), np.int64(7)],
    training=[np.ones(11, "float32") * i for i in range(12)],
)


def test_state_comes_back_as_it_was(tmp_path):
    path = tmp_path / "out" / FILE
    checkpoints.save(path, STATE, RUN)
    found = checkpoints.load(path, RUN, State)
    for name, expected in vars(STATE).items():
        received = getattr(found, name)
        if name not in STATE.ARRAYS:
            assert received == expected, name
            continue
        assert len(received) == len(expected), name
        for one, other in zip(expected, received):
            np.testing.assert_array_equal(one, other)
            assert np.asarray(one).dtype == other.dtype


def test_run_with_other_arguments_is_refused(tmp_path):
    path = tmp_path / FILE
    checkpoints.save(path, STATE, RUN)
    with pytest.raises(ValueError, match="recipe.seed was 0. Received: 1"):
        checkpoints.load(path, RUN | {"recipe.seed": 1}, State)


@pytest.mark.parametrize("size", [0, 1, 32, 100, -1, -32])
def test_cut_file_is_refused(size, tmp_path):
    path = tmp_path / FILE
    checkpoints.save(path, STATE, RUN)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="unfinished.npz is damaged"):
        checkpoints.load(path, RUN, State)


def test_any_flipped_bit_is_refused(tmp_path):
    path = tmp_path / FILE
    checkpoints.save(path, STATE, RUN)
    content = path.read_bytes()
    for place in np.random.default_rng(0).choice(8 * len(content), 500, False):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged.*--overwrite"):
            checkpoints.load(path, RUN, State)


def test_state_of_another_version_is_refused(tmp_path):
    path = tmp_path / FILE
    state = dataclasses.replace(STATE)
    state.epoch = 3
    checkpoints.save(path, state, RUN)
    with pytest.raises(ValueError, match="another version: .*'epoch'"):
        checkpoints.load(path, RUN, State)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="unfinished.npz"):
        checkpoints.load(tmp_path / FILE, RUN, State)


KILLED = """
import os, pathlib, signal, sys
from keras_squeezenet.utils import checkpoints
from keras_squeezenet.utils import staging
class State:
    ARRAYS = ()
path, state = pathlib.Path(sys.argv[1]), State()
state.stage = 1
checkpoints.save(path, state, {})
flush = staging.flush
def kill(path):
    flush(path)
    os.kill(os.getpid(), signal.SIGKILL)
staging.flush = kill
state.stage = 2
checkpoints.save(path, state, {})
"""


def test_kill_while_writing_leaves_the_state_before(tmp_path):
    path = tmp_path / FILE
    finished = subprocess.run(
        [sys.executable, "-c", KILLED, path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert finished.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 2
    assert checkpoints.load(path, {}, State).stage == 1
