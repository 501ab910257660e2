"""Pack a network: search for the file, draw the curve, train the codes."""

import dataclasses
import functools
import itertools
import logging

import keras
import numpy as np

from keras_squeezenet import codec
from keras_squeezenet import models
from keras_squeezenet.codec import sqz
from keras_squeezenet.packing import code_training
from keras_squeezenet.packing import curve
from keras_squeezenet.packing import image_sets
from keras_squeezenet.packing import lambda_search
from keras_squeezenet.packing import measurement
from keras_squeezenet.packing import network_quantizer
from keras_squeezenet.packing import pack_result
from keras_squeezenet.packing import size_training
from keras_squeezenet.packing.bounds import Bound
from keras_squeezenet.packing.bounds import BoundError
from keras_squeezenet.packing.curve import Point
from keras_squeezenet.packing.pack_result import PackResult
from keras_squeezenet.packing.size_training import Lesson
from keras_squeezenet.utils.progress import Progress

# The images that layers are reconstructed on: few in the search for lambda, and
# more for the file, where they take a tenth off the divergence.
SEARCH_IMAGES, FINAL_IMAGES = 64, 256
# How many times code training is measured, at most.
CODE_TRAINING_POINTS = 10

logger = logging.getLogger(__name__)


class Packer:
    """Packs a model several times, measuring the Fisher information once.

    Args:
        model: it is not changed.
        images: float32 array of preprocessed images, which calibrate.
        class_names, provenance, seed, progress: as `pack` takes them.
        measurer: what measures the files. Defaults to `None`: every fifth one
            of the images, which then does not calibrate.
    """

    def __init__(
        self,
        model: keras.Model,
        images: np.ndarray,
        class_names: list[str] | str | None = None,
        provenance: dict | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        measurer: measurement.Measurer | None = None,
    ):
        if measurer is None:
            sets = image_sets.divide(images)
            images = sets.calibration
            measurer = measurement.Measurer(
                model, sets.validation, sets.is_held_out
            )
        self.original = model
        self.model = models.copy(model)
        self.header = {"labels": class_names, "provenance": provenance}
        self.seed = seed
        self.progress = progress or Progress()
        self.images = images
        self.measurer = measurer
        self.quantizer = network_quantizer.NetworkQuantizer(
            model, images, seed, self.progress
        )
        # Points by lambda and number of images, and files by point.
        self.points, self.contents = {}, {}

    def pack(
        self,
        bound: Bound,
        steps: int = 0,
        lesson: Lesson | None = None,
    ) -> PackResult:
        """Return the best file within a bound, after code training.

        Args:
            bound: what the file must be within.
            steps: the number of steps of training on the images that calibrate,
                randomly augmented, with the outputs of the model as targets.
                Defaults to `0`, none.
            lesson: what codes are trained on instead of these images; with
                `target_bytes` in rounds. Defaults to `None`.

        Raises:
            BoundError: if no file is within the bound.
        """
        if bound.max_accuracy_drop is not None and self.measurer.labels is None:
            raise ValueError(
                "`max_accuracy_drop` needs validation images with labels. "
                f"Received: {bound}, without labels; give `validation` images "
                "and their labels, or bound `max_kl`"
            )
        if lesson and bound.target_bytes is not None:
            point, content, trained = self.train_for_size(
                bound.target_bytes, lesson
            )
        else:
            point, content = self._finish(bound)
            trained = []
            steps = lesson.steps if lesson else steps
            if steps:
                point, content, trained = self.train_codes(
                    point, content, bound, steps, lesson
                )
        return PackResult(
            content=content,
            point=point,
            curve=curve.front(self.points.values()),
            code_training=trained,
            layers=pack_result.layers(content),
            images=len(self.images),
            validation_images=self.measurer.size,
            is_held_out=self.measurer.is_held_out,
            float32_bytes=4 * self.original.count_params(),
        )

    def find(
        self, bound: Bound, tolerance: float | None = None
    ) -> tuple[Point, bytes]:
        """Return the best file that the search finds within a bound.

        `pack` also fits its layers on more images. The `tolerance` is as
        `lambda_search.search` takes it.

        Raises:
            BoundError: if no file is within the bound.
        """
        lambda_search.search(bound, self._evaluate, tolerance)
        point = self._choose(bound)
        return point, self.contents[point]

    def _finish(self, bound):
        """Return the best file, with its neighbors on the curve evaluated."""
        # A file's divergence is by chance a tenth larger or smaller.
        point, _ = self.find(bound, 2 * bound.tolerance)
        lambdas = [lambda_ for lambda_, _ in self.points]
        for lambda_ in lambda_search.neighbors(point.lambda_, lambdas):
            self._evaluate(lambda_)
        lambda_search.correct(
            bound,
            self._choose(bound).lambda_,
            functools.partial(self._evaluate, count=FINAL_IMAGES),
        )
        point = self._choose(bound)
        return point, self.contents[point]

    def _choose(self, bound):
        chosen = bound.choose(self.points.values())
        if chosen is None:
            points = curve.front(self.points.values())
            raise BoundError(
                f"no file is within {bound}: the files have "
                f"{points[0].bytes:,} to {points[-1].bytes:,} bytes and "
                f"{self._distortions(bound, points)}. Choose a bound in this "
                "range"
            )
        return chosen

    def _distortions(self, bound, points):
        """Return the range of what is bounded beside the bytes, in words."""
        if bound.max_accuracy_drop is None:
            return (
                f"divergences of {points[0].kl:.3g} to {points[-1].kl:.3g} nats"
            )
        drops = [point.accuracy_drop for point in self.points.values()]
        return (
            f"lose {min(drops):.3g} to {max(drops):.3g} percentage points of "
            "accuracy"
        )

    def _evaluate(self, lambda_, count=SEARCH_IMAGES):
        """Quantize the model at a lambda and return its `Point`.

        The layers are reconstructed on `count` images, or on all if there are
        fewer.
        """
        key = lambda_, min(count, len(self.images))
        if key in self.points:
            return self.points[key]
        steps = len(self.quantizer.hessians) + 1
        with self.progress.task(f"lambda {lambda_:.1e}", steps) as advance:
            arrays, distortion = self.quantizer.quantize(
                lambda_, count, advance
            )
            point, content = self._measure(arrays, lambda_, distortion)
            advance(bytes=point.bytes, kl=point.kl, agreement=point.agreement)
        self.points[key], self.contents[point] = point, content
        return point

    def train_codes(
        self,
        point: Point,
        content: bytes,
        bound: Bound,
        steps: int,
        lesson: Lesson | None = None,
    ) -> tuple[Point, bytes, list[Point]]:
        """Train the codes of a file, whose `point` the bound admits.

        Without a `lesson`, the images that calibrate are randomly augmented,
        with the outputs of the model as targets. The best point within the
        bound, its file, and all points are returned.
        """
        if lesson:
            batches, loss = lesson.batches(), lesson.loss
        else:
            batches = code_training.batches(self.images, steps, self.seed)
            loss = None
        _, arrays = sqz.load(content)
        trainer = code_training.CodeTrainer(self.original, arrays, steps, loss)
        lambda_, points = point.lambda_, [point]
        with self.progress.task("code training", steps) as advance:
            for count in code_training.portions(steps, CODE_TRAINING_POINTS):
                trainer.train(
                    itertools.islice(batches, count), lambda_, advance
                )
                found, received = self._measure(trainer.arrays(), lambda_)
                points.append(found)
                if bound.admits(found) and bound.objective(
                    found
                ) < bound.objective(point):
                    point, content = found, received
                lambda_ *= bound.lambda_correction(found)
        return point, content, points

    def train_for_size(
        self, target_bytes: int, lesson: Lesson
    ) -> tuple[Point, bytes, list[Point]]:
        """Train the codes of smaller and smaller files, down to a size.

        The best file of that size, its point, and the points of all files are
        returned; the file that was found without training is the first one.
        """
        bound = Bound(target_bytes=target_bytes)
        point, content = self.find(bound, size_training.TOLERANCE)
        _, arrays = sqz.load(content)
        task = size_training.Task(
            models.copy(self.original),
            self.images[: size_training.IMAGES],
            lesson,
            self.measurer,
        )
        if lesson.freezes_front:
            task = size_training.behind_front(
                task, arrays, self.seed, self.progress
            )

        def whole(codes):
            found = {**task.frozen, **codes}
            return {name: found[name] for name in arrays}

        def dump(codes):
            return self._dump(whole(codes))

        points, files = [point], {}
        trainer = size_training.SizeTrainer(
            task, dump, target_bytes, self.seed, self.progress
        )
        for file in trainer.rounds():
            found = Point(
                lambda_=file.lambda_,
                bytes=file.bytes,
                **dataclasses.asdict(task.measure(file.codes)),
            )
            files[len(points)] = file
            points.append(found)
        best = curve.best(list(filter(bound.admits, points)))
        place = points.index(best)
        if place in files:
            # Features are rounded.
            file = files[place]
            point, content = self._measure(whole(file.codes), file.lambda_)
        else:
            point, content = self._finish(bound)
        points[place] = point
        return point, content, points

    def _dump(self, arrays):
        return codec.dump(self.model, arrays=arrays, **self.header)

    def _measure(self, arrays, lambda_, estimated_kl=None):
        """Return the `Point` of quantized weights and the file's content."""
        self.model.set_weights([array.to_array() for array in arrays.values()])
        content = self._dump(arrays)
        point = Point(
            lambda_=lambda_,
            bytes=len(content),
            estimated_kl=estimated_kl,
            **dataclasses.asdict(self.measurer.measure(self.model)),
        )
        logger.debug(
            "lambda %.2g: %d bytes, divergence %.4f nats, agreement %.1f%%",
            lambda_,
            point.bytes,
            point.kl,
            100 * point.agreement,
        )
        return point, content
