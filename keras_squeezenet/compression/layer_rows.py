"""The rows of the layers in the report."""

import keras
import numpy as np

from keras_squeezenet import architecture
from keras_squeezenet.compression import allocation
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.evaluation import kernel_statistics

PAPER_NETWORK = architecture.VARIANTS["1.0"]


def make(model: keras.Model, int8_kernels: dict[str, np.ndarray]) -> list[dict]:
    """Return a row for each layer with a kernel.

    Args:
        model: the compressed model.
        int8_kernels: those of the int8 file by layer name; empty without one.
    """
    paper = allocation.match(
        compression_recipe.TABLE_1,
        [layer.name for layer in architecture.convolutions(PAPER_NETWORK)],
    )
    rows = []
    for name, kernel in tf_keras_twin.kernels(model).items():
        measured = kernel_statistics.measure(kernel)
        int8 = None
        if name in int8_kernels:
            int8 = kernel_statistics.measure(int8_kernels[name])
        rows.append(
            {
                "name": name,
                "shape": list(measured.shape),
                "weights": kernel.size,
                "density": measured.density,
                "distinct_values": measured.distinct,
                "bits": measured.bits,
                "int8_density": int8 and int8.density,
                "int8_distinct_values_per_channel": int8
                and int8.distinct_per_channel,
                "paper_density": paper.get(name),
            }
        )
    return rows
