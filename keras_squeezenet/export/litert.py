"""Convert models to LiteRT files, run the files, and read their kernels.

The converters take a `keras.Model` on the TensorFlow backend or a
`tf_keras.Model`, with one input and one output. They return the content of a
`.tflite` file that takes batches of any size.
"""

import contextlib
import re
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from keras_squeezenet.export import saved_model
from keras_squeezenet.utils import backend

# The converter names a kernel after the operations that use it. TF-MOT's
# wrappers begin with "quant_", and Keras numbers repeated calls of a layer.
_KERNEL_NAME = re.compile(
    r"(?:^|/)(?:quant_)?([^/;]+?)(?:_\d+)?/(?:Conv2D|MatMul|convolution)"
)


def convert_float32(model: Any) -> bytes:
    """Convert a model to float32.

    Raises:
        RuntimeError: if a `keras.Model` is on another backend.
    """
    return _converter(model).convert()


def convert_float16(model: Any) -> bytes:
    """Convert a model with its weights rounded to float16.

    The file is half as large. Equal weights stay equal and zeros stay zero;
    the computation, inputs and outputs are float32.

    Raises:
        RuntimeError: if a `keras.Model` is on another backend.
    """
    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def convert_post_training_int8(
    model: Any, calibration: list[np.ndarray]
) -> bytes:
    """Convert a model to int8, without quantization-aware training.

    Kernels have one scale per output channel, from its largest weight, so
    equal weights of a channel stay equal and zeros stay zero. The scales of
    the activations come from their ranges on the calibration images. Inputs
    and outputs are int8.

    Args:
        model: as in all converters.
        calibration: list of float32 batches of preprocessed images, usually at
            least 100 images together.

    Raises:
        RuntimeError: if a `keras.Model` is on another backend.
        ValueError: if `calibration` has no image.
    """
    return _convert_calibrated(
        model, calibration, tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.int8
    )


def convert_int16x8(model: Any, calibration: list[np.ndarray]) -> bytes:
    """Convert a model to int16 activations and int8 kernels.

    The file is nearly as accurate as float32 at a quarter of the size, but
    slow, because LiteRT does not optimize int16 on CPUs. Inputs and outputs
    are int16. Arguments and exceptions are those of
    `convert_post_training_int8`.
    """
    operations = tf.lite.OpsSet
    return _convert_calibrated(
        model,
        calibration,
        operations.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        tf.int16,
    )


def convert_int8(quantized: Any) -> bytes:
    """Convert a quantization-aware model to int8, inputs and outputs too.

    Args:
        quantized: `tf_keras.Model` with TF-MOT's quantization wrappers.
    """
    converter = _converter(quantized)
    # Otherwise the weights in the file are float32.
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter.convert()


def _convert_calibrated(model, calibration, operations, dtype):
    if not sum(map(len, calibration)):
        raise ValueError(
            "`calibration` must have at least one image, to measure the "
            f"activation ranges. Received: calibration={calibration!r}"
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
    # `from_keras_model` prints, and renames the input.
    if isinstance(model, keras.Model):
        backend.require_tensorflow("A LiteRT file")
    module = saved_model.servable(model)
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [module.serve.get_concrete_function()], module
    )


class LiteRTModel:
    """A LiteRT image classifier.

    Args:
        content: bytes of a `.tflite` file with one input and one output:
            float32, int8 or int16.
        num_threads: int, the number of CPU threads. Defaults to `2`.
    """

    def __init__(self, content: bytes, num_threads: int = 2):
        self.interpreter = Interpreter(
            model_content=content, num_threads=num_threads
        )
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.output = self.interpreter.get_output_details()[0]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch of images, both float32."""
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

    def float_tensors(self) -> list[str]:
        """Return the names of the float tensors."""
        return [
            tensor["name"]
            for tensor in self.interpreter.get_tensor_details()
            if np.issubdtype(tensor["dtype"], np.floating)
        ]

    def kernels(self, layers: list[str]) -> dict[str, np.ndarray]:
        """Return the int8 kernels of layers in a file of `convert_int8`.

        Args:
            layers: names of Keras layers.

        Returns:
            A dict of layer name to kernel, output channels last as in Keras.

        Raises:
            ValueError: if the file does not have one kernel for each layer.
        """
        tensors = [
            tensor
            for tensor in self.interpreter.get_tensor_details()
            if tensor["dtype"] is np.int8
            # Activations have a batch dimension of -1.
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
                    "the LiteRT file must have one int8 kernel of layer "
                    f"{layer!r}. Received: {[t['name'] for t in found]}"
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


def read_kernels(content: bytes) -> dict[str, np.ndarray]:
    """Return the kernels of a LiteRT file by layer, as they are stored.

    They are float32, float16 or int8 arrays with the output channels last, as
    in Keras. Layers are found by the names that the converter gives to the
    constants of convolutions and dense layers.
    """
    # Before `allocate_tensors`, only constants have values.
    interpreter = Interpreter(model_content=content)
    kernels = {}
    for tensor in interpreter.get_tensor_details():
        name = _KERNEL_NAME.search(tensor["name"])
        if name and len(tensor["shape"]) in (2, 4):
            with contextlib.suppress(ValueError):
                kernel = interpreter.get_tensor(tensor["index"])
                kernels[name[1]] = np.moveaxis(kernel, 0, -1)
    return kernels
