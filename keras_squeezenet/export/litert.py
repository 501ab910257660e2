"""LiteRT files: conversion, what is in them, and running them."""

import contextlib
import re

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from keras_squeezenet.export import saved_model
from keras_squeezenet.utils import backend

# The converter names a kernel after the operations that it feeds. TF-MOT's
# wrappers begin with "quant_", and Keras numbers a layer's later calls.
_KERNEL_NAME = re.compile(
    r"(?:^|/)(?:quant_)?([^/;]+?)(?:_\d+)?/(?:Conv2D|MatMul|convolution)"
)


def convert_float32(model):
    """Converts a model as it is.

    Args:
        model: `keras.Model` on the TensorFlow backend or `tf_keras.Model`,
            with one input and one output.

    Returns:
        bytes, the content of a `.tflite` file. Like those of the other
        functions here it takes batches of any size.

    Raises:
        RuntimeError: if a `keras.Model` is on another backend.
    """
    return _converter(model).convert()


def convert_float16(model):
    """Converts a model with its weights rounded to float16.

    Equal weights stay equal and zeros stay zero. The computation, inputs and
    outputs are float32.

    Args:
        model: as `convert_float32` takes it.

    Returns:
        bytes, the content of a `.tflite` file of half the size.

    Raises:
        RuntimeError: if a `keras.Model` is on another backend.
    """
    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def convert_post_training_int8(model, calibration):
    """Converts a model that was not trained for it to int8, in and out.

    The quick way: a kernel's scales, one an output channel, come from its
    largest weights, those of the activations from what the calibration
    images give. Equal weights of a channel stay equal and zeros stay zero.

    Args:
        model: as `convert_float32` takes it.
        calibration: list of batches of preprocessed images, float32 arrays.
            A hundred images or more are usual.

    Returns:
        bytes, the content of a `.tflite` file without any float tensor.

    Raises:
        RuntimeError: if a `keras.Model` is on another backend.
        ValueError: if there is no calibration image.
    """
    return _convert_calibrated(
        model, calibration, tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.int8
    )


def convert_int16x8(model, calibration):
    """Converts a model to int16 activations and int8 kernels.

    Nearly as exact as float32 in a fourth of its size, but slow: the CPU
    kernels of this form are not optimized. Inputs and outputs are int16.

    Args:
        model: as `convert_float32` takes it.
        calibration: as `convert_post_training_int8` takes it.

    Returns:
        bytes, the content of a `.tflite` file without any float tensor.

    Raises:
        RuntimeError: if a `keras.Model` is on another backend.
        ValueError: if there is no calibration image.
    """
    operations = tf.lite.OpsSet
    return _convert_calibrated(
        model,
        calibration,
        operations.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        tf.int16,
    )


def convert_int8(quantized):
    """Converts a model trained quantization-aware to int8, in and out.

    Args:
        quantized: `tf_keras.Model` with TF-MOT's quantization wrappers.

    Returns:
        bytes, the content of a `.tflite` file without any float tensor.
    """
    converter = _converter(quantized)
    # Without it the file keeps its weights in float32.
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter.convert()


def _convert_calibrated(model, calibration, operations, dtype):
    if not sum(map(len, calibration)):
        raise ValueError(
            "at least one image is expected to set the ranges of the "
            f"activations by. Received: calibration={calibration!r}"
        )
    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [image[None]] for batch in calibration for image in batch
    )
    converter.target_spec.supported_ops = [operations]
    converter.inference_input_type = dtype
    converter.inference_output_type = dtype
    return converter.convert()


def _converter(model):
    """Returns a converter; Keras's own prints, and names the input anew."""
    if isinstance(model, keras.Model):
        backend.require_tensorflow("A LiteRT file")
    module = saved_model.servable(model)
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [module.serve.get_concrete_function()], module
    )


class LiteRTModel:
    """A LiteRT image classifier.

    Args:
        content: bytes of a `.tflite` file with one input and one output, of
            any form that this module writes.
        num_threads: int. Defaults to `2`.
    """

    def __init__(self, content, num_threads=2):
        self.interpreter = Interpreter(
            model_content=content, num_threads=num_threads
        )
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.output = self.interpreter.get_output_details()[0]

    def __call__(self, images):
        """Returns the outputs for a batch of images, both float32."""
        if self.input["shape"][0] != len(images):
            self.interpreter.resize_tensor_input(
                self.input["index"], images.shape
            )
            self.interpreter.allocate_tensors()
            self.input = self.interpreter.get_input_details()[0]
        self.interpreter.set_tensor(
            self.input["index"], _quantize(images, self.input)
        )
        self.interpreter.invoke()
        return _dequantize(
            self.interpreter.get_tensor(self.output["index"]), self.output
        )

    def float_tensors(self):
        """Returns the names of the tensors that are not integers."""
        return [
            tensor["name"]
            for tensor in self.interpreter.get_tensor_details()
            if np.issubdtype(tensor["dtype"], np.floating)
        ]

    def kernels(self, layers):
        """Returns the int8 kernels of a file that `convert_int8` made.

        Args:
            layers: names of the Keras layers to look for.

        Returns:
            A dict of layer name to kernel, output channels last as in Keras.

        Raises:
            ValueError: if the file does not have one kernel for each layer.
        """
        tensors = [
            tensor
            for tensor in self.interpreter.get_tensor_details()
            if tensor["dtype"] is np.int8
            # Activations have a batch of any size.
            and -1 not in tensor["shape_signature"]
        ]
        kernels = {}
        for layer in layers:
            found = [
                tensor
                for tensor in tensors
                if f"/quant_{layer}/" in f"/{tensor['name']}"
            ]
            if len(found) != 1:
                raise ValueError(
                    f"one int8 kernel of layer {layer!r} is expected in the "
                    f"LiteRT file. Found: {[t['name'] for t in found]}"
                )
            kernel = self.interpreter.get_tensor(found[0]["index"])
            kernels[layer] = np.moveaxis(kernel, 0, -1)
        return kernels


def _quantize(values, tensor):
    scale, zero_point = tensor["quantization"]
    if not scale:
        return values.astype(tensor["dtype"])
    limits = np.iinfo(tensor["dtype"])
    codes = np.round(values / scale) + zero_point
    return np.clip(codes, limits.min, limits.max).astype(tensor["dtype"])


def _dequantize(codes, tensor):
    scale, zero_point = tensor["quantization"]
    if not scale:
        return codes
    return (codes.astype("float32") - zero_point) * np.float32(scale)


def read_kernels(content):
    """Returns `{layer name: kernel}` of a LiteRT file, as they are stored.

    Args:
        content: bytes of a `.tflite` file.

    Returns:
        A dict of NumPy arrays, output channels last as in Keras, of what the
        converter named after a convolution or a dense layer: float32,
        float16, or int8.
    """
    # Before `allocate_tensors` only the constants have values.
    interpreter = Interpreter(model_content=content)
    kernels = {}
    for tensor in interpreter.get_tensor_details():
        name = _KERNEL_NAME.search(tensor["name"])
        if name and len(tensor["shape"]) in (2, 4):
            with contextlib.suppress(ValueError):
                kernel = interpreter.get_tensor(tensor["index"])
                kernels[name[1]] = np.moveaxis(kernel, 0, -1)
    return kernels
