"""A small report of a compression: two stages, two layers, three files."""

import copy
import types

import numpy as np
import pytest

from keras_squeezenet import report
from keras_squeezenet.compression import compression_recipe

CLASSES = ("zero", "one", "two")


def stage(name, kind, accuracy, density, values, sizes, epochs):
    return {
        "name": name,
        "kind": kind,
        "accuracy": accuracy,
        "validation_accuracy": accuracy,
        "density": density,
        "distinct_values": values,
        "seconds": 12.34,
        "epochs": epochs,
        "attempts": 1,
        "macs": 349_123_456,
        "bytes": 2_905_128,
        "gzip_bytes": sizes[0],
        "huffman_bytes": sizes[1],
        "history": [
            {
                "epoch": epoch + 1,
                "loss": 2.0**-epoch,
                "accuracy": accuracy,
                "validation_accuracy": accuracy - 0.01 * epoch,
            }
            for epoch in range(epochs)
        ],
    }


def layer(name, shape, density, values, bits, paper):
    return {
        "name": name,
        "shape": shape,
        "weights": int(np.prod(shape)),
        "density": density,
        "distinct_values": values,
        "bits": bits,
        "int8_density": density,
        "int8_distinct_values_per_channel": values,
        "paper_density": paper,
    }


def histogram(name):
    rng = np.random.default_rng(0)
    before = rng.normal(size=1000)
    after = np.where(np.abs(before) > 0.5, before.round(), 0)
    edges = np.linspace(-4, 4, 41)
    return {
        "name": name,
        "edges": edges.tolist(),
        "before": np.histogram(before, edges)[0].tolist(),
        "after": np.histogram(after, edges)[0].tolist(),
    }


def file(name, size, source, difference):
    return {
        "name": name,
        "bytes": size,
        "gzip_bytes": size // 3,
        "sha256": "0" * 64,
        "accuracy": 0.95,
        "agreement": 0.99,
        "max_difference": difference,
        "source": source,
    }


def point(key, value, accuracy):
    return {key: value, "accuracy": accuracy, "kl": 1 - accuracy}


SCAN = {
    "images": 64,
    "accuracy": 0.98,
    "layers": [
        {
            "name": name,
            "weights": 1000,
            "densities": [
                point("density", 0.5, top),
                point("density", 0.1, top - 0.3),
            ],
            "bits": [point("bits", 8, 0.98), point("bits", 2, top - 0.2)],
        }
        for name, top in (("conv1", 0.97), ("fire2_squeeze1x1", 0.8))
    ],
}


def measured(kl, accuracy):
    return {
        "kl": kl,
        "kl_error": kl / 10,
        "agreement": 1 - kl,
        "agreement_error": 0.01,
        "accuracy": accuracy,
        "accuracy_before": 0.97,
        "accuracy_error": 0.004,
    }


PACKING = {
    **measured(0.02, 0.9675),
    "bytes": 12_345,
    "float32_bytes": 2_905_128,
    "images": 500,
    "validation_images": 100,
    "is_held_out": True,
    "test_images": 1_000,
    "test": measured(0.03, 0.966),
    "curve": [
        {**measured(0.4, 0.8), "bytes": 8_000},
        {**measured(0.02, 0.9675), "bytes": 12_345},
    ],
    "layers": [],
    "code_training": [],
}


@pytest.fixture(scope="session")
def make():
    """Return a function that makes a report."""

    def make(dataset=None, **changes):
        model = types.SimpleNamespace(
            name="squeezenet",
            count_params=lambda: 1_235_496,
            input_shape=(None, 28, 28, 3),
        )
        measured = {
            "status": "complete",
            "message": None,
            "stages": [
                stage("dense", "train", 0.98765, 1.0, 4096, (9000, 8000), 3),
                stage("pruned", "prune", 0.97, 0.3304, 999, (3000, 2000), 2),
            ],
            "layers": [
                layer("conv1", [3, 3, 3, 64], 1.0, 4096, 12, 1),
                layer("head", [512, 3], 0.25, 16, 4, None),
            ],
            "files": [
                file("model.sqz", 12_345, "model", 0.0),
                file("saved_model/", 23_456, "model", 1.25e-7),
                file("model_int8.tflite", 812, "quantized model", 0.004),
            ],
            "confusion": [[5, 1, 0], [0, 6, 0], [0, 0, 7]],
            "histograms": [histogram("conv1"), histogram("head")],
            "samples": [
                {
                    "label": 2,
                    "dense": {"class": 2, "probability": 0.9},
                    "compressed": {"class": 1, "probability": 0.5},
                }
            ],
            "sensitivity": copy.deepcopy(SCAN),
            "packing": copy.deepcopy(PACKING),
            **changes,
        }
        return report.make(
            model=model,
            dataset={
                "name": "digits",
                "image_size": 28,
                "classes": list(CLASSES),
                "skipped_images": [],
                "normalization": "caffe",
                "train_images": 40_000,
                "validation_images": 100,
                "test_images": 1_000,
                **(dataset or {}),
            },
            recipe=compression_recipe.Recipe(
                stages=("prune", "cluster", "quantize"),
                max_train_steps=7,
                seed=3,
            ),
            **measured,
        )

    return make


@pytest.fixture(scope="session")
def images():
    """Each sample without and with its heat map."""
    return [tuple(np.full((2, 28, 28, 3), 200, "uint8"))]
