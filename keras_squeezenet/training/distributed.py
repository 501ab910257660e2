"""Training on several devices or in several processes, as on one.

Every process trains its own model with `Model.fit` on its part of each batch.
A step sums the gradients of all parts and gathers the predictions; then every
process makes the same update of its own variables. The arithmetic is that of
one process with the whole batch, but for the order of sums and for dropout,
whose masks each process draws for itself.

`tf.distribute` computes the sums and detects lost workers. Its usual interface,
a model and its optimizer in the scope of a strategy, cannot train these recipes
with Keras 3.15.1 and TensorFlow 2.21:

- `Model.fit` with `MultiWorkerMirroredStrategy` fails before the first step:
  "Attempt to convert a value (PerReplica...)".
- With `MirroredStrategy`, `gradient_accumulation_steps` fails in `Cond`, and
  `global_clipnorm` clips the gradient of each device instead of their sum.

`keras.distribution` trains on JAX with the same arithmetic, but training runs
of this package need TensorFlow.
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
# The errors of a collective operation if a worker is lost.
LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


class WorkerLostError(RuntimeError):
    """Another worker of the run was killed, or cannot be reached."""


def distribute(name: str | None = None) -> "Distribution":
    """Return the devices and workers of a training run, for `train`.

    Args:
        name: `"mirrored"`, all GPUs of this machine (or its logical CPUs, if it
            has no GPU); or `"multi_worker"`, this process and the others that
            the environment variable `TF_CONFIG` lists. Each worker must call
            this before TensorFlow does anything else, and waits here for the
            others. Defaults to `None`: one device.

    Returns:
        A `Distribution`.

    Raises:
        ValueError: if `name` is unknown, `TF_CONFIG` is missing or invalid, or
            `TF_CONFIG` is set for `"mirrored"`.
        RuntimeError: if TensorFlow was already in use, or the workers do not
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
            f"`name` must be one of {', '.join(map(repr, NAMES))}, or "
            f"`None`. Received: name={name!r}"
        )
    if VARIABLE in os.environ:
        # `MirroredStrategy` would obey it.
        raise ValueError(
            f"{VARIABLE} must not be set for mirrored, which is for the "
            f"devices of one machine. Received: {VARIABLE}="
            f"{os.environ[VARIABLE]}. Unset it, or use multi_worker."
        )
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return Distribution()
    return Mirrored(
        tf.distribute.MirroredStrategy([device.name for device in devices])
    )


def read_cluster(text: str | None) -> tuple[list[str], int]:
    """Return the workers' addresses and this one's index, from `TF_CONFIG`."""
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
            f"{VARIABLE} must name two workers or more, each with its own "
            "address, and must be the same for all workers but for the index, "
            f"which counts from 0: {VARIABLE}='{EXAMPLE}'. For the devices of "
            "one machine use --distribution=mirrored. "
            f"Received: {text or 'nothing'}"
        )
    return addresses, index


class Distribution:
    """The devices and workers of a run: here one process with one device.

    Attributes:
        shard: `image_dataset.Shard`, the part of each batch for this process.
    """

    shard = image_dataset.Shard()

    @property
    def is_chief(self) -> bool:
        """Whether this process evaluates, writes and shows progress."""
        return self.shard.index == 0

    def spread(self, model):
        """Return a Functional model whose training step all devices share."""
        return model

    def from_chief(self, function):
        """Return the float that a function returns on the chief."""
        return function()

    def require_same(self, parts):
        """Raise a `ValueError` unless all workers have the same named bytes."""

    @contextlib.contextmanager
    def watched(self, last):
        """Raise a `WorkerLostError` if a worker is lost inside the block.

        `last` is the path of the checkpoint to resume from.
        """
        del last
        yield


class Mirrored(Distribution):
    """One process with several devices."""

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

    The worker at the first of the addresses is the chief.
    """

    def __init__(self, addresses, index):
        self.addresses = addresses
        try:
            super().__init__(tf.distribute.MultiWorkerMirroredStrategy())
        except RuntimeError as error:
            raise RuntimeError(
                '`distribute("multi_worker")` must be called before '
                f"TensorFlow does anything. Received: {error}"
            ) from error
        except tf.errors.OpError as error:
            raise RuntimeError(
                f"worker {index} must be able to listen at "
                f"{addresses[index]}, its address in {VARIABLE}, and to reach "
                f"{', '.join(addresses)}. Received: {error.message}"
            ) from error
        self.shard = image_dataset.Shard(
            index, len(addresses), self.shard.devices
        )
        self._gather = tf.function(self._gather_on_devices, autograph=False)

    def _gather_on_devices(self, values):
        def gather(values):
            context = tf.distribute.get_replica_context()
            # `all_gather` refuses the argument itself: it has no device.
            return context.all_gather(tf.identity(values), axis=0)

        return _first(self.strategy, self.strategy.run(gather, (values,)))

    def _gathered(self, values):
        """Return a row of floats for each worker: its values."""
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
                        "every worker must be started with the same flags, "
                        "images and weights, and with --out (out=...) in a "
                        "folder that they share. Received: the "
                        f"{name} of worker {worker}, which differ from worker "
                        "0's"
                    )

    @contextlib.contextmanager
    def watched(self, last):
        try:
            yield
        except LOST as error:
            advice = (
                "To resume from the last checkpoint, run the same command with "
                "--resume (resume=True) for every worker."
                if last.exists()
                else "No checkpoint was written. Start every worker again."
            )
            raise WorkerLostError(
                f"{self._lost(error.message)} was lost, and the training has "
                f"ended. {advice}"
            ) from error

    def _lost(self, message):
        """Return the worker that an error message of TensorFlow names."""
        for index in map(int, re.findall(r"/task:(\d+)", message)):
            if index != self.shard.index:
                return f"worker {index} ({self.addresses[index]})"
        return "another worker"


class _Spread(keras.Model):
    """A Functional model that each device trains on its part of a batch."""

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
        """Return sums over all devices and the outputs of the whole batch."""
        context = tf.distribute.get_replica_context()
        number = int(tf.get_static_value(context.replica_id_in_sync_group))
        images, labels, *weights = (
            part[number % self._devices] for part in parts
        )
        with tf.GradientTape() as tape:
            predicted = self(images, training=True)
            # Keras divides the loss by the number of devices of all workers.
            loss = self.compute_loss(images, labels, predicted, *weights)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        loss, *gradients = _packed_sum(context, [loss, *gradients])
        both = tf.concat([labels, predicted], axis=-1)
        sizes = [labels.shape[-1], predicted.shape[-1]]
        both = context.all_gather(both, axis=0)
        labels, predicted = tf.split(both, sizes, axis=-1)
        return loss, gradients, labels, predicted


def _packed_sum(context, tensors):
    """Sum tensors over all devices in one transfer, which is faster."""
    flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
    flat = context.all_reduce("SUM", flat)
    sizes = [tensor.shape.num_elements() for tensor in tensors]
    return [
        tf.reshape(part, tensor.shape)
        for part, tensor in zip(tf.split(flat, sizes), tensors)
    ]


def _first(strategy, values):
    """Return the values of this process's first device; all are the same."""
    return tf.nest.map_structure(
        lambda value: strategy.experimental_local_results(value)[0], values
    )
