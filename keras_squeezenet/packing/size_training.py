"""Training for a size: packing and code training, in rounds.

Each round packs the network of the round before into a smaller file, and trains
the codes of that file. Training makes up for what one round loses; it would not
for what all of them lose at once.

Where images are large, the layers at the front stay as packing to the size
leaves them. The others are trained on cached features.
"""

import dataclasses
import functools
import itertools
import logging
import math
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_squeezenet import models
from keras_squeezenet.codec import encodings
from keras_squeezenet.data import splits
from keras_squeezenet.packing import cached_features
from keras_squeezenet.packing import code_training
from keras_squeezenet.packing import lambda_search
from keras_squeezenet.packing import measurement
from keras_squeezenet.packing import network_quantizer
from keras_squeezenet.packing.bounds import Bound
from keras_squeezenet.utils.progress import Progress

# The size of each round's file relative to the target, and the share of the
# training steps after which it ends.
ROUNDS = ((1.8, 0.25), (1.3, 0.5), (1.0, 1.0))
# A round needs neither the exact size nor the best Fisher information: training
# makes up for both.
TOLERANCE, IMAGES, SEARCH_IMAGES = 0.05, 160, 64
# How often in each round lambda is corrected, by a power of the size relative
# to a little less than that of the round. Codes mostly become shorter even
# where lambda is tiny.
CORRECTIONS, POWER, AIM = 20, 20, 0.99
# In nats for each bit.
FIRST_LAMBDA, MIN_LAMBDA, MAX_LAMBDA = 3e-8, 1e-10, 1e-4
# The last files of the last round are measured on the validation images.
MEASURED_FILES = 4
# The features of augmented images are computed for one of so many epochs.
EPOCHS_OF_PASS = 4

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Lesson:
    """What the codes of a packed network are trained on.

    Attributes:
        train: the training set, with targets as the loss takes them.
        loss: a function of the targets and the outputs of a batch to the loss
            of each image.
        steps: the number of training steps.
        freezes_front: whether the layers at the front are not trained.
        is_augmented: whether the images differ from epoch to epoch.
    """

    train: splits.Split
    loss: Callable
    steps: int
    freezes_front: bool = False
    is_augmented: bool = False

    @property
    def passes(self) -> int:
        """How often the features of the images should be computed."""
        if not self.is_augmented:
            return 1
        epochs = self.steps / self.train.steps
        return math.ceil(epochs / EPOCHS_OF_PASS)

    def batches(self) -> Iterator:
        """Yield the batches of one epoch after the other."""
        for epoch in itertools.count():
            yield from self.train.batches(epoch)


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """The layers to train, and what they are trained and measured on.

    Attributes:
        model: these layers, a network of their own.
        images: array of its inputs, which calibrate.
        lesson: as for the whole network, with features as images.
        measurer: the same.
        frozen: `{name: array}`, the quantized weights of the other layers.
    """

    model: keras.Model
    images: np.ndarray
    lesson: Lesson
    measurer: measurement.Measurer
    frozen: dict[str, Any] = dataclasses.field(default_factory=dict)

    def measure(
        self, arrays: dict[str, encodings.UniformArray]
    ) -> measurement.Measurement:
        """Measure the network with other weights in the layers to train."""
        set_weights(self.student, arrays)
        return self.measurer.measure(self.student)

    @functools.cached_property
    def student(self) -> keras.Model:
        """A network of the same layers, for other weights."""
        return models.copy(self.model)


def behind_front(
    task: Task,
    arrays: dict[str, Any],
    seed: int,
    progress: Progress,
) -> Task:
    """Return the task for the layers behind a front, which is frozen.

    If the network has no front, or its features do not fit into memory, the
    task is returned as it is.

    Args:
        task: that of the whole network.
        arrays: its quantized weights, of which the front keeps its own.
        seed: the seed of the order of the images.
        progress: what shows the progress.
    """
    divided = cached_features.divide(task.model)
    if divided is None:
        return task
    front, rest = divided
    lesson = task.lesson
    passes, validation = (
        cached_features.passes(front, size)
        for size in (lesson.train.size, task.measurer.size)
    )
    if not (passes and validation):
        logger.info(
            "All layers are trained: the features of the images would take "
            "more than %d MB.",
            cached_features.MAX_BYTES >> 20,
        )
        return task
    names = {layer.name for layer in front.layers}
    frozen = {
        name: array
        for name, array in arrays.items()
        if name.rpartition("/")[0] in names
    }
    set_weights(front, frozen)
    train = cached_features.cache(
        front,
        lesson.train,
        min(passes, lesson.passes),
        seed,
        progress,
    )
    with progress.task("validation features", None) as advance:
        measurer = task.measurer.behind(front, advance)
    return Task(
        rest,
        front.predict(task.images, batch_size=32, verbose=0),
        dataclasses.replace(lesson, train=train),
        measurer,
        frozen,
    )


class SizeTrainer:
    """Trains the codes of a task for a size.

    Args:
        task: its model is changed.
        dump: function from `{name: array}` of the trained layers to the `.sqz`
            file of the whole network.
        target_bytes: the size that the file may have.
        seed, progress: as `pack` takes them.
    """

    def __init__(
        self,
        task: Task,
        dump: Callable[[dict[str, Any]], bytes],
        target_bytes: int,
        seed: int,
        progress: Progress,
    ):
        self.task = task
        self.dump = dump
        self.target_bytes = target_bytes
        self.seed = seed
        self.progress = progress
        self.batches = task.lesson.batches()
        self.lambda_ = lambda_search.FIRST_LAMBDA
        # How much larger files became in the training of the round before.
        self.growth = 1.0

    def rounds(self) -> Iterator["File"]:
        """Yield the file after each round; after the last one, its last files.

        Those are within the size. It ends early where none is small enough.
        """
        done = 0
        for number, (factor, end) in enumerate(ROUNDS, 1):
            size = factor * self.target_bytes
            steps = math.floor(end * self.task.lesson.steps) - done
            if not steps:
                continue
            done += steps
            packed = self._pack(size / self.growth)
            if packed is None:
                return
            name = f"code training {number}/{len(ROUNDS)}"
            with self.progress.task(name, steps) as advance:
                trained = [*self._train(packed, size, steps, advance)]
            last = trained[-1]
            if number < len(ROUNDS):
                yield last
                set_weights(self.task.model, last.codes)
                self.growth = max(1.0, last.bytes / packed.bytes)
            else:
                within = [file for file in trained if file.bytes <= size]
                yield from within[-MEASURED_FILES:]

    def _pack(self, size):
        """Return the largest file that is found within a size, or `None`."""
        quantizer = network_quantizer.NetworkQuantizer(
            self.task.model, self.task.images, self.seed, self.progress
        )
        found: dict[float, File] = {}

        def evaluate(lambda_):
            if lambda_ not in found:
                steps = len(quantizer.hessians) + 1
                name = f"lambda {lambda_:.1e}"
                with self.progress.task(name, steps) as advance:
                    codes, _ = quantizer.quantize(
                        lambda_, SEARCH_IMAGES, advance
                    )
                    length = len(self.dump(codes))
                    advance(bytes=length)
                found[lambda_] = File(length, lambda_, codes)
            return found[lambda_]

        bound = Bound(target_bytes=round(size))
        lambda_search.search(bound, evaluate, TOLERANCE, self.lambda_)
        within = filter(bound.admits, found.values())
        best = max(within, key=lambda file: file.bytes, default=None)
        if best is not None:
            self.lambda_ = best.lambda_
        return best

    def _train(self, packed, size, steps, advance):
        """Yield a file each time that lambda is corrected by its size."""
        trainer = code_training.CodeTrainer(
            self.task.model,
            packed.codes,
            steps,
            self.task.lesson.loss,
        )
        lambda_ = FIRST_LAMBDA
        for count in code_training.portions(steps, CORRECTIONS):
            batches = itertools.islice(self.batches, count)
            trainer.train(batches, lambda_, advance)
            codes = trainer.arrays()
            file = File(len(self.dump(codes)), lambda_, codes)
            yield file
            lambda_ *= math.exp(POWER * math.log(file.bytes / (AIM * size)))
            lambda_ = min(max(lambda_, MIN_LAMBDA), MAX_LAMBDA)


@dataclasses.dataclass(frozen=True, eq=False)
class File:
    """A file by its size, the lambda of its codes, and the codes."""

    bytes: int
    lambda_: float
    codes: dict[str, encodings.UniformArray]


def set_weights(model: keras.Model, arrays: dict[str, Any]) -> None:
    """Set the weights of a model to those of its layers in `{name: array}`."""
    for layer in model.layers:
        names = [f"{layer.name}/{weight.name}" for weight in layer.weights]
        layer.set_weights([arrays[name].to_array() for name in names])
