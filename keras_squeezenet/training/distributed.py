"""Training on several devices or in several processes, as on one.

Every process trains its own model with `Model.fit`, and has its part of each
batch. A step adds up the gradients of all the parts and gathers what was
predicted; then every process makes the same update of its own, plain
variables. The arithmetic is that of one process with the whole batch, but for
the order of sums and for dropout, whose masks each process draws for itself.

`tf.distribute` adds up, and finds out who is lost. The usual way, a model and
its optimizer in the scope of a strategy, does not train these recipes with
Keras 3.15.1 and TensorFlow 2.21:

- `Model.fit` with `MultiWorkerMirroredStrategy` ends with "Attempt to convert
  a value (PerReplica...)" before the first step.
- With `MirroredStrategy`, `gradient_accumulation_steps` ends with an error
  of `Cond`, and `global_clipnorm` bounds the gradient of each device, before
  they are added up, and not their sum.

`keras.distribution` trains on JAX, with the same arithmetic; the runs of this
package need TensorFlow.
"""

import contextlib
import json
import os
import re
import zlib

import keras
import tensorflow as tf

from keras_squeezenet.data import image_dataset

NAMES = ("mirrored", "multi_worker")
VARIABLE = "TF_CONFIG"
EXAMPLE = (
    '{"cluster": {"worker": ["first.example:2222", "second.example:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
# What a collective operation ends with where a worker is gone.
LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


class WorkerLostError(RuntimeError):
    """Another worker of the run was killed, or cannot be reached."""


def distribute(name=None):
    """Returns who takes part in a training run, for `train`.

    Args:
        name: `"mirrored"`, all GPUs of this machine (or all logical CPUs,
            where there is none); `"multi_worker"`, this process and those
            that the environment variable `TF_CONFIG` names with it, each of
            which calls this before anything else of TensorFlow, and waits for
            the others here. Defaults to `None`: one device.

    Returns:
        A `Distribution`.

    Raises:
        ValueError: if there is no such name, or `TF_CONFIG` is missing or
            wrong, or there with `"mirrored"`.
        RuntimeError: if TensorFlow was in use before, or the workers do not
            find each other.

    Example:

    >>> workers = training.distribute("multi_worker")
    >>> digits = data.load("mnist5k")
    >>> training.train(None, digits, out="digits", distribution=workers)
    """
    if name is None:
        return Distribution()
    if name == "multi_worker":
        return MultiWorker(*read_cluster(os.environ.get(VARIABLE)))
    if name != "mirrored":
        raise ValueError(
            f"`name` should be one of {', '.join(map(repr, NAMES))}, or "
            f"`None`. Received: {name!r}"
        )
    if VARIABLE in os.environ:
        # Which `MirroredStrategy` would follow.
        raise ValueError(
            "mirrored is for the devices of one machine: unset "
            f"{VARIABLE}, or ask for multi_worker. Received: "
            f"{VARIABLE}={os.environ[VARIABLE]}"
        )
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return Distribution()
    return Mirrored(
        tf.distribute.MirroredStrategy([device.name for device in devices])
    )


def read_cluster(text):
    """Returns the addresses of the workers, and which of them this one is.

    Args:
        text: str, what `TF_CONFIG` holds, or `None`.

    Raises:
        ValueError: if it is missing or wrong, saying what it should be.
    """
    try:
        config = json.loads(text or "{}")
        cluster, task = config["cluster"], config["task"]
        addresses, index = cluster["worker"], task["index"]
        is_good = (
            list(cluster) == ["worker"]
            and task["type"] == "worker"
            and len(set(addresses)) == len(addresses) > 1
            and all(re.fullmatch(r"\S+:\d+", address) for address in addresses)
            and type(index) is int
            and 0 <= index < len(addresses)
        )
    except (KeyError, TypeError, ValueError):
        is_good = False
    if not is_good:
        raise ValueError(
            f"{VARIABLE} should name two workers or more, each with an address "
            "of its own, and be the same for all of them but for the index of "
            f"the one that it is set for, from 0: {VARIABLE}='{EXAMPLE}'. For "
            "the devices of one machine there is --distribution=mirrored. "
            f"Received: {text or 'nothing'}"
        )
    return addresses, index


class Distribution:
    """Who takes part in a training run: this process, with one device.

    Attributes:
        shard: `data.dataset.Shard`, this process's part of each batch.
    """

    shard = image_dataset.Shard()

    @property
    def is_chief(self):
        """Whether this process measures, writes and tells how it goes on."""
        return self.shard.index == 0

    def spread(self, model):
        """Returns a Functional model whose training step is everybody's."""
        return model

    def from_chief(self, function):
        """Returns what a function, of which only the chief is asked, returns.

        Args:
            function: function to a float.
        """
        return function()

    def require_same(self, parts):
        """Raises a `ValueError` unless all processes have the same.

        Args:
            parts: dict of bytes by what they are.
        """

    @contextlib.contextmanager
    def watched(self, last):
        """Has the block end with a `WorkerLostError` where a worker is lost.

        Args:
            last: `pathlib.Path` of the file to go on from.
        """
        del last
        yield


class Mirrored(Distribution):
    """This process, with several devices.

    Args:
        strategy: `tf.distribute.Strategy` over them.
    """

    def __init__(self, strategy):
        self.strategy = strategy
        self.shard = image_dataset.Shard(
            devices=len(strategy.extended.worker_devices)
        )

    def spread(self, model):
        return _Spread(
            self.strategy, model.inputs, model.outputs, name=model.name
        )


class MultiWorker(Mirrored):
    """This process and others, each with all its devices.

    Args:
        addresses: list of str, of the workers; the first one is the chief.
        index: int, which of them this one is.
    """

    def __init__(self, addresses, index):
        self.addresses = addresses
        try:
            super().__init__(tf.distribute.MultiWorkerMirroredStrategy())
        except RuntimeError as error:
            raise RuntimeError(
                '`distribute("multi_worker")` should be called before '
                f"TensorFlow does anything. Received: {error}"
            ) from error
        except tf.errors.OpError as error:
            raise RuntimeError(
                f"worker {index} should be able to listen at "
                f"{addresses[index]}, which {VARIABLE} says, and to reach "
                f"{', '.join(addresses)}. Received: {error.message}"
            ) from error
        self.shard = image_dataset.Shard(
            index, len(addresses), self.shard.devices
        )
        self._gather = tf.function(self._gather_on_devices, autograph=False)

    def _gather_on_devices(self, values):
        def gather(values):
            context = tf.distribute.get_replica_context()
            # An argument has no device, and is refused.
            return context.all_gather(tf.identity(values), axis=0)

        return _first(self.strategy, self.strategy.run(gather, (values,)))

    def _gathered(self, values):
        """Returns a row of every worker's values, as many as floats."""
        rows = self._gather(tf.constant([values], tf.float64))
        return rows.numpy()[:: self.shard.devices]

    def from_chief(self, function):
        value = function() if self.is_chief else 0.0
        return float(self._gathered([value])[0, 0])

    def require_same(self, parts):
        rows = self._gathered([zlib.crc32(part) for part in parts.values()])
        for worker, row in enumerate(rows):
            for name, is_other in zip(parts, row != rows[0]):
                if is_other:
                    raise ValueError(
                        "every worker should be started with the same flags, "
                        "images and weights, and --out (out=...) be a folder "
                        f"that all of them share. Received: the {name} of "
                        f"worker {worker}, which differ from worker 0's"
                    )

    @contextlib.contextmanager
    def watched(self, last):
        try:
            yield
        except LOST as error:
            way_on = (
                "the same command with --resume (resume=True), of every "
                "worker, goes on from the last epoch that was finished."
                if last.exists()
                else "no epoch was finished; start every worker again."
            )
            raise WorkerLostError(
                f"{self._lost(error.message)} was lost, and with it the "
                f"training has ended: {way_on}"
            ) from error

    def _lost(self, message):
        """Returns the worker that a message of TensorFlow names, or another."""
        for index in map(int, re.findall(r"/task:(\d+)", message)):
            if index != self.shard.index:
                return f"worker {index} ({self.addresses[index]})"
        return "another worker"


class _Spread(keras.Model):
    """A Functional model that is trained on the parts of everybody's batch."""

    def __init__(self, strategy, inputs, outputs, name):
        super().__init__(inputs, outputs, name=name)
        self._strategy = strategy
        self._devices = len(strategy.extended.worker_devices)

    def train_step(self, data):
        with tf.device("CPU:0"):
            parts = [tf.split(tensor, self._devices) for tensor in data]
        loss, gradients, labels, predicted = _first(
            self._strategy, self._strategy.run(self._step, (parts,))
        )
        self.optimizer.apply(gradients, self.trainable_weights)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=tf.shape(labels)[0])
        return self.compute_metrics(None, labels, predicted)

    def _step(self, parts):
        """One device's step, to the sums and the whole batch of all of them."""
        context = tf.distribute.get_replica_context()
        number = int(tf.get_static_value(context.replica_id_in_sync_group))
        images, labels = (part[number % self._devices] for part in parts)
        with tf.GradientTape() as tape:
            predicted = self(images, training=True)
            # Keras divides it by the number of devices of all workers.
            loss = self.compute_loss(images, labels, predicted)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        loss, *gradients = _packed_sum(context, [loss, *gradients])
        both = tf.concat([labels, predicted], axis=-1)
        both = context.all_gather(both, axis=0)
        labels, predicted = tf.split(both, 2, axis=-1)
        return loss, gradients, labels, predicted


def _packed_sum(context, tensors):
    """Adds up tensors over all devices as one: each trip takes its time."""
    flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
    flat = context.all_reduce("SUM", flat)
    sizes = [tensor.shape.num_elements() for tensor in tensors]
    return [
        tf.reshape(part, tensor.shape)
        for part, tensor in zip(tf.split(flat, sizes), tensors)
    ]


def _first(strategy, values):
    """What the first device of this process has of what all have the same."""
    return tf.nest.map_structure(
        lambda value: strategy.experimental_local_results(value)[0], values
    )
