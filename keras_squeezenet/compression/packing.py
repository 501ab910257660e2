"""The smallest file of a trained model: codes chosen by what they cost.

No training and no labels: images tell how much each weight matters, and each
code minimises the harm that it does plus the bits that it takes.
"""

import dataclasses
import math

import keras
import numpy as np

from keras_squeezenet import codec
from keras_squeezenet.codec import arrays as forms
from keras_squeezenet.codec import rate_distortion
from keras_squeezenet.codec import sqz
from keras_squeezenet.codec import streams
from keras_squeezenet.compression import importance
from keras_squeezenet.compression import refit
from keras_squeezenet.progress import Progress

# Of the images every fifth one is kept to measure on.
HELD_OUT = 5
MIN_IMAGES = 2 * HELD_OUT
BATCH_SIZE = 10
REFIT_IMAGES = 64
# Harm for a bit, in nats of an image's Kullback-Leibler divergence.
FIRST_TRADE_OFF = 1e-7
LOWEST, HIGHEST = 1e-13, 1e-2
WIDTH = 4
HALVINGS = 6
CURVE_POWERS = (-2, -1, 1, 2)
# Biases are few, and a finer step for them is cheap.
BIAS_STEP = 0.5


@dataclasses.dataclass(frozen=True)
class Point:
    """A size, and what it does to the network.

    Args:
        trade_off: float, the harm that a bit was worth.
        bytes: int, of the .sqz file.
        predicted_kl: float, the harm by the importance of the weights, in
            nats.
        kl: float, the mean Kullback-Leibler divergence of the outputs on the
            images that were kept to measure on, in nats.
        agreement: float, the share of these with the same most probable class.
    """

    trade_off: float
    bytes: int
    predicted_kl: float
    kl: float
    agreement: float


@dataclasses.dataclass(frozen=True, eq=False)
class Packed:
    """What `pack` chose.

    Args:
        content: bytes of the .sqz file.
        point: `Point`, the chosen one.
        curve: list of every `Point` that was looked at, the smallest first.
        layers: list of dicts, what each kernel takes.
    """

    content: bytes
    point: Point
    curve: list
    layers: list


def pack(
    model,
    images,
    target_bytes=None,
    max_kl=None,
    labels=None,
    provenance=None,
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
        seed: int, of the labels that are drawn from the outputs. Defaults to
            `0`.
        progress: `Progress`. Defaults to a silent one.

    Returns:
        A `Packed`.

    Raises:
        ValueError: unless one of the two bounds is given, and can be kept.
    """
    _require_one(target_bytes, max_kl)
    packer = Packer(model, images, labels, provenance, seed, progress)
    return packer.pack(target_bytes, max_kl)


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
        self.model = keras.models.clone_model(model)
        self.model.set_weights(model.get_weights())
        self.original = model
        chosen = min(REFIT_IMAGES, int(np.sum(~held)))
        self.refit_images = images[~held][
            np.linspace(0, np.sum(~held), chosen, endpoint=False).astype(int)
        ]
        self.header = {"labels": labels, "provenance": provenance}
        self.progress = progress or Progress()
        self.weights = {
            layer.name: layer.get_weights()
            for layer in model.layers
            if layer.weights
        }
        self.images = images[held]
        self.outputs = self._predict()
        calibration = _batches(images[~held])
        task = self.progress.task("measure importance", len(calibration))
        with task as advance:
            self.importance = importance.measure(
                model, calibration, seed, advance
            )
        self.layers = {
            name: rate_distortion.Layer(
                kernel.reshape(-1, kernel.shape[-1]), self.importance[name]
            )
            for name, (kernel, *_) in self.weights.items()
        }
        # By trade-off.
        self.points, self.contents = {}, {}

    def pack(self, target_bytes=None, max_kl=None):
        """Does what `pack` does; the arguments are the same."""
        _require_one(target_bytes, max_kl)
        if max_kl is None:
            found = self.search(
                lambda point: point.bytes <= target_bytes, smallest=True
            )
            bound = f"target_bytes={target_bytes}"
        else:
            found = self.search(lambda point: point.kl > max_kl, smallest=False)
            bound = f"max_kl={max_kl}"
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
        content = self.contents[found]
        return Packed(content, self.points[found], curve, _layers(content))

    def search(self, is_above, smallest):
        """Returns the trade-off next to where `is_above` becomes true.

        The smallest for which it is, or the largest for which it is not;
        `None` if there is none.
        """
        low = high = FIRST_TRADE_OFF
        if is_above(self.look(FIRST_TRADE_OFF)):
            while low > LOWEST:
                low /= WIDTH
                if not is_above(self.look(low)):
                    break
                high = low
            else:
                return high if smallest else None
        else:
            while high < HIGHEST:
                high *= WIDTH
                if is_above(self.look(high)):
                    break
                low = high
            else:
                return None if smallest else low
        for _ in range(HALVINGS):
            middle = math.sqrt(low * high)
            if is_above(self.look(middle)):
                high = middle
            else:
                low = middle
        return high if smallest else low

    def look(self, trade_off):
        """Returns the `Point` of a trade-off."""
        if trade_off in self.points:
            return self.points[trade_off]
        arrays, harm = self.arrays(trade_off)
        for name, weights in self.weights.items():
            parts = ("kernel", "bias")[: len(weights)]
            self.model.get_layer(name).set_weights(
                [arrays[f"{name}/{part}"].to_array() for part in parts]
            )
        received = self._predict()
        ratio = np.log(self.outputs + 1e-12) - np.log(received + 1e-12)
        content = self.contents[trade_off] = codec.dump(
            self.model, arrays=arrays, **self.header
        )
        point = self.points[trade_off] = Point(
            trade_off=trade_off,
            bytes=len(content),
            predicted_kl=harm,
            kl=float(np.mean(np.sum(self.outputs * ratio, axis=1))),
            agreement=float(
                np.mean(self.outputs.argmax(1) == received.argmax(1))
            ),
        )
        return point

    def arrays(self, trade_off):
        """Returns the forms of all weights, and the sum of their harms."""
        arrays, harm = {}, 0.0
        label = f"code at {trade_off:.1e}"
        with self.progress.task(label, len(self.weights)) as advance:

            def code(name, weights, fit_bias):
                nonlocal harm
                result = self.layers[name].quantize(
                    trade_off, weights.reshape(-1, weights.shape[-1])
                )
                harm += result.harm
                advance(harm=harm)
                kernel = forms.Stepped(
                    result.codes.reshape(weights.shape), result.step
                )
                arrays[f"{name}/kernel"] = kernel
                bias = fit_bias(kernel.to_array())
                if bias is None:
                    return kernel.to_array(), None
                bias = _code_bias(bias, self.importance[name], trade_off)
                arrays[f"{name}/bias"] = bias
                return kernel.to_array(), bias.to_array()

            refit.run(self.original, self.refit_images, code)
        return arrays, harm

    def _predict(self):
        return np.concatenate(
            [
                self.model.predict_on_batch(batch)
                for batch in _batches(self.images)
            ]
        ).astype("float64")


def _require_one(target_bytes, max_kl):
    if (target_bytes is None) == (max_kl is None):
        raise ValueError(
            "one of `target_bytes` and `max_kl` is expected. Received: "
            f"target_bytes={target_bytes}, max_kl={max_kl}"
        )


def _code_bias(bias, found, trade_off):
    """Multiples of a power of two, as fine as the trade-off asks for."""
    harm = max(found.hessian[-1, -1] * found.rows.mean(), 1e-300)
    step = BIAS_STEP * math.sqrt(12 * trade_off / (harm * math.log(2)))
    # Not so fine that a code would be out of range.
    step = max(step, 2 * rate_distortion.least_step(bias))
    step = 2.0 ** math.floor(math.log2(step))
    return forms.Stepped(np.rint(bias / step).astype("int64"), step)


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
