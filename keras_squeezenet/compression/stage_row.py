"""The row of a stage in the report."""

import gzip

import keras
import numpy as np

from keras_squeezenet.compression import filter_costs
from keras_squeezenet.compression import huffman_size
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.run_state import State
from keras_squeezenet.evaluation import kernel_statistics

# The columns of an epoch in the report.
HISTORY = ("epoch", "loss", "accuracy", "validation_accuracy")


def make(
    kind: str,
    name: str,
    model: keras.Model,
    state: State,
    accuracies: dict[str, float],
) -> dict:
    """Return the row of a stage that has ended.

    Args:
        kind, name: those of the stage.
        model: the model after the stage.
        state: that of the run, in which the stage has not ended yet.
        accuracies: `accuracy` on the test set, and `validation_accuracy`.
    """
    kernels = tf_keras_twin.kernels(model)
    history = [{key: epoch[key] for key in HISTORY} for epoch in state.history]
    return {
        "name": name,
        "kind": kind,
        **accuracies,
        "density": kernel_statistics.overall_density(kernels),
        "distinct_values": max(
            len(np.unique(kernel)) for kernel in kernels.values()
        ),
        "seconds": state.seconds,
        "epochs": len(history),
        "attempts": state.attempt + 1,
        "macs": filter_costs.count_macs(model),
        **_sizes(model, state.packed),
        "history": history,
    }


def _sizes(model, packed):
    """Return the bytes of a stage: of its file, if it is packed."""
    if packed:
        sizes = len(packed[0]), None, None
    else:
        content = _weight_bytes(model)
        sizes = (
            len(content),
            len(gzip.compress(content)),
            _huffman_bytes(model),
        )
    return dict(zip(("bytes", "gzip_bytes", "huffman_bytes"), sizes))


def _weight_bytes(model):
    return b"".join(
        keras.ops.convert_to_numpy(weight).tobytes() for weight in model.weights
    )


def _huffman_bytes(model):
    return sum(
        huffman_size.count_bytes(*layer.get_weights()).huffman.total
        for layer in model.layers
        if layer.weights
    )
