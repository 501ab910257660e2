import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from keras_squeezenet.compression import pipeline
from keras_squeezenet.utils import checkpoints

RUN = {"recipe.seed": 0, "recipe.bits": {"*": 4}, "model": "squeezenet"}
STATE = pipeline.State(
    stage=2,
    attempt=1,
    seconds=1.5,
    history=[{"epoch": 1, "loss": 0.5}],
    best=0,
    stages=[{"name": "dense"}],
    ranges={"conv1": [0.0, 1.5]},
    weights=[np.arange(12, dtype="float32").reshape(3, 4), np.int64(7)],
    training=[np.ones(11, "float32") * i for i in range(12)],
)


def test_state_comes_back_as_it_was(tmp_path):
    path = tmp_path / "out" / pipeline.CHECKPOINT_FILE
    checkpoints.save(path, STATE, RUN)
    found = checkpoints.load(path, RUN, pipeline.State)
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
    path = tmp_path / pipeline.CHECKPOINT_FILE
    checkpoints.save(path, STATE, RUN)
    with pytest.raises(ValueError, match="recipe.seed was 0. Received: 1"):
        checkpoints.load(path, RUN | {"recipe.seed": 1}, pipeline.State)


@pytest.mark.parametrize("size", [0, 1, 100, -30])
def test_damaged_file_is_refused(size, tmp_path):
    path = tmp_path / pipeline.CHECKPOINT_FILE
    checkpoints.save(path, STATE, RUN)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="unfinished.npz is damaged"):
        checkpoints.load(path, RUN, pipeline.State)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="unfinished.npz"):
        checkpoints.load(
            tmp_path / pipeline.CHECKPOINT_FILE, RUN, pipeline.State
        )


KILLED = """
import os, pathlib, signal, sys
import numpy as np
from keras_squeezenet.utils import checkpoints
from keras_squeezenet.utils import files
from keras_squeezenet.compression import pipeline
path = pathlib.Path(sys.argv[1])
checkpoints.save(path, pipeline.State(stage=1), {})
flush = files._flush
def kill(path):
    flush(path)
    os.kill(os.getpid(), signal.SIGKILL)
files._flush = kill
checkpoints.save(path, pipeline.State(stage=2), {})
"""


@pytest.mark.slow
def test_kill_while_writing_leaves_the_state_before(tmp_path):
    path = tmp_path / pipeline.CHECKPOINT_FILE
    finished = subprocess.run(
        [sys.executable, "-c", KILLED, path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert finished.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 2
    assert checkpoints.load(path, {}, pipeline.State).stage == 1
