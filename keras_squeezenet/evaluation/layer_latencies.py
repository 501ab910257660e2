"""The latency of each layer of a network in a runtime, by its channels.

A layer is timed in files of its own, with several numbers of input and output
channels. Runtimes compute channels in blocks, such as 16 outputs at once: the
sizes of the blocks are measured, and between the measured numbers of blocks the
latency is linear in the inputs and in the outputs.
"""

import itertools
import os

import keras
import numpy as np

from keras_squeezenet import flattening
from keras_squeezenet import graph
from keras_squeezenet import layers
from keras_squeezenet.evaluation import latency_cache
from keras_squeezenet.evaluation import latency_tables
from keras_squeezenet.evaluation import layer_trials
from keras_squeezenet.evaluation.latency_tables import LayerLatencies
from keras_squeezenet.evaluation.layer_trials import Geometry
from keras_squeezenet.evaluation.layer_trials import Trial
from keras_squeezenet.export import formats
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import suggestions
from keras_squeezenet.utils.progress import Progress

# The channels that are measured, besides the largest of the network, which is
# rounded up to a multiple of `BLOCK`.
FEW_INPUTS = 8
FEW_OUTPUTS = 16
BLOCK = 32
# The sizes of blocks that are told apart.
BLOCKS = (32, 16, 8, 4)
PROBED = 64

PROBE = Geometry((3, 3), (1, 1), "same", (14, 14))


@backend.channels_last()
def measure(
    model: keras.Model,
    runtime: str = "litert_int8",
    *,
    threads: int = 1,
    batch_size: int = 1,
    cache: str | os.PathLike | bool = True,
    progress: Progress | None = None,
) -> LayerLatencies:
    """Measure how long the layers of a network take in a runtime.

    The runtime runs in this process. The result is cached: a second call, on
    the same kind of CPU, for the same layers and with the same version of the
    runtime, measures nothing.

    Args:
        model: an image classifier, as `flattening.flatten` takes it, with
            images of a static size. Its weights do not matter.
        runtime: the name of a format, one of `formats.LATENCY_RUNTIMES`.
        threads: the number of threads that the runtime computes with.
        batch_size: the number of images in a call. Latencies are of a call.
        cache: the folder for the results, `True` for the one beside Keras's
            cache of weights, or `False` to measure in every call.
        progress: what shows the progress. Defaults to `None`: nothing does.

    Returns:
        The latencies of this network and of those with other numbers of
        channels in its layers.

    Raises:
        ValueError: if a number is below 1, the runtime is unknown, or the model
            has another structure or images of any size.
        ModuleNotFoundError: if the runtime is not installed, naming the extra
            that has it.
    """
    _require_runtime(runtime)
    for name, value in (("threads", threads), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(
                f"`{name}` must be at least 1. Received: {name}={value}"
            )
    flat = flattening.flatten(model)
    if None in flat.input_shape[1:]:
        raise ValueError(
            "the latency of a network depends on the size of its images, which "
            f"must be static. Received: {model.name!r} with an input of shape "
            f"{flat.input_shape}. Build it for one size, with `input_shape`"
        )
    key = latency_cache.key_of(flat, runtime, threads, batch_size)
    path = latency_cache.path_of(cache, key)
    if path is not None:
        found = latency_cache.read(path, key)
        if found is not None:
            return found
    found = _measure(flat, runtime, threads, batch_size, progress or Progress())
    if path is not None:
        latency_cache.write(path, key, found)
    return found


def channels_of(model: keras.Model) -> dict[str, tuple[int, int]]:
    """Return the numbers of input and output channels of layers with kernels.

    Args:
        model: as `flattening.flatten` takes it.
    """
    return _layers_of(flattening.flatten(model))[1]


def _require_runtime(runtime):
    known = formats.LATENCY_RUNTIMES
    if runtime not in known:
        raise ValueError(
            f"`runtime` must be one of {', '.join(map(repr, known))}. "
            f"Received: runtime={runtime!r}."
            f"{suggestions.did_you_mean(runtime, known)}"
        )
    formats.choose(runtime, is_calibrated=True)


def _measure(flat, runtime, threads, batch_size, progress):
    geometries, channels = _layers_of(flat)
    grids = _grids(geometries, channels)
    probes = _probes(0), _probes(1)
    trials = {
        Trial.of(geometry, *counts)
        for geometry, grid in grids.items()
        for counts in itertools.product(*grid)
    }
    trials.update(*(probed.values() for probed in probes))
    # The call with an image.
    call = Trial.empty(
        (*flat.input_shape[1:-1], 1, 1)[:2], layer_trials.IMAGE_CHANNELS
    )
    empty = {trial.without() for trial in trials} | {call}
    ordered = [flat, *sorted(trials | empty)]
    times = layer_trials.measure(
        ordered, runtime, threads, batch_size, progress
    )
    timed = dict(zip(ordered[1:], times[1:]))
    costs = {
        trial: max(0.0, timed[trial] - timed[trial.without()]) / trial.copies
        for trial in trials
    }
    tables = {
        geometry: _table(geometry, *grid, costs)
        for geometry, grid in grids.items()
    }
    found = LayerLatencies(
        runtime,
        0.0,
        (_block(probes[0], costs), _block(probes[1], costs)),
        {name: tables[geometry] for name, geometry in geometries.items()},
    )
    rest = max(0.0, times[0] - found.network(channels))
    return _share(found, geometries, channels, rest, timed[call])


def _share(found, geometries, channels, rest, call):
    """Add what a network takes beside its layers, and beside a call, to them.

    They have shares in proportion to their outputs.
    """
    sizes = {
        name: geometry.output_size(
            latency_tables.ceil(channels[name][1], found.blocks[1])
        )
        for name, geometry in geometries.items()
    }
    fixed = min(rest, call)
    rate = (rest - fixed) / sum(sizes.values())
    tables = {}
    for name, table in found.tables.items():
        shares = [
            rate * geometries[name].output_size(count)
            for count in table.outputs
        ]
        values = np.add(table.milliseconds, shares)
        tables[name] = latency_tables.Table(
            table.inputs, table.outputs, _tuples(values)
        )
    return LayerLatencies(found.runtime, fixed, found.blocks, tables)


def _layers_of(flat):
    """Return the geometries and the channels of the layers with kernels."""
    geometries: dict[str, Geometry] = {}
    channels: dict[str, tuple[int, int]] = {}
    description = graph.describe(flat)

    def call(layer, *shapes):
        output = layers.output_shape(layer, shapes)
        if layers.kernel_shape(layer, 1):
            geometries[layer["name"]] = _geometry(layer, shapes[0])
            channels[layer["name"]] = (shapes[0][-1], output[-1])
        return output

    shape = layers.input_shape(description["layers"][0]["shape"])
    graph.run(description, shape, call)
    return geometries, channels


def _geometry(layer, shape):
    sides = (*shape[:-1], 1, 1)[:2]
    if layer["type"] == "Dense":
        return Geometry((1, 1), (1, 1), "same", sides)
    # A 1x1 convolution needs no padding.
    is_pointwise = layer["kernel_size"] == [1, 1] == layer["strides"]
    return Geometry(
        tuple(layer["kernel_size"]),
        tuple(layer["strides"]),
        "same" if is_pointwise else layer["padding"],
        sides,
    )


def _grids(geometries, channels):
    """Return the numbers of inputs and outputs to measure, by geometry."""
    grids = {}
    for geometry in set(geometries.values()):
        ins, outs = zip(
            *(
                channels[name]
                for name, each in geometries.items()
                if each == geometry
            )
        )
        is_first = set(ins) == {layer_trials.IMAGE_CHANNELS}
        grids[geometry] = (
            (layer_trials.IMAGE_CHANNELS,)
            if is_first
            else _grid(FEW_INPUTS, max(ins)),
            _grid(FEW_OUTPUTS, max(outs)),
        )
    return grids


def _grid(low, high):
    """Return two or three numbers of channels."""
    high = latency_tables.ceil(high, BLOCK)
    middle = round(high / 4 / BLOCK) * BLOCK
    return tuple(sorted({low, middle or low, high}))


def _probes(axis):
    """Return what tells the size of blocks of inputs (0) or outputs (1)."""
    found = {}
    for block in (*BLOCKS, 1):
        channels = [PROBED, PROBED]
        # One channel in the last block.
        channels[axis] = PROBED - block + 1
        found[block] = Trial.of(PROBE, *channels)
    channels = [PROBED, PROBED]
    channels[axis] = PROBED // 2
    found[0] = Trial.of(PROBE, *channels)
    return found


def _block(probes, costs):
    """Return the largest block that takes as long with a single channel."""
    full = costs[probes[1]]
    slope = (full - costs[probes[0]]) / (PROBED // 2)
    for block in BLOCKS:
        expected = slope * (block - 1)
        if full - costs[probes[block]] < expected / 4:
            return block
    return 1


def _table(geometry, inputs, outputs, costs):
    """Return the table of one geometry; noise is kept from falling."""
    values = [
        [costs[Trial.of(geometry, ins, outs)] for outs in outputs]
        for ins in inputs
    ]
    values = np.maximum.accumulate(values, axis=0)
    values = np.maximum.accumulate(values, axis=1)
    return latency_tables.Table(inputs, outputs, _tuples(values))


def _tuples(values):
    return tuple(map(tuple, values.tolist()))
