"""Post-training rate-distortion quantization of a trained model.

It needs neither training nor labels. The Fisher information, estimated from a
few hundred images, gives the distortion, and each code minimizes distortion +
lambda * bits. A search over lambda finds the smallest file within a bound on
the divergence or the loss of accuracy, or the most accurate one within a bound
on the size.
"""

import dataclasses
import itertools
import logging
import math
import os
from collections.abc import Iterable

import keras
import numpy as np

from keras_squeezenet import architecture
from keras_squeezenet import classifier
from keras_squeezenet import codec
from keras_squeezenet import flattening
from keras_squeezenet import imagenet
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import frequency_tables
from keras_squeezenet.codec import sqz
from keras_squeezenet.data import image_dataset
from keras_squeezenet.packing import calibration
from keras_squeezenet.packing import code_training
from keras_squeezenet.packing import fisher
from keras_squeezenet.packing import image_sets
from keras_squeezenet.packing import measurement
from keras_squeezenet.packing import rate_distortion
from keras_squeezenet.packing import reconstruction
from keras_squeezenet.pretrained import hub
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import files
from keras_squeezenet.utils.backend import require_tensorflow
from keras_squeezenet.utils.progress import Progress

# The default bound on the Kullback-Leibler divergence, in nats.
MAX_KL = 0.02
IMAGES = 500
# More images hardly change the measurements.
MAX_CALIBRATION = 500
# The images that layers are reconstructed on: few in the search for lambda, and
# more for the file, where they take a tenth off the divergence.
SEARCH_IMAGES, FINAL_IMAGES = 64, 256
# How many files are made with `FINAL_IMAGES`, the first at the lambda found.
FINAL_FILES = 2
BATCH_SIZE = 10
# In nats of Kullback-Leibler divergence for each bit.
FIRST_LAMBDA = 1e-7
MIN_LAMBDA, MAX_LAMBDA = 1e-13, 1e-2
LAMBDA_FACTOR = 4
# The search for lambda ends after so many steps between its bounds, or where
# they are so close.
REFINEMENTS = 6
CLOSE = 1.05
# Additional points of the curve, around the chosen lambda, unless one is
# closer to them than this factor.
CURVE_POWERS = (-2, -1, 1, 2)
NEIGHBOR = 2
# How many times code training is measured.
CODE_TRAINING_POINTS = 10

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point(measurement.Measurement):
    """A point of the rate-distortion curve, measured on the validation images.

    Attributes:
        lambda_: the cost of one bit, in nats.
        bytes: the size of the .sqz file.
        estimated_kl: the divergence that the Fisher information predicts, in
            nats; `None` after code training.
    """

    lambda_: float
    bytes: int
    estimated_kl: float | None = None

    def to_json(self) -> dict:
        """Return the fields as JSON-compatible values."""
        values = dataclasses.asdict(self)
        return {"lambda": values.pop("lambda_"), **values}


@dataclasses.dataclass(frozen=True, eq=False)
class PackResult:
    """A packed model and its measurements.

    Attributes:
        content: the .sqz file.
        point: the measurements of the file.
        curve: the points before code training, by increasing size. Each has a
            smaller divergence than those before it.
        code_training: the points during code training, starting with the one
            before it; empty without code training.
        layers: the rate of each kernel.
        images: the number of calibration images.
        validation_images: the number of images that the points are measured on,
            none of which calibrates.
        is_held_out: whether the network was not trained on them either, as far
            as the data tell.
        float32_bytes: the size of the uncompressed weights.
        test: the file measured on the test set, if there is one.
        test_images: the number of its images.
    """

    content: bytes
    point: Point
    curve: list[Point]
    code_training: list[Point]
    layers: list[dict]
    images: int
    validation_images: int
    is_held_out: bool
    float32_bytes: int
    test: measurement.Measurement | None = None
    test_images: int = 0

    @property
    def model(self) -> keras.Model:
        """The packed model, decoded from `content`."""
        return codec.loads(self.content)

    def tested(self, measurer: measurement.Measurer) -> "PackResult":
        """Return the result with measurements on the test set."""
        return dataclasses.replace(
            self,
            test=measurer.measure(self.model),
            test_images=measurer.size,
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write the .sqz file, whole or not at all."""
        with files.new_file(path) as temporary:
            temporary.write_bytes(self.content)

    def to_json(self) -> dict:
        """Return everything but the content as JSON-compatible values."""
        return {
            "float32_bytes": self.float32_bytes,
            "images": self.images,
            "validation_images": self.validation_images,
            "is_held_out": self.is_held_out,
            "test_images": self.test_images,
            "test": self.test and dataclasses.asdict(self.test),
            **self.point.to_json(),
            "layers": self.layers,
            "curve": [point.to_json() for point in self.curve],
            "code_training": [point.to_json() for point in self.code_training],
        }


@dataclasses.dataclass(frozen=True)
class Bound:
    """A bound on the size, the divergence, or the loss; see `pack`."""

    target_bytes: int | None = None
    max_kl: float | None = None
    max_accuracy_drop: float | None = None

    def __post_init__(self):
        given = {k: v for k, v in vars(self).items() if v is not None}
        if len(given) != 1:
            listed = ", ".join(f"{key}={value}" for key, value in given.items())
            raise ValueError(
                "one of `target_bytes`, `max_kl` and `max_accuracy_drop` must "
                f"be given. Received: {listed or 'none'}"
            )

    def __str__(self):
        ((key, value),) = (
            (k, v) for k, v in vars(self).items() if v is not None
        )
        return f"{key}={value}"

    def excess(self, point: Point) -> float:
        """Return how far a point is beyond the bound; not above 0 within it.

        It is a logarithm, or 1 or -1 where accuracy is bounded.
        """
        if self.target_bytes is not None:
            return math.log(point.bytes / max(self.target_bytes, 1))
        if self.max_kl is not None:
            return math.log(max(point.kl, 1e-9) / max(self.max_kl, 1e-9))
        # The difference of two accuracies is rounded.
        allowed = (self.max_accuracy_drop or 0.0) + 1e-9
        return 1.0 if (point.accuracy_drop or 0.0) > allowed else -1.0

    @property
    def tolerance(self) -> float:
        """The `excess` that a file within the bound may fall short of it."""
        return 0.01 if self.target_bytes is not None else 0.1

    def admits(self, point: Point) -> bool:
        """Return whether a point is within the bound."""
        return self.excess(point) <= 0

    def choose(self, curve: list[Point]) -> Point | None:
        """Return the best point of a curve within the bound, if there is one.

        It is the largest one, or the smallest one that is within a bound on
        the distortion together with all larger ones: a single small file may
        be so accurate by chance.
        """
        if self.target_bytes is not None:
            return max(
                filter(self.admits, curve),
                key=lambda point: point.bytes,
                default=None,
            )
        chosen = list(itertools.takewhile(self.admits, reversed(curve)))
        return chosen[-1] if chosen else None

    def objective(self, point: Point) -> float:
        """Return what to minimize among the points within the bound."""
        return point.bytes if self.target_bytes is None else point.kl

    def lambda_correction(self, point: Point) -> float:
        """Return the factor on lambda that moves a point to the bound."""
        if self.target_bytes is not None:
            # Bytes fall by about the eighth root of lambda.
            return math.exp(8 * self.excess(point))
        return math.exp(-self.excess(point) / 2)


@backend.channels_last()
def pack(
    model: "keras.Model | str | os.PathLike",
    data: calibration.Data,
    validation: calibration.Data | None = None,
    *,
    test: calibration.Data | None = None,
    target_bytes: int | None = None,
    max_kl: float | None = None,
    max_accuracy_drop: float | None = None,
    finetune: int = 0,
    images: int = IMAGES,
    seed: int = 0,
    config: "architecture.SqueezeNetConfig | str | None" = None,
    class_names: list[str] | str | None = None,
    normalization: str | None = None,
    provenance: dict | None = None,
    progress: Progress | None = None,
) -> PackResult:
    """Pack a trained model into a small .sqz file.

    Args:
        model: a flat or nested `keras.Model` from images to probabilities,
            which is not changed; the path of a `.keras` model, a `.sqz` file
            or a weights file; the name of pretrained weights such as
            `"imagenet"`; or an address on the hub.
        data: at least 10 images like those that the network will classify,
            to calibrate on. An array of normalized images, float32 of
            shape `(images, height, width, 3)`, alone or in a tuple with
            labels; a `tf.data.Dataset` of batches; a `data.ImageDataset`,
            whose training images are used; the path of a folder of
            photographs, with or without subfolders; or the name of a data set.
        validation: images to measure on, in one of these forms but a path or a
            name; with labels the accuracy is measured too. Defaults to
            `None`: the validation set of an `ImageDataset` of the network's
            classes, or the tenth of its training set that `train` and
            `finetune` set aside with the same `seed`. Of any other data it is
            every fifth image, and the network may have been trained on it.
        test: images to measure the chosen file on once more. Defaults to
            `None`: the test set of such an `ImageDataset`.
        target_bytes: the largest file size. Among the files within it, the
            one with the smallest divergence is chosen.
        max_kl: the largest mean Kullback-Leibler divergence of the outputs,
            in nats, on the validation images. The smallest file within it is
            chosen. Defaults to `0.02` without another bound.
        max_accuracy_drop: how many percentage points of accuracy on the
            validation images, which need labels, may be lost. The smallest
            file within it is chosen.
        finetune: the number of steps of code training, each on a batch of 32
            images.
        images: the largest number of images of `data` to use, evenly spaced.
        seed: the seed of all random numbers.
        config: as `models.load` takes it.
        class_names: as `codec.save` takes `labels`. Defaults to the names
            saved with the model, or `codec.IMAGENET` for 1,000 outputs without
            names.
        normalization: as in `training.train`.
        provenance: as `codec.save` takes it. Defaults to the names of the
            model and the data, where they have one.
        progress: what shows the progress. Defaults to `None`: nothing does.

    Raises:
        ValueError: if several bounds are given, no file is within the bound,
            or the accuracy is bounded and the validation images have no labels.

    Example:

    >>> packed = packing.pack("imagenet", "photographs/", max_kl=0.02)
    >>> packed.save("squeezenet.sqz")
    """
    if target_bytes is None and max_accuracy_drop is None and max_kl is None:
        max_kl = MAX_KL
    bound = Bound(target_bytes, max_kl, max_accuracy_drop)
    require_tensorflow("Packing")
    progress = progress or Progress()
    source = model
    if hub.is_address(model):
        located = hub.locate(model)
        model, source = located.path, located.name
    loaded = flattening.flatten(
        models.load(model, config=config, normalization=normalization)
    )
    network = classifier.load(model, loaded=loaded)
    if network.thresholds:
        raise ValueError(
            "packing takes networks of one label for an image, which end with "
            f"a softmax. Received: {network.name!r}, which ends with a sigmoid"
        )
    if isinstance(class_names, list):
        metadata.require_order(
            metadata.of(loaded), class_names, "`class_names`"
        )
    with progress.task("load images", None):
        sets = image_sets.load(
            data,
            validation,
            test,
            network,
            images,
            seed,
            is_stated=normalization is not None,
        )
    with progress.task("measure", None):
        measurer = measurement.Measurer(
            loaded, sets.validation, sets.is_held_out
        )
    packer = Packer(
        loaded,
        sets.calibration,
        _saved_names(network) if class_names is None else class_names,
        _provenance(source, data) if provenance is None else provenance,
        seed,
        progress,
        measurer,
    )
    packed = packer.pack(bound, finetune)
    if sets.test is None:
        return packed
    with progress.task("test", None):
        return packed.tested(measurement.Measurer(loaded, sets.test))


def _saved_names(network):
    if network.classes == imagenet.imagenet_classes():
        return codec.IMAGENET
    return [name for _, name in network.classes] or None


def _provenance(source, data):
    found = {}
    if hub.is_address(source):
        found["packed_from"] = source
    elif not isinstance(source, keras.Model):
        found["packed_from"] = os.path.basename(source)
    if isinstance(data, str | os.PathLike):
        found["calibration"] = os.path.basename(os.path.normpath(data))
    elif isinstance(data, image_dataset.ImageDataset):
        found["calibration"] = data.name
    return found


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
        batches = image_sets.in_batches(
            calibration.subset(images, MAX_CALIBRATION), BATCH_SIZE
        )
        with self.progress.task("Fisher information", len(batches)) as advance:
            self.hessians = fisher.measure(model, batches, seed, advance)
        self.quantizers = {
            name: rate_distortion.LayerQuantizer(
                _matrix(model.get_layer(name).get_weights()[0]), hessian
            )
            for name, hessian in self.hessians.items()
        }
        # Points by lambda and number of images, and files by point.
        self.points, self.contents = {}, {}

    def pack(self, bound: Bound, steps: int = 0) -> PackResult:
        """Return the best file within a bound, after `steps` of code training.

        Raises:
            ValueError: if no file is within the bound.
        """
        if bound.max_accuracy_drop is not None and self.measurer.labels is None:
            raise ValueError(
                "`max_accuracy_drop` needs validation images with labels. "
                f"Received: {bound}, without labels; give `validation` images "
                "and their labels, or bound `max_kl`"
            )
        point, _ = self.find(bound)
        self._add_neighbors(point.lambda_)
        self._refine(bound)
        point = self._choose(bound)
        content = self.contents[point]
        trained = []
        if steps:
            point, content, trained = self.train_codes(
                point, content, bound, steps
            )
        return PackResult(
            content=content,
            point=point,
            curve=front(self.points.values()),
            code_training=trained,
            layers=_layers(content),
            images=len(self.images),
            validation_images=self.measurer.size,
            is_held_out=self.measurer.is_held_out,
            float32_bytes=4 * self.original.count_params(),
        )

    def find(self, bound: Bound) -> tuple[Point, bytes]:
        """Return the best file that the search finds within a bound.

        `pack` also fits its layers on more images.

        Raises:
            ValueError: if no file is within the bound.
        """
        self._search(bound)
        point = self._choose(bound)
        return point, self.contents[point]

    def _choose(self, bound):
        curve = front(self.points.values())
        chosen = bound.choose(curve)
        if chosen is None:
            raise ValueError(
                f"no file is within {bound}: the files have "
                f"{curve[0].bytes:,} to {curve[-1].bytes:,} bytes and "
                f"divergences of {curve[0].kl:.3g} to {curve[-1].kl:.3g} nats. "
                "Choose a bound in this range"
            )
        return chosen

    def _add_neighbors(self, chosen):
        """Evaluate lambdas around the chosen one, for the curve."""
        for power in CURVE_POWERS:
            lambda_ = chosen * LAMBDA_FACTOR**power
            ratios = (lambda_ / known for known, _ in self.points)
            if lambda_ <= MAX_LAMBDA and not any(
                1 / NEIGHBOR < ratio < NEIGHBOR for ratio in ratios
            ):
                self._evaluate(lambda_)

    def _search(self, bound):
        """Evaluate lambdas until a file is just within the bound."""
        # Larger lambdas make smaller files with a larger distortion.
        sign = 1 if bound.target_bytes is not None else -1

        def height(lambda_):
            """Return a number that falls with lambda, to 0 at the bound."""
            return sign * bound.excess(self._evaluate(lambda_))

        low = high = FIRST_LAMBDA
        while height(low) <= 0:
            if low <= MIN_LAMBDA:
                return
            low, high = low / LAMBDA_FACTOR, low
        while height(high) > 0:
            if high >= MAX_LAMBDA:
                return
            low, high = high, high * LAMBDA_FACTOR
        # The middle of what is close enough.
        aim = -sign * bound.tolerance / 2
        for _ in range(REFINEMENTS):
            within = high if sign > 0 else low
            if abs(height(within)) <= bound.tolerance or high / low < CLOSE:
                return
            above, below = height(low) - aim, height(high) - aim
            share = min(max(above / (above - below), 0.1), 0.9)
            middle = low * (high / low) ** share
            if height(middle) > 0:
                low = middle
            else:
                high = middle

    def _refine(self, bound):
        """Evaluate the chosen lambda with more images, and one closer to it."""
        lambda_ = self._choose(bound).lambda_
        for _ in range(FINAL_FILES):
            point = self._evaluate(lambda_, FINAL_IMAGES)
            if -bound.tolerance <= bound.excess(point) <= 0:
                return
            lambda_ *= bound.lambda_correction(point)
            if not MIN_LAMBDA <= lambda_ <= MAX_LAMBDA:
                return

    def _evaluate(self, lambda_, count=SEARCH_IMAGES):
        """Quantize the model at a lambda and return its `Point`.

        The layers are reconstructed on `count` images, or on all if there are
        fewer.
        """
        key = lambda_, min(count, len(self.images))
        if key in self.points:
            return self.points[key]
        arrays, distortion = {}, 0.0

        def quantize(name, weights, fit_bias):
            nonlocal distortion
            result = self.quantizers[name].quantize(lambda_, _matrix(weights))
            distortion += float(result.distortion)
            advance(distortion=distortion)
            kernel = arrays[f"{name}/kernel"] = encodings.UniformArray(
                result.codes.reshape(weights.shape), result.step
            )
            bias = fit_bias(kernel.to_array())
            if bias is None:
                return kernel.to_array(), None
            bias = _quantize_bias(bias, self.hessians[name], lambda_)
            arrays[f"{name}/bias"] = bias
            return kernel.to_array(), bias.to_array()

        steps = len(self.quantizers) + 1
        with self.progress.task(f"lambda {lambda_:.1e}", steps) as advance:
            images = calibration.subset(self.images, count)
            reconstruction.run(self.original, images, quantize)
            point, content = self._measure(arrays, lambda_, distortion)
            advance(bytes=point.bytes, kl=point.kl, agreement=point.agreement)
        self.points[key], self.contents[point] = point, content
        return point

    def train_codes(
        self, point: Point, content: bytes, bound: Bound, steps: int
    ) -> tuple[Point, bytes, list[Point]]:
        """Train the codes of a file, whose `point` the bound admits.

        There are at least `CODE_TRAINING_POINTS` steps. The best point within
        the bound, its file, and all points are returned.
        """
        _, arrays = sqz.load(content)
        trainer = code_training.CodeTrainer(
            self.original, self.model, arrays, steps
        )
        batches = code_training.batches(self.images, steps, self.seed)
        lambda_, points = point.lambda_, [point]
        with self.progress.task("code training", steps) as advance:
            ends = np.arange(CODE_TRAINING_POINTS + 1) * steps
            for count in np.diff(ends // CODE_TRAINING_POINTS).tolist():
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

    def _measure(self, arrays, lambda_, estimated_kl=None):
        """Return the `Point` of quantized weights and the file's content."""
        self.model.set_weights([array.to_array() for array in arrays.values()])
        content = codec.dump(self.model, arrays=arrays, **self.header)
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


def front(points: Iterable[Point]) -> list[Point]:
    """Return the points that no other one beats, by increasing size.

    Another one beats a point if it is no larger and no more distorted.
    """
    found = []
    for point in sorted(points, key=lambda point: (point.bytes, point.kl)):
        if not found or point.kl < found[-1].kl:
            found.append(point)
    return found


def _matrix(kernel):
    return kernel.reshape(-1, kernel.shape[-1])


def _quantize_bias(bias, hessian, lambda_):
    curvature = hessian.inputs[-1, -1] * hessian.outputs.mean()
    step = rate_distortion.high_rate_step(lambda_, max(curvature, 1e-300))
    # A larger step keeps the codes in range.
    step = max(step, 2 * rate_distortion.min_step(bias))
    # Without curvature the step would be infinite.
    step = min(step, max(4 * float(np.abs(bias).max()), 1.0))
    # A power of two takes few bytes; the next lower one costs little accuracy.
    step = 2.0 ** math.floor(math.log2(step))
    return encodings.UniformArray(np.rint(bias / step).astype("int64"), step)


def _layers(content):
    _, arrays = sqz.load(content)
    kernels = {
        name.removesuffix("/kernel"): array
        for name, array in arrays.items()
        if name.endswith("/kernel")
    }
    return [
        {
            "name": name,
            "weights": array.codes.size,
            "density": float(np.mean(array.codes != 0)),
            "distinct_values": len(np.unique(array.codes)),
            "step": array.step,
            "entropy_bytes": rate_distortion.entropy(array.codes) / 8,
            "bytes": frequency_tables.cost(array.codes),
        }
        for name, array in kernels.items()
    ]
