"""Runs of several processes on loopback, and of one with two devices."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf

from keras_squeezenet import training
from keras_squeezenet.data import image_dataset
from keras_squeezenet.training import distributed
from keras_squeezenet.training import training_run

RECIPE = training.Recipe(
    epochs=3, batch_size=16, validation_share=0.25, weight_decay=0.01
)
# Includes all that a strategy of TensorFlow alone would compute differently.
FULL = RECIPE.replace(
    accumulation=3, clip_norm=0.1, average=0.9, augmentation="flip_crop"
)
# Seconds that processes may take on a machine with other work.
TIMEOUT = 1800
PROGRAM = """
import json, sys
tests, name, jobs = sys.argv[1:]
sys.path[:0] = [tests]
import tensorflow as tf
from keras_squeezenet import training

if name == "mirrored":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
workers = training.distribute(name)
import distributed_test

for job in json.loads(jobs):
    history = distributed_test.train(**job, distribution=workers)
    print(json.dumps(history), flush=True)
"""


def train(out, recipe, is_arrays=False, **options):
    """Train on the images of the tests, and return the history."""
    images = quarters.make_dataset()
    if is_arrays:
        images = quarters.make_images(48, 0)
        options["validation"] = quarters.make_images(32, 1)
        options["normalization"] = "caffe"
    recipe = training.Recipe(**recipe)
    result = training.train(
        make_model(), images, recipe=recipe, out=out, **options
    )
    return result.history


def make_model():
    """Return the same model in every process, without random dropout."""
    keras.utils.set_random_seed(0)
    return quarters.make_classifier(dropout=0)


def config(workers=("a:1", "b:2"), kind="worker", index=0, **others):
    return json.dumps(
        {
            "cluster": {"worker": workers, **others},
            "task": {"type": kind, "index": index},
        }
    )


def cluster(count):
    """Return the environment variables of each worker, with free ports."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return [
        {"TF_CONFIG": config(addresses, index=index)} for index in range(count)
    ]


@pytest.fixture
def start():
    """Return a function that starts a process for each dict of variables.

    Its other arguments are the name of the distribution and the jobs of each
    process: lists of arguments of `train`.
    """
    processes = []

    def start(configs, name, jobs):
        here = os.path.dirname(__file__)
        arguments = [sys.executable, "-c", PROGRAM, os.path.dirname(here), name]
        path = os.pathsep.join([here, *sys.path])
        variables = {**os.environ, "PYTHONPATH": path}
        started = [
            subprocess.Popen(
                [*arguments, json.dumps(own_jobs)],
                env={**variables, **config},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for config, own_jobs in zip(configs, jobs, strict=True)
        ]
        processes.extend(started)
        return started

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def job(out, recipe, **options):
    return {
        "out": str(out),
        "recipe": dataclasses.asdict(recipe),
        **options,
    }


def assert_same_curve(history, expected):
    assert len(history) == len(expected)
    for name in ("loss", "accuracy", "validation_accuracy"):
        np.testing.assert_allclose(
            [epoch[name] for epoch in history],
            [epoch[name] for epoch in expected],
            rtol=1e-4,
            err_msg=name,
        )


def assert_same_as_alone(out, expected):
    """Check for the same files and model, but for the order of sums."""
    assert sorted(os.listdir(out)) == sorted(training_run.FILES)
    kept, wanted = (
        keras.models.load_model(folder / training_run.MODEL_FILE).get_weights()
        for folder in (out, expected)
    )
    for one, other in zip(kept, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


JOBS = {
    "full": {"recipe": FULL},
    "arrays": {"recipe": RECIPE, "is_arrays": True},
}


@pytest.mark.end_to_end
@pytest.mark.slow
def test_two_workers_train_as_one_and_begin_the_same_only(start, tmp_path):
    jobs = [job(tmp_path / name, **options) for name, options in JOBS.items()]
    bad = [
        job(tmp_path / "bad", RECIPE.replace(seed=seed)) for seed in range(2)
    ]
    processes = start(cluster(2), "multi_worker", [[*jobs, one] for one in bad])
    for process in processes:
        stdout, stderr = process.communicate(timeout=TIMEOUT)
        assert "the arguments of worker 1, which differ from worker" in stderr
        histories = [json.loads(line) for line in stdout.splitlines()]
        for history, (name, options) in zip(
            histories, JOBS.items(), strict=True
        ):
            alone = job(tmp_path / f"{name}_alone", **options)
            assert_same_curve(history, train(**alone, overwrite=True))
            assert_same_as_alone(tmp_path / name, tmp_path / f"{name}_alone")
    assert not (tmp_path / "bad").exists()


@pytest.mark.end_to_end
@pytest.mark.slow
def test_two_devices_train_as_one(start, tmp_path):
    (process,) = start([{}], "mirrored", [[job(tmp_path / "two", FULL)]])
    stdout, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, stderr
    alone = train(**job(tmp_path / "one", FULL))
    assert_same_curve(json.loads(stdout), alone)
    assert_same_as_alone(tmp_path / "two", tmp_path / "one")


@pytest.mark.end_to_end
@pytest.mark.slow
def test_killed_worker_ends_the_run_which_is_resumed(start, tmp_path):
    out, recipe = tmp_path / "out", FULL.replace(epochs=6)
    configs = cluster(2)
    chief, other = start(configs, "multi_worker", [[job(out, recipe)]] * 2)
    deadline = time.monotonic() + TIMEOUT
    while not (out / training_run.HISTORY_FILE).exists():
        assert chief.poll() is None and other.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    other.send_signal(signal.SIGKILL)
    _, stderr = chief.communicate(timeout=TIMEOUT)
    assert chief.returncode == 1
    addresses, _ = distributed.read_cluster(configs[1]["TF_CONFIG"])
    assert (
        f"WorkerLostError: worker 1 ({addresses[1]}) was lost, and the "
        "training has ended. To resume from the last checkpoint, run the same "
        "command with --resume (resume=True) for every worker."
    ) in stderr
    again = [job(out, recipe, resume=True)]
    for process in start(cluster(2), "multi_worker", [again] * 2):
        stdout, stderr = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, stderr
    alone = train(**job(tmp_path / "alone", recipe))
    assert_same_curve(json.loads(stdout), alone)


@pytest.fixture
def worker():
    """Worker 0 of three, without connections."""
    worker = object.__new__(distributed.MultiWorker)
    worker.addresses = ["a:1", "b:2", "c:3"]
    worker.shard = image_dataset.Shard(0, 3)
    return worker


@pytest.mark.parametrize(
    "message,who",
    [
        ("reset, /job:worker/replica:0/task:2 while calling", "worker 2 (c:3)"),
        ("from /job:worker/task:0, /job:worker/task:1", "worker 1 (b:2)"),
        ("Socket closed", "another worker"),
    ],
)
def test_lost_worker_is_named_where_it_is_known(message, who, worker, tmp_path):
    with pytest.raises(training.WorkerLostError) as caught:
        with worker.watched(tmp_path / training_run.LAST_FILE):
            raise tf.errors.UnavailableError(None, None, message)
    assert str(caught.value) == (
        f"{who} was lost, and the training has ended. No checkpoint was "
        "written. Start every worker again."
    )


def test_other_errors_are_not_those_of_workers(worker, tmp_path):
    with pytest.raises(tf.errors.InvalidArgumentError):
        with worker.watched(tmp_path):
            raise tf.errors.InvalidArgumentError(None, None, "task:1")


def test_cluster_is_that_of_the_variable():
    assert distributed.read_cluster(config(index=1)) == (["a:1", "b:2"], 1)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:2"]}}',
        config(["a:1"]),
        config(["a:1", "a:1"]),
        config(["a:1", "b"]),
        config("a:1"),
        config([1, 2]),
        config(index=2),
        config(index=-1),
        config(index="0"),
        config(kind="chief"),
        config(ps=["c:3"]),
    ],
)
def test_bad_cluster_is_refused_with_an_example(text, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError) as caught:
        training.distribute("multi_worker")
    assert distributed.EXAMPLE in str(caught.value)
    assert str(caught.value).endswith(f"Received: {text or 'nothing'}")
    assert distributed.read_cluster(distributed.EXAMPLE)


def test_workers_are_found_before_tensorflow_does_anything(monkeypatch):
    tf.constant(0)
    monkeypatch.setenv("TF_CONFIG", config())
    with pytest.raises(RuntimeError, match="before TensorFlow does anything"):
        training.distribute("multi_worker")


def test_devices_of_one_machine_have_no_cluster(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config())
    with pytest.raises(ValueError, match="must not be set for mirrored.*Unset"):
        training.distribute("mirrored")


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="'mirrored', 'multi_worker'.*'ps'"):
        training.distribute("ps")


def test_one_device_is_trained_on_as_ever():
    assert type(training.distribute()) is distributed.Distribution
    if len(tf.config.list_logical_devices()) == 1:
        mirrored = training.distribute("mirrored")
        assert type(mirrored) is distributed.Distribution


def test_batch_that_the_devices_do_not_divide_is_refused(tmp_path, dataset):
    workers = distributed.Distribution()
    workers.shard = image_dataset.Shard(0, count=2, devices=3)
    with pytest.raises(
        ValueError, match="multiple of 6: 2 workers, with 3 devices each.* 16"
    ):
        training.train(
            None,
            dataset,
            recipe=RECIPE,
            out=tmp_path / "out",
            distribution=workers,
        )
    assert not (tmp_path / "out").exists()
