"""Convert models to LiteRT files.

The converters take a `keras.Model` or a `tf_keras.Model` with one input and one
output, and return the content of a `.tflite` file that takes batches of any
size. With `photographs=True` the model takes RGB from 0 to 255, and the file
takes them as uint8. They raise a `RuntimeError` for a `keras.Model` on another
backend than TensorFlow.
"""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import metadata
from keras_squeezenet import normalizations
from keras_squeezenet.export import activation_ranges
from keras_squeezenet.export import fake_quantization
from keras_squeezenet.export import formats
from keras_squeezenet.export import litert_file
from keras_squeezenet.export import litert_metadata
from keras_squeezenet.export import saved_model
from keras_squeezenet.export import signatures
from keras_squeezenet.utils import backend

INPUT = "images"


def write_litert(
    model: keras.Model,
    path: str | os.PathLike,
    calibration: np.ndarray | None = None,
) -> None:
    """Write a float32 file; see `formats.Format` for the arguments."""
    del calibration
    _write(path, convert_float32(model, _takes_photographs(model)))


def write_litert_float16(
    model: keras.Model,
    path: str | os.PathLike,
    calibration: np.ndarray | None = None,
) -> None:
    """Write a file with float16 weights; see `formats.Format`."""
    del calibration
    _write(path, convert_float16(model, _takes_photographs(model)))


def write_litert_int8(
    model: keras.Model, path: str | os.PathLike, calibration: np.ndarray
) -> None:
    """Write a file in 8-bit integers; see `formats.Format`."""
    photographs = _takes_photographs(model)
    _write(path, convert_post_training_int8(model, [calibration], photographs))


def load(path: str | os.PathLike) -> Callable[[np.ndarray], np.ndarray]:
    """Load a file that this package wrote as a function of a batch."""
    return litert_file.LiteRTModel(pathlib.Path(path).read_bytes())


def convert_float32(model: Any, photographs: bool = False) -> bytes:
    """Convert a model to float32."""
    converter = _converter(model, photographs)
    return _convert(converter, model)


def convert_float16(model: Any, photographs: bool = False) -> bytes:
    """Convert a model with its weights rounded to float16.

    The file is half as large. Equal weights stay equal and zeros stay zero;
    the computation, inputs and outputs are float32.
    """
    converter = _converter(model, photographs)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return _convert(converter, model)


def convert_post_training_int8(
    model: keras.Model,
    calibration: list[np.ndarray],
    photographs: bool = False,
    choose: activation_ranges.Choice = activation_ranges.least_square_error,
) -> bytes:
    """Convert a model to int8, without quantization-aware training.

    Kernels have one scale per output channel, from its largest weight, so
    equal weights of a channel stay equal and zeros stay zero. The scales of
    the activations come from their histograms on the calibration images.

    Args:
        model: as `flattening.flatten` takes it.
        calibration: float32 batches of images that the model takes, usually at
            least 100 images together.
        photographs: whether the input is uint8. Its scale is then 1 and its
            zero point 0. Defaults to `False`, float32.
        choose: as `activation_ranges.measure` takes it.

    Raises:
        ValueError: if there is no image, or a layer cannot be computed in
            integers.
    """
    images = [image for batch in calibration for image in batch]
    formats.require_images(images)
    separated = fake_quantization.separate_activations(model)
    ranges = activation_ranges.measure(separated, np.stack(images), choose)
    return convert_ranges(separated, ranges, photographs)


def convert_ranges(
    separated: keras.Model,
    ranges: dict[str, activation_ranges.Range],
    photographs: bool = False,
) -> bytes:
    """Convert a model to int8 with the ranges of its activations.

    The arguments are those of `fake_quantization.function`.
    """
    backend.require_tensorflow("A LiteRT file")
    converter = _from_function(
        fake_quantization.function(separated, ranges),
        separated.input_shape,
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if photographs:
        converter.inference_input_type = tf.uint8
    # The output is float32: MediaPipe takes it, and programs for Android and in
    # Python read probabilities without a scale.
    content = _convert(converter, separated)
    _require_integers(content, separated, photographs)
    return content


def convert_int16x8(model: Any, calibration: list[np.ndarray]) -> bytes:
    """Convert a model to int16 activations and int8 kernels.

    The file is nearly as accurate as float32 at a quarter of the size, but 29
    times slower than float32 on CPUs, for which LiteRT does not optimize int16.
    Inputs and outputs are int16.

    Args:
        calibration: as `convert_post_training_int8` takes it.

    Raises:
        ValueError: if there is no image.
    """
    images = [image for batch in calibration for image in batch]
    formats.require_images(images)
    converter = _converter(model, dtype=tf.int16)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [image[None]] for image in images
    )
    operations = tf.lite.OpsSet
    converter.target_spec.supported_ops = [
        operations.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]
    return _convert(converter, model)


def convert_int8(quantized: Any) -> bytes:
    """Convert a quantization-aware model to int8, inputs and outputs too.

    Args:
        quantized: `tf_keras.Model` with TF-MOT's quantization wrappers.
    """
    converter = _converter(quantized, dtype=tf.int8)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return _convert(converter, quantized)


def _takes_photographs(model):
    found = metadata.of(model)
    return found is not None and found.normalization == normalizations.RAW


def _write(path, content):
    pathlib.Path(path).write_bytes(content)


def _convert(converter, model):
    content = converter.convert()
    return litert_metadata.append(content, metadata.of(model), model.name)


def _converter(model, photographs=False, dtype=tf.float32):
    # `from_keras_model` prints, and renames the input.
    if isinstance(model, keras.Model):
        backend.require_tensorflow("A LiteRT file")
    module = saved_model.servable(model)
    converter = _from_function(
        module.serve,
        model.input_shape,
        tf.uint8 if photographs else tf.float32,
    )
    converter.inference_input_type = dtype
    converter.inference_output_type = dtype
    return converter


def _from_function(function, shape, dtype=tf.float32):
    """Return a converter of a function of float32 images, to take a `dtype`."""
    module = tf.Module()
    module.serve = tf.function(
        lambda images: {
            signatures.OUTPUT: function(tf.cast(images, tf.float32))
        },
        input_signature=[tf.TensorSpec(shape, dtype, name=INPUT)],
    )
    concrete = module.serve.get_concrete_function()
    # The function alone does not keep its variables alive.
    module.weights = concrete.variables
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)


def _require_integers(content, model, photographs):
    """Check the kernels, and that photographs are taken as they are."""
    kernels = litert_file.read_kernels(content)
    floats = [
        layer.name
        for layer in model.layers
        if layer.weights
        and (layer.name not in kernels or kernels[layer.name].dtype != "int8")
    ]
    if floats:
        raise ValueError(
            "every layer with a kernel must be computed in integers. Received: "
            f"{', '.join(floats)}, which LiteRT computes in float32. Convert "
            "to float16 instead"
        )
    found = litert_file.LiteRTModel(content).input
    if photographs and (found["dtype"], found["quantization"]) != (
        np.uint8,
        (1.0, 0),
    ):
        raise ValueError(
            "the input must be uint8 with scale 1 and zero point 0. Received: "
            f"{found['dtype'].__name__} with {found['quantization']}. Convert "
            "to float16 instead"
        )
