"""Runs of several processes on loopback, and of one with two devices."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time

import conftest
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import training
from keras_squeezenet.training import distribution
from keras_squeezenet.training import run as runs

RECIPE = training.Recipe(
    epochs=3, batch_size=16, validation_share=0.25, weight_decay=0.01
)
# With everything that a strategy of TensorFlow alone would compute otherwise.
FULL = RECIPE.replace(
    accumulation=3, clip_norm=0.1, average=0.9, augmentation="flip_crop"
)
SGD = FULL.replace(
    optimizer="sgd", learning_rate=0.01, label_smoothing=0.1, epochs=2
)
# Seconds that processes may take on a machine with other work.
TIMEOUT = 240
PROGRAM = """
import json, sys
tests, out, name, changes, options = sys.argv[1:]
sys.path[:0] = [tests]
import tensorflow as tf
from keras_squeezenet import data, training

options = json.loads(options)
if name == "mirrored":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
workers = training.distribute(name)
import conftest
import keras
import distribution_test

images = conftest.make_dataset()
if options.pop("arrays", False):
    images = conftest.make_images(48, 0)
    options["validation"] = conftest.make_images(32, 1)
report = training.train(
    distribution_test.make_model(), images,
    recipe=training.Recipe(**json.loads(changes)), out=out,
    distribution=workers, **options,
)
print(json.dumps(report["history"]))
"""


def make_model():
    """The same in every process, and without dropout, whose masks differ."""
    keras.utils.set_random_seed(0)
    model = training.build(conftest.SIDE, conftest.CLASSES, conftest.TINY)
    model.get_layer("drop9").rate = 0.0
    return model


def cluster(count):
    """Returns the `TF_CONFIG` of each of some workers, on free ports."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return [
        json.dumps(
            {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            }
        )
        for index in range(count)
    ]


@pytest.fixture
def start():
    """Returns a function that starts processes, one for each `TF_CONFIG`."""
    processes = []

    def start(out, recipe, configs, name="multi_worker", options=({}, {})):
        here = os.path.dirname(__file__)
        started = []
        for config, changes in zip(configs, options):
            arguments = (
                os.path.dirname(here),
                out,
                name,
                json.dumps(dataclasses.asdict(recipe)),
                json.dumps(changes),
            )
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *map(str, arguments)],
                env={
                    **os.environ,
                    "TF_CONFIG": config,
                    "PYTHONPATH": os.pathsep.join([here, *sys.path]),
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            started.append(process)
        processes.extend(started)
        return started

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def histories(processes):
    """Returns what each process has printed, once all of them are done."""
    printed = []
    for process in processes:
        stdout, stderr = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, stderr
        printed.append(json.loads(stdout))
    return printed


def alone(out, recipe, images, **options):
    """Returns the history of a run in one process, with one device."""
    report = training.train(
        make_model(), images, recipe=recipe, out=out, **options
    )
    return report["history"]


def assert_same_curve(history, expected):
    assert len(history) == len(expected)
    for name in ("loss", "accuracy", "validation_accuracy"):
        np.testing.assert_allclose(
            [epoch[name] for epoch in history],
            [epoch[name] for epoch in expected],
            rtol=1e-4,
            err_msg=name,
        )


@pytest.mark.parametrize(
    "recipe", [RECIPE, FULL, SGD], ids=["plain", "full", "sgd"]
)
def test_two_workers_train_as_one(recipe, start, dataset, tmp_path):
    chief, other = histories(start(tmp_path / "two", recipe, cluster(2)))
    assert_same_curve(chief, alone(tmp_path / "one", recipe, dataset))
    # But for the seconds.
    assert_same_curve(other, chief)
    assert sorted(os.listdir(tmp_path / "two")) == sorted(runs.FILES)
    kept, expected = (
        keras.models.load_model(tmp_path / name / runs.MODEL_FILE)
        for name in ("two", "one")
    )
    for found, wanted in zip(kept.get_weights(), expected.get_weights()):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)
