"""Compare ways to 8-bit integers without training, on photographs.

    python benchmarks/int8.py PHOTOGRAPHS WEIGHTS [QUANTIZER...]

PHOTOGRAPHS is a folder with one file of each class of ImageNet, as
`benchmarks/photographs.py` takes it, and WEIGHTS is a file of the network, such
as `model.keras`. 300 photographs calibrate the quantizers, and the accuracy is
measured on the others. A quantizer is chosen by its divergence on the
calibration photographs, never on the others.

The table is printed, and int8.json has the numbers.
"""

import contextlib
import io
import pathlib
import tempfile
import time
from collections.abc import Callable

import keras
import numpy as np
import onnxruntime
import rich.console
import tensorflow as tf
from absl import app

from keras_squeezenet import classifier
from keras_squeezenet import graph
from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet.cli import terminal
from keras_squeezenet.export import activation_ranges
from keras_squeezenet.export import fake_quantization
from keras_squeezenet.export import litert
from keras_squeezenet.export import litert_file
from keras_squeezenet.export import onnx_file
from keras_squeezenet.export import openvino_file
from keras_squeezenet.export import photograph_input
from keras_squeezenet.utils import files

SEED = 0
CALIBRATION = 300
BATCH_SIZE = 50
# How many photographs bias correction runs on at once.
CORRECTION = 100
OUTPUT = "int8.json"


def percentile(share):
    """Return a choice of ranges that clips a share of the numbers."""

    def choose(histogram, low, high):
        edges = np.linspace(low, high, len(histogram) + 1)
        total = np.cumsum(histogram)
        clipped = (1 - share / 100) * total[-1]
        first = np.searchsorted(total, clipped) if low else 0
        last = np.searchsorted(total, total[-1] - clipped)
        return min(edges[first], 0.0), max(edges[last + 1], 0.0)

    return choose


def litert_ranges(choose, corrects_bias=False):
    """Return a quantizer of LiteRT with a choice of ranges."""

    def quantize(model, images):
        separated = fake_quantization.separate_activations(model)
        ranges = activation_ranges.measure(separated, images, choose)
        if corrects_bias:
            correct_biases(separated, ranges, images[:CORRECTION])
        content = litert.convert_ranges(separated, ranges, photographs=True)
        return litert_file.LiteRTModel(content)

    return quantize


def correct_biases(model, ranges, images):
    """Make the mean outputs of every layer with weights those of float32.

    Each layer is corrected after those before it, on what they compute.
    """
    rounded = fake_quantization.rounding(model, ranges)

    def call(description, *received):
        layer = model.get_layer(description["name"])
        before, after = map(graph.only, zip(*received))
        if not layer.weights:
            return layer(before), rounded(description, layer(after))
        expected = layer(before)
        activation, layer.activation = layer.activation, lambda x: x
        kernel, bias = layer.get_weights()
        means = layer(before)
        layer.set_weights([round_kernel(kernel), bias])
        difference = means - layer(after)
        axes = tuple(range(difference.ndim - 1))
        corrected = bias + tf.reduce_mean(difference, axes)
        layer.set_weights([round_kernel(kernel), corrected])
        found = activation(layer(after))
        layer.set_weights([kernel, corrected])
        layer.activation = activation
        return expected, rounded(description, found)

    description = graph.describe(model)
    photographs = tf.constant(images)
    graph.run(
        description,
        (photographs, rounded(description["layers"][0], photographs)),
        call,
    )


def round_kernel(kernel):
    """Round a kernel as the converter does, with a scale for each channel."""
    axes = tuple(range(kernel.ndim - 1))
    scale = np.maximum(abs(kernel).max(axis=axes), 1e-30) / 127
    return np.round(kernel / scale) * scale


def tensorflow_converter(model, images):
    """TensorFlow's post-training quantization, with its own calibration."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None]] for x in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    with contextlib.redirect_stdout(io.StringIO()):
        return litert_file.LiteRTModel(converter.convert())


def onnx_runtime(reduce_range=False, simulated=False, **options):
    """Return ONNX Runtime's quantizer with its extra options.

    A simulated one computes in float32 with the rounded numbers: sums of
    products do not saturate, as on a CPU with VNNI.
    """

    def quantize(model, images):
        quantized = onnx_file.quantize(
            model,
            images,
            reduce_range=reduce_range,
            extra_options=options,
        )
        session_options = onnxruntime.SessionOptions()
        if simulated:
            level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            session_options.graph_optimization_level = level
        session = onnxruntime.InferenceSession(
            quantized.SerializeToString(),
            session_options,
            providers=["CPUExecutionProvider"],
        )
        (taken,) = session.get_inputs()
        return lambda images: session.run(
            None, {taken.name: images.astype("uint8")}
        )[0]

    return quantize


def nncf(ranges, corrects_bias=False, overflow_fix="FIRST_LAYER"):
    """Return NNCF's quantizer with ranges and a slow correction of biases."""

    def quantize(model, images):
        from nncf.quantization import range_estimator

        library = openvino_file.import_nncf()
        estimators = range_estimator.RangeEstimatorParametersSet
        quantized = openvino_file.quantize(
            model,
            images,
            fast_bias_correction=not corrects_bias,
            advanced_parameters=library.AdvancedQuantizationParameters(
                activations_range_estimator_params=getattr(estimators, ranges),
                overflow_fix=library.OverflowFix[overflow_fix],
            ),
        )
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "model")
            openvino_file.save(quantized, path)
            return openvino_file.load(path)

    return quantize


# Options of ONNX Runtime.
MEAN = {"CalibMovingAverage": True}
ALL_8_BITS: dict = {"TensorQuantOverrides": {}}
# Functions of a model that takes photographs and of calibration photographs,
# float32 from 0 to 255, to a function of photographs to probabilities.
Quantizer = Callable[[keras.Model, np.ndarray], Callable]
QUANTIZERS: dict[str, Quantizer] = {
    "TensorFlow's converter": tensorflow_converter,
    "LiteRT, min-max": litert_ranges(activation_ranges.extremes),
    "LiteRT, 99.99%": litert_ranges(percentile(99.99)),
    "LiteRT, 99.999%": litert_ranges(percentile(99.999)),
    "LiteRT, square error": litert_ranges(activation_ranges.least_square_error),
    "LiteRT, min-max, biases corrected": litert_ranges(
        activation_ranges.extremes, corrects_bias=True
    ),
    "LiteRT, square error, biases corrected": litert_ranges(
        activation_ranges.least_square_error, corrects_bias=True
    ),
    "ONNX Runtime, min-max": onnx_runtime(),
    "ONNX Runtime, mean of batches": onnx_runtime(**MEAN),
    "ONNX Runtime, mean of batches, simulated": onnx_runtime(
        simulated=True, **MEAN
    ),
    "ONNX Runtime, mean of batches, all kernels of 8 bits": onnx_runtime(
        **MEAN, **ALL_8_BITS
    ),
    "ONNX Runtime, mean of batches, all kernels of 8 bits, simulated": (
        onnx_runtime(simulated=True, **MEAN, **ALL_8_BITS)
    ),
    "ONNX Runtime, mean of batches, all kernels of 7 bits": onnx_runtime(
        reduce_range=True, **MEAN
    ),
    "NNCF, min-max": nncf("MINMAX"),
    "NNCF, mean of images": nncf("MEAN_MINMAX"),
    "NNCF, histogram": nncf("HISTOGRAM"),
    "NNCF, min-max, biases corrected": nncf("MINMAX", corrects_bias=True),
    "NNCF, histogram, biases corrected": nncf("HISTOGRAM", corrects_bias=True),
    "NNCF, histogram, biases corrected, all kernels of 8 bits": nncf(
        "HISTOGRAM", corrects_bias=True, overflow_fix="DISABLE"
    ),
    "NNCF, histogram, biases corrected, all kernels of 7 bits": nncf(
        "HISTOGRAM", corrects_bias=True, overflow_fix="ENABLE"
    ),
}


def main(argv):
    if len(argv) < 3:
        raise app.UsageError("PHOTOGRAPHS and WEIGHTS must be given")
    _, folder, weights, *names = argv
    paths = sorted(pathlib.Path(folder).glob("n*"))
    network = classifier.load(weights)
    squares = np.stack([network.read(path) for path in paths])
    order = np.random.default_rng(SEED).permutation(len(paths))
    calibration, test = order[:CALIBRATION], order[CALIBRATION:]
    model = photograph_input.photograph_input(models.load(weights))
    images = squares.astype("float32")
    expected = run(model.predict_on_batch, images)
    measured = {"float32": measure(expected, expected, calibration, test, 0.0)}
    for name in names or QUANTIZERS:
        start = time.monotonic()
        quantized = QUANTIZERS[name](model, images[calibration])
        seconds = time.monotonic() - start
        found = run(quantized, images)
        measured[name] = measure(found, expected, calibration, test, seconds)
    files.write_json(pathlib.Path(OUTPUT), measured)
    print_table(measured, len(test))


def run(function, images):
    starts = range(0, len(images), BATCH_SIZE)
    return np.concatenate(
        [function(images[start : start + BATCH_SIZE]) for start in starts]
    )


def measure(found, expected, calibration, test, seconds):
    """Return means and standard errors, of differences from float32."""
    divergence = abs(found - expected).sum(axis=1) / 2
    ranks = [np.argsort(-each, axis=1)[:, :5] for each in (found, expected)]
    labels = np.arange(len(found))[:, None]
    (hits, hits_float32), (best, best_float32) = (
        [(each == labels).astype(float) for each in ranks],
        [each[:, 0] for each in ranks],
    )
    top_1 = hits[:, 0] - hits_float32[:, 0]
    top_5 = hits.sum(1) - hits_float32.sum(1)
    agreement = (best == best_float32).astype(float)

    def statistics(values):
        values = values[test]
        return {
            "mean": float(values.mean()),
            "error": float(values.std(ddof=1)) / len(values) ** 0.5,
        }

    return {
        "seconds": seconds,
        "calibration_divergence": float(divergence[calibration].mean()),
        "divergence": statistics(divergence),
        "top_1": float(hits[test, 0].mean()),
        "top_5": float(hits[test].sum(1).mean()),
        "top_1_difference": statistics(top_1),
        "top_5_difference": statistics(top_5),
        "agreement": statistics(agreement),
    }


def print_table(measured, count):
    def points(values):
        return f"{100 * values['mean']:+.1f} ± {100 * values['error']:.1f}"

    rows = [
        (
            name,
            f"{values['calibration_divergence']:.4f}",
            f"{values['divergence']['mean']:.4f}",
            f"{values['top_1']:.1%}",
            points(values["top_1_difference"]),
            f"{values['top_5']:.1%}",
            points(values["top_5_difference"]),
            f"{values['agreement']['mean']:.1%}",
            f"{values['seconds']:.0f}",
        )
        for name, values in measured.items()
    ]
    headings = (
        *("quantizer", "calibration divergence", "divergence", "top-1"),
        *("difference", "top-5", "difference", "agreement", "seconds"),
    )
    terminal.print_table(
        rich.console.Console(width=160),
        report.Table(f"{count} photographs", headings, rows),
    )


if __name__ == "__main__":
    app.run(main)
