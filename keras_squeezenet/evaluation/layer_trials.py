"""Time layers of a network in a runtime, in files of their own."""

import importlib
import math
import pathlib
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from keras_squeezenet import layers
from keras_squeezenet.export import formats
from keras_squeezenet.utils.progress import Progress

# Calls of one file before the next one has its turn; see `latency`.
CALLS = 5
WARMUP_CALLS = 3
TURNS = 30
# After so many seconds of calls a file has no more turns.
SECONDS = 0.5
IMAGE_CHANNELS = 3
# A file has at most so many copies of a layer, and no more than have so many
# outputs together: they would not stay in the caches.
COPIES = 8
OUTPUTS = 400_000


class Geometry(NamedTuple):
    """What layers have in common whose latencies share a table.

    `sides` are the height and width of the input, in pixels. A dense layer is a
    1x1 convolution of an image of one pixel.
    """

    kernel_size: tuple[int, int]
    strides: tuple[int, int]
    padding: str
    sides: tuple[int, int]

    def output_size(self, channels: int) -> int:
        """Return the count of numbers in the output of such a layer."""
        layer = {
            "type": "Conv2D",
            "name": "layer",
            "filters": channels,
            **self._asdict(),
        }
        return math.prod(layers.output_shape(layer, [(*self.sides, 1)]))


class Trial(NamedTuple):
    """A file to time: copies of one layer beside each other, or of none."""

    geometry: Geometry
    in_channels: int
    out_channels: int
    copies: int

    @classmethod
    def of(
        cls, geometry: Geometry, in_channels: int, out_channels: int
    ) -> "Trial":
        """Return a file with as many copies as are timed well."""
        size = geometry.output_size(out_channels)
        copies = max(1, min(COPIES, OUTPUTS // size))
        return cls(geometry, in_channels, out_channels, copies)

    @classmethod
    def empty(cls, sides: tuple[int, int], in_channels: int) -> "Trial":
        """Return a file without a layer."""
        return cls(Geometry((1, 1), (1, 1), "same", sides), in_channels, 0, 0)

    def without(self) -> "Trial":
        """Return the file that has all but the copies of the layer."""
        return self.empty(self.geometry.sides, self.in_channels)


def _build(trial):
    """Return a network with copies of a layer between its input and output."""
    convolution = keras.layers.Conv2D
    geometry, in_channels, out_channels, copies = trial
    inputs = keras.Input((*geometry.sides, IMAGE_CHANNELS), dtype="float32")
    x = inputs
    if in_channels != IMAGE_CHANNELS:
        # To pass the channels from Python would take longer.
        x = convolution(in_channels, 1, activation="relu", dtype="float32")(x)
    outputs = [
        convolution(
            out_channels,
            geometry.kernel_size,
            geometry.strides,
            geometry.padding,
            activation="relu",
            dtype="float32",
        )(x)
        for _ in range(copies)
    ] or [x]
    if copies > 1:
        outputs = [keras.layers.Concatenate()(outputs)]
    outputs = keras.layers.GlobalAveragePooling2D()(outputs[0])
    return keras.Model(inputs, outputs, name="layers")


def measure(
    networks: Sequence[keras.Model | Trial],
    runtime: str,
    threads: int,
    batch_size: int,
    progress: Progress,
) -> list[float]:
    """Return the least milliseconds of a call of each network.

    They take turns, a few calls each, as in `latency`.

    Args:
        networks: models, as `formats.Format` says, and trials.
        runtime: the name of a format of LiteRT, ONNX Runtime or OpenVINO.
        threads: the number of threads that the runtime computes with.
        batch_size: the number of images in a call.
        progress: what shows the progress.

    Raises:
        ValueError: if a model cannot be converted.
    """
    rng = np.random.default_rng(0)
    functions, inputs = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        progress.task(f"convert to {runtime}", len(networks)) as advance,
    ):
        for index, network in enumerate(networks):
            model = _build(network) if isinstance(network, Trial) else network
            shape = (batch_size, *model.input_shape[1:])
            images = rng.uniform(0, 255, shape).astype("float32")
            path = pathlib.Path(folder, str(index))
            functions.append(_load(model, runtime, path, images[:1], threads))
            inputs.append(images)
            advance()
    seconds: list[list[float]] = [[] for _ in functions]
    with progress.task("time layers", TURNS) as advance:
        for turn in range(TURNS):
            for function, images, timed in zip(functions, inputs, seconds):
                if not turn:
                    for _ in range(WARMUP_CALLS):
                        function(images)
                if sum(timed) < SECONDS:
                    timed += [_call(function, images) for _ in range(CALLS)]
            advance()
    # Other processes only add to it.
    return [1000 * min(timed) for timed in seconds]


def _load(model, runtime, path, calibration, threads):
    """Return a function of a batch that runs a model in a runtime."""
    module = importlib.import_module(
        f"keras_squeezenet.export.{formats.FORMATS[runtime].module}"
    )
    if runtime == "litert_int8":
        from keras_squeezenet.export import fake_quantization

        # Any scales are as fast as those that `write_litert_int8` measures.
        separated = fake_quantization.separate_activations(model)
        names = [layer.name for layer in separated.layers]
        scales = dict.fromkeys(names, (0.0, 1.0))
        path.write_bytes(module.convert_ranges(separated, scales))
    else:
        getattr(module, f"write_{runtime}")(model, path, calibration)
    if runtime.startswith("litert"):
        from keras_squeezenet.export import litert_file

        return litert_file.LiteRTModel(path.read_bytes(), threads)
    return module.load_shaped(path, threads)[0]


def _call(function, images):
    started = time.perf_counter()
    function(images)
    return time.perf_counter() - started
