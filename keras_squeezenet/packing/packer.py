"""Post-training rate-distortion quantization of a trained model.

It needs neither training nor labels. The Fisher information, estimated from a
few hundred images, gives the distortion, and each code minimizes distortion +
lambda * bits. A search over lambda finds the smallest file within a bound on
the divergence, or the most accurate one within a bound on the size.
"""

import dataclasses
import itertools
import logging
import math
import os

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
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.packing import calibration
from keras_squeezenet.packing import code_training
from keras_squeezenet.packing import fisher
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
# Every fifth image is a validation image.
VALIDATION_EVERY = 5
MIN_IMAGES = 2 * VALIDATION_EVERY
# More images hardly change the measurements.
MAX_VALIDATION, MAX_CALIBRATION, MAX_RECONSTRUCTION = 500, 500, 64
BATCH_SIZE = 10
# In nats of Kullback-Leibler divergence for each bit.
FIRST_LAMBDA = 1e-7
MIN_LAMBDA, MAX_LAMBDA = 1e-13, 1e-2
LAMBDA_FACTOR = 4
BISECTIONS = 6
# Additional points of the curve, around the chosen lambda.
CURVE_POWERS = (-2, -1, 1, 2)
# How many times code training is measured.
CODE_TRAINING_POINTS = 10
# The step size of biases relative to the optimal one: biases are few, and a
# finer step is cheap.
BIAS_STEP = 0.5

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Point:
    """A point of the rate-distortion curve.

    Attributes:
        lambda_: the cost of one bit, in nats.
        bytes: the size of the .sqz file.
        kl: the mean Kullback-Leibler divergence of the outputs on the
            validation images, in nats.
        agreement: the share of the validation images whose most probable
            class is unchanged.
        estimated_kl: the divergence that the Fisher information predicts, in
            nats; `None` after code training.
    """

    lambda_: float
    bytes: int
    kl: float
    agreement: float
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
        curve: the points before code training, by increasing size.
        code_training: the points during code training, starting with the one
            before it; empty without code training.
        layers: the rate of each kernel.
        images: the number of images used.
        validation_images: how many of them the points are measured on.
        float32_bytes: the size of the uncompressed weights.
    """

    content: bytes
    point: Point
    curve: list[Point]
    code_training: list[Point]
    layers: list[dict]
    images: int
    validation_images: int
    float32_bytes: int

    @property
    def model(self) -> keras.Model:
        """The packed model, decoded from `content`."""
        return codec.loads(self.content)

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
            **self.point.to_json(),
            "layers": self.layers,
            "curve": [point.to_json() for point in self.curve],
            "code_training": [point.to_json() for point in self.code_training],
        }


@dataclasses.dataclass(frozen=True)
class Bound:
    """A bound on either the file size or the divergence; see `pack`."""

    target_bytes: int | None = None
    max_kl: float | None = None

    def __post_init__(self):
        if (self.target_bytes is None) == (self.max_kl is None):
            raise ValueError(
                "one of `target_bytes` and `max_kl` must be given, not both. "
                f"Received: target_bytes={self.target_bytes}, "
                f"max_kl={self.max_kl}"
            )

    def __str__(self):
        if self.max_kl is None:
            return f"target_bytes={self.target_bytes}"
        return f"max_kl={self.max_kl}"

    def admits(self, point: Point) -> bool:
        """Return whether a point is within the bound."""
        if self.max_kl is None:
            return point.bytes <= (self.target_bytes or 0)
        return point.kl <= self.max_kl

    def objective(self, point: Point) -> float:
        """Return what to minimize among the points within the bound."""
        return point.kl if self.max_kl is None else point.bytes

    def lambda_correction(self, point: Point) -> float:
        """Return the factor on lambda that moves a point to the bound."""
        if self.max_kl is None:
            # Bytes fall by about the eighth root of lambda.
            return (point.bytes / (self.target_bytes or 1)) ** 8
        return math.sqrt(self.max_kl / max(point.kl, 1e-9))


@backend.channels_last()
def pack(
    model: "keras.Model | str | os.PathLike",
    data: calibration.Data,
    *,
    target_bytes: int | None = None,
    max_kl: float | None = None,
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
        data: at least 10 images like those that the network will classify;
            labels are ignored. An array of normalized images, float32 of
            shape `(images, height, width, 3)`, alone or in a tuple with
            labels; a `tf.data.Dataset` of batches; a `data.ImageDataset`,
            whose training images are used; the path of a folder of
            photographs, with or without subfolders; or the name of a data set.
        target_bytes: the largest file size. Among the files within it, the
            one with the smallest divergence is chosen.
        max_kl: the largest mean Kullback-Leibler divergence of the outputs,
            in nats, on the validation images (every fifth one). The smallest
            file within it is chosen. Defaults to `0.02` without
            `target_bytes`.
        finetune: the number of steps of code training, each on a batch of 32
            images.
        images: the largest number of images to use, evenly spaced in the data.
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
        ValueError: if both bounds are given, or no file is within the bound.

    Example:

    >>> packed = packing.pack("imagenet", "photographs/", max_kl=0.02)
    >>> packed.save("squeezenet.sqz")
    """
    if target_bytes is None and max_kl is None:
        max_kl = MAX_KL
    bound = Bound(target_bytes, max_kl)
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
    if isinstance(class_names, list):
        metadata.require_order(
            metadata.of(loaded), class_names, "`class_names`"
        )
    with progress.task("load images", None):
        arrays = calibration.load_images(
            data, network, images, seed, is_stated=normalization is not None
        )
    packer = Packer(
        loaded,
        arrays,
        _saved_names(network) if class_names is None else class_names,
        _provenance(source, data) if provenance is None else provenance,
        seed,
        progress,
    )
    return packer.pack(bound, finetune)


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
        images: float32 array of preprocessed images, all of which are used.
        class_names, provenance, seed, progress: as `pack` takes them.
    """

    def __init__(
        self,
        model: keras.Model,
        images: np.ndarray,
        class_names: list[str] | str | None = None,
        provenance: dict | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ):
        if len(images) < MIN_IMAGES:
            raise ValueError(
                f"the data must have at least {MIN_IMAGES} images. Received: "
                f"{len(images)} images; add some, labels are not needed"
            )
        is_validation = (
            np.arange(len(images)) % VALIDATION_EVERY == VALIDATION_EVERY - 1
        )
        self.original = model
        self.model = models.copy(model)
        self.header = {"labels": class_names, "provenance": provenance}
        self.seed = seed
        self.progress = progress or Progress()
        self.image_count = len(images)
        self.validation = calibration.subset(
            images[is_validation], MAX_VALIDATION
        )
        self.images = images[~is_validation]
        self.outputs = _predict(model, self.validation)
        batches = _batches(calibration.subset(self.images, MAX_CALIBRATION))
        with self.progress.task("Fisher information", len(batches)) as advance:
            self.hessians = fisher.measure(model, batches, seed, advance)
        self.quantizers = {
            name: rate_distortion.LayerQuantizer(
                _matrix(model.get_layer(name).get_weights()[0]), hessian
            )
            for name, hessian in self.hessians.items()
        }
        # Lambda is the key of both.
        self.points, self.contents = {}, {}

    def pack(self, bound: Bound, steps: int = 0) -> PackResult:
        """Return the best file within a bound, after `steps` of code training.

        Raises:
            ValueError: if no file is within the bound.
        """
        lambda_ = self._search(bound)
        if lambda_ is not None:
            for power in CURVE_POWERS:
                self._evaluate(lambda_ * LAMBDA_FACTOR**power)
        curve = sorted(self.points.values(), key=lambda point: point.bytes)
        if lambda_ is None:
            raise ValueError(
                f"no file is within {bound}: the files have "
                f"{curve[0].bytes:,} to {curve[-1].bytes:,} bytes and "
                f"divergences of {curve[0].kl:.3g} to {curve[-1].kl:.3g} nats. "
                "Choose a bound in this range"
            )
        point, content = self.points[lambda_], self.contents[lambda_]
        trained = []
        if steps:
            point, content, trained = self.train_codes(
                point, content, bound, steps
            )
        return PackResult(
            content=content,
            point=point,
            curve=curve,
            code_training=trained,
            layers=_layers(content),
            images=self.image_count,
            validation_images=len(self.validation),
            float32_bytes=4 * self.original.count_params(),
        )

    def _search(self, bound):
        """Return the best lambda within a bound, or `None`."""
        # Larger lambdas make smaller files: a bound on the size admits the
        # lambdas above the result, a bound on the divergence those below it.
        smallest = bound.max_kl is None

        def is_above(lambda_):
            return bound.admits(self._evaluate(lambda_)) == smallest

        low = high = FIRST_LAMBDA
        while is_above(low):
            if low <= MIN_LAMBDA:
                return low if smallest else None
            low, high = low / LAMBDA_FACTOR, low
        while not is_above(high):
            if high >= MAX_LAMBDA:
                return None if smallest else high
            low, high = high, high * LAMBDA_FACTOR
        for _ in range(BISECTIONS):
            middle = math.sqrt(low * high)
            if is_above(middle):
                high = middle
            else:
                low = middle
        return high if smallest else low

    def _evaluate(self, lambda_):
        """Quantize the model at a lambda and return its `Point`."""
        if lambda_ in self.points:
            return self.points[lambda_]
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
            images = calibration.subset(self.images, MAX_RECONSTRUCTION)
            reconstruction.run(self.original, images, quantize)
            point, content = self._measure(arrays, lambda_, distortion)
            advance(bytes=point.bytes, kl=point.kl)
        self.points[lambda_], self.contents[lambda_] = point, content
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
        received = _predict(self.model, self.validation)
        content = codec.dump(self.model, arrays=arrays, **self.header)
        point = Point(
            lambda_=lambda_,
            bytes=len(content),
            kl=metrics.divergence(self.outputs, received),
            agreement=metrics.compare(self.outputs, received).agreement,
            estimated_kl=estimated_kl,
        )
        logger.debug(
            "lambda %.2g: %d bytes, divergence %.4f nats, agreement %.1f%%",
            lambda_,
            point.bytes,
            point.kl,
            100 * point.agreement,
        )
        return point, content


def _matrix(kernel):
    return kernel.reshape(-1, kernel.shape[-1])


def _quantize_bias(bias, hessian, lambda_):
    curvature = hessian.inputs[-1, -1] * hessian.outputs.mean()
    step = BIAS_STEP * rate_distortion.high_rate_step(
        lambda_, max(curvature, 1e-300)
    )
    # A larger step keeps the codes in range.
    step = max(step, 2 * rate_distortion.min_step(bias))
    # Without curvature the step would be infinite.
    step = min(step, max(4 * float(np.abs(bias).max()), 1.0))
    step = 2.0 ** math.floor(math.log2(step))
    return encodings.UniformArray(np.rint(bias / step).astype("int64"), step)


def _predict(model, images):
    return np.concatenate(list(map(model.predict_on_batch, _batches(images))))


def _batches(images):
    return np.split(images, range(BATCH_SIZE, len(images), BATCH_SIZE))


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
