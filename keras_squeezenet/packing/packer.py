"""The smallest file of a trained model: codes chosen by what they cost.

No training and no labels: images tell how much each weight matters, and each
code minimises the harm that it does plus the bits that it takes.
"""

import dataclasses
import itertools
import math

import keras
import numpy as np

from keras_squeezenet import codec
from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import sqz
from keras_squeezenet.codec import streams
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.packing import code_training
from keras_squeezenet.packing import fisher
from keras_squeezenet.packing import rate_distortion
from keras_squeezenet.packing import reconstruction
from keras_squeezenet.utils.progress import Progress

# Of the images every fifth one is kept to measure on.
HELD_OUT = 5
MIN_IMAGES = 2 * HELD_OUT
# More add little to what is measured on them.
MAX_HELD_OUT, MAX_CALIBRATION, MAX_REFIT = 500, 500, 64
BATCH_SIZE = 10
# Harm for a bit, in nats of an image's Kullback-Leibler divergence.
FIRST_TRADE_OFF = 1e-7
LOWEST, HIGHEST = 1e-13, 1e-2
WIDTH = 4
HALVINGS = 6
CURVE_POWERS = (-2, -1, 1, 2)
# How often training is looked at.
FINETUNE_LOOKS = 10
# Biases are few, and a finer step for them is cheap.
BIAS_STEP = 0.5


@dataclasses.dataclass(frozen=True)
class Point:
    """A size, and what it does to the network.

    Args:
        trade_off: float, the harm that a bit was worth.
        bytes: int, of the .sqz file.
        kl: float, the mean Kullback-Leibler divergence of the outputs on the
            images that were kept to measure on, in nats.
        agreement: float, the share of these with the same most probable class.
        predicted_kl: float, the harm by the importance of the weights, in
            nats; `None` after training.
    """

    trade_off: float
    bytes: int
    kl: float
    agreement: float
    predicted_kl: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Packed:
    """What `pack` chose.

    Args:
        content: bytes of the .sqz file.
        point: `Point`, the chosen one.
        curve: list of every `Point` without training that was looked at, the
            smallest first.
        finetuning: list of every `Point` of the training, from the one that
            it began with on; empty without.
        layers: list of dicts, what each kernel takes.
        held_out: int, how many images were kept to measure on.
    """

    content: bytes
    point: Point
    curve: list
    finetuning: list
    layers: list
    held_out: int


@dataclasses.dataclass(frozen=True)
class Bound:
    """What a file has to keep to: one of a size and a divergence.

    Args:
        target_bytes, max_kl: as `pack` takes them.
    """

    target_bytes: int | None = None
    max_kl: float | None = None

    def __post_init__(self):
        if (self.target_bytes is None) == (self.max_kl is None):
            raise ValueError(
                "one of `target_bytes` and `max_kl` is expected. Received: "
                f"target_bytes={self.target_bytes}, max_kl={self.max_kl}"
            )

    def __str__(self):
        if self.max_kl is None:
            return f"target_bytes={self.target_bytes}"
        return f"max_kl={self.max_kl}"

    def keeps(self, point):
        """Returns whether a point is within the bound."""
        if self.max_kl is None:
            return point.bytes <= self.target_bytes
        return point.kl <= self.max_kl

    def cost(self, point):
        """Returns what should be least of a point that is within it."""
        return point.kl if self.max_kl is None else point.bytes

    def correction(self, point):
        """Returns by how much more a bit should be worth to come closer."""
        if self.max_kl is None:
            # Bytes fall by about the eighth root of the trade-off.
            return (point.bytes / self.target_bytes) ** 8
        return math.sqrt(self.max_kl / max(point.kl, 1e-9))


def pack(
    model,
    images,
    target_bytes=None,
    max_kl=None,
    labels=None,
    provenance=None,
    finetune_steps=0,
    seed=0,
    progress=None,
):
    """Makes the .sqz file of a model, its weights as small as is asked for.

    Args:
        model: `keras.Model`, as `graph.describe` takes it, from images to
            probabilities. It stays as it is.
        images: float32 array of preprocessed images, of shape `(images,
            height, width, 3)`, at least 10. Labels are not needed.
        target_bytes: int, the most that the file may have. The least harm
            that fits is chosen.
        max_kl: float, the largest mean Kullback-Leibler divergence of the
            outputs, in nats, on every fifth of the images, which nothing else
            is done with. The fewest bytes that keep to it are chosen.
        labels, provenance: as `codec.save` takes them.
        finetune_steps: int, for how many batches of the images the codes are
            trained after they are chosen, see `finetune`. Defaults to `0`.
        seed: int, of the labels that are drawn from the outputs, and of the
            training. Defaults to `0`.
        progress: `Progress`. Defaults to a silent one.

    Returns:
        A `Packed`.

    Raises:
        ValueError: unless one of the two bounds is given, and can be kept.
    """
    bound = Bound(target_bytes, max_kl)
    packer = Packer(model, images, labels, provenance, seed, progress)
    return packer.pack(bound, finetune_steps)


class Packer:
    """Does what `pack` does, for one bound after another.

    Args:
        model, images, labels, provenance, seed, progress: as `pack` takes
            them.
    """

    def __init__(
        self,
        model,
        images,
        labels=None,
        provenance=None,
        seed=0,
        progress=None,
    ):
        if len(images) < MIN_IMAGES:
            raise ValueError(
                f"at least {MIN_IMAGES} images are expected to calibrate on. "
                f"Received: {len(images)}"
            )
        held = np.arange(len(images)) % HELD_OUT == HELD_OUT - 1
        self.original = model
        self.model = keras.models.clone_model(model)
        self.header = {"labels": labels, "provenance": provenance}
        self.seed = seed
        self.progress = progress or Progress()
        self.weights = {
            layer.name: layer.get_weights()
            for layer in model.layers
            if layer.weights
        }
        self.held = _some(images[held], MAX_HELD_OUT)
        self.images = images[~held]
        self.refit_images = _some(self.images, MAX_REFIT)
        self.outputs = _predict(model, self.held)
        calibration = _batches(_some(self.images, MAX_CALIBRATION))
        task = self.progress.task("measure importance", len(calibration))
        with task as advance:
            self.importance = fisher.measure(model, calibration, seed, advance)
        self.layers = {
            name: rate_distortion.Layer(
                kernel.reshape(-1, kernel.shape[-1]), self.importance[name]
            )
            for name, (kernel, *_) in self.weights.items()
        }
        # By trade-off.
        self.points, self.contents = {}, {}

    def pack(self, bound, finetune_steps=0):
        """Does what `pack` does.

        Args:
            bound: `Bound`.
            finetune_steps: as `pack` takes it.
        """
        found = self.search(bound)
        # What else there would be to have.
        for power in CURVE_POWERS if found is not None else ():
            self.look(found * WIDTH**power)
        curve = sorted(self.points.values(), key=lambda point: point.bytes)
        if found is None:
            raise ValueError(
                f"no codes keep to {bound}: they take {curve[0].bytes:,} to "
                f"{curve[-1].bytes:,} bytes, at divergences of "
                f"{curve[0].kl:.3g} to {curve[-1].kl:.3g}"
            )
        point, content = self.points[found], self.contents[found]
        finetuning = []
        if finetune_steps:
            point, content, finetuning = self.finetune(
                point, content, bound, finetune_steps
            )
        return Packed(
            content,
            point,
            curve,
            finetuning,
            _layers(content),
            len(self.held),
        )

    def search(self, bound):
        """Returns the trade-off that keeps to a bound at the least cost.

        `None` if there is none.
        """
        # Of sizes those above the one that is looked for keep to the bound, of
        # divergences those below.
        smallest = bound.max_kl is None

        def is_above(trade_off):
            return bound.keeps(self.look(trade_off)) == smallest

        low = high = FIRST_TRADE_OFF
        if is_above(FIRST_TRADE_OFF):
            while low > LOWEST:
                low /= WIDTH
                if not is_above(low):
                    break
                high = low
            else:
                return high if smallest else None
        else:
            while high < HIGHEST:
                high *= WIDTH
                if is_above(high):
                    break
                low = high
            else:
                return None if smallest else low
        for _ in range(HALVINGS):
            middle = math.sqrt(low * high)
            if is_above(middle):
                high = middle
            else:
                low = middle
        return high if smallest else low

    def look(self, trade_off):
        """Returns the `Point` of a trade-off."""
        if trade_off not in self.points:
            coder = _Coder(self.layers, self.importance, trade_off)
            label = f"code at {trade_off:.1e}"
            with self.progress.task(label, len(self.layers)) as coder.advance:
                reconstruction.run(self.original, self.refit_images, coder)
            self.points[trade_off], self.contents[trade_off] = self.measure(
                coder.arrays, trade_off, coder.harm
            )
        return self.points[trade_off]

    def finetune(self, point, content, bound, steps):
        """Trains codes, and chooses the best within a bound.

        Args:
            point: `Point` that keeps to the bound.
            content: bytes of its file.
            bound: `Bound`.
            steps: int, at least `FINETUNE_LOOKS`.

        Returns:
            `(point, content, points)`: the chosen one, its file, and all.
        """
        _, arrays = sqz.load(content)
        tuner = code_training.Tuner(self.original, self.model, arrays, steps)
        batches = code_training.batches(self.images, steps, self.seed)
        trade_off, points = point.trade_off, [point]
        with self.progress.task("finetune", steps) as advance:
            for look in range(FINETUNE_LOOKS):
                count = (look + 1) * steps // FINETUNE_LOOKS
                count -= look * steps // FINETUNE_LOOKS
                tuner.train(
                    itertools.islice(batches, count), trade_off, advance
                )
                found, received = self.measure(tuner.arrays(), trade_off)
                points.append(found)
                if bound.keeps(found) and bound.cost(found) < bound.cost(point):
                    point, content = found, received
                trade_off *= bound.correction(found)
        return point, content, points

    def measure(self, arrays, trade_off, predicted_kl=None):
        """Returns the `Point` of coded weights, and their file's content."""
        for name, weights in self.weights.items():
            parts = ("kernel", "bias")[: len(weights)]
            self.model.get_layer(name).set_weights(
                [arrays[f"{name}/{part}"].to_array() for part in parts]
            )
        received = _predict(self.model, self.held)
        content = codec.dump(self.model, arrays=arrays, **self.header)
        point = Point(
            trade_off=trade_off,
            bytes=len(content),
            kl=metrics.divergence(self.outputs, received),
            agreement=metrics.compare(self.outputs, received).agreement,
            predicted_kl=predicted_kl,
        )
        return point, content


class _Coder:
    """Quantizes each layer for `reconstruction.run` and keeps the codes."""

    def __init__(self, layers, importance, trade_off):
        self.layers, self.importance = layers, importance
        self.trade_off = trade_off
        self.arrays, self.harm = {}, 0.0

    def __call__(self, name, weights, fit_bias):
        result = self.layers[name].quantize(
            self.trade_off, weights.reshape(-1, weights.shape[-1])
        )
        self.harm += float(result.harm)
        self.advance(harm=self.harm)
        codes = result.codes.reshape(weights.shape)
        kernel = self._add(
            name, "kernel", encodings.Stepped(codes, result.step)
        )
        bias = fit_bias(kernel)
        if bias is None:
            return kernel, None
        bias = _code_bias(bias, self.importance[name], self.trade_off)
        return kernel, self._add(name, "bias", bias)

    def _add(self, name, part, array):
        self.arrays[f"{name}/{part}"] = array
        return array.to_array()


def _predict(model, images):
    return np.concatenate(
        [model.predict_on_batch(batch) for batch in _batches(images)]
    )


def spread(count, most):
    """Returns at most so many of the numbers below `count`, evenly spread."""
    chosen = min(count, most)
    return np.linspace(0, count, chosen, endpoint=False).astype(int)


def _some(images, most):
    return images[spread(len(images), most)]


def _code_bias(bias, found, trade_off):
    """Multiples of a power of two, as fine as the trade-off asks for."""
    harm = max(found.hessian[-1, -1] * found.rows.mean(), 1e-300)
    step = BIAS_STEP * math.sqrt(12 * trade_off / (harm * math.log(2)))
    # Not so fine that a code would be out of range.
    step = max(step, 2 * rate_distortion.least_step(bias))
    # Nor without end, where nothing matters: all codes are 0 by then.
    step = min(step, max(4 * float(np.abs(bias).max()), 1.0))
    step = 2.0 ** math.floor(math.log2(step))
    return encodings.Stepped(np.rint(bias / step).astype("int64"), step)


def _batches(images):
    return [
        images[begin : begin + BATCH_SIZE]
        for begin in range(0, len(images), BATCH_SIZE)
    ]


def _layers(content):
    """What each kernel takes, beside its entropy."""
    _, arrays = sqz.load(content)
    kernels = {
        name.removesuffix("/kernel"): array
        for name, array in arrays.items()
        if name.endswith("/kernel")
    }
    sizes = streams.sizes([array.codes for array in kernels.values()])
    return [
        {
            "name": name,
            "weights": array.codes.size,
            "density": float(np.mean(array.codes != 0)),
            "distinct_values": len(np.unique(array.codes)),
            "step": array.step,
            "entropy_bytes": rate_distortion.entropy(array.codes) / 8,
            "bytes": size,
        }
        for (name, array), size in zip(kernels.items(), sizes)
    ]
