"""Write and read SavedModel folders, plain or packed."""

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import codec
from keras_squeezenet.export import packed_saved_model
from keras_squeezenet.export import signatures
from keras_squeezenet.utils import backend


def save(
    model: keras.Model,
    path: str | os.PathLike,
    packed: bool = False,
    raw_images: bool = False,
    shorter_side: int | None = None,
) -> None:
    """Write a SavedModel folder with an endpoint named `serve`.

    `Model.export` of Keras 3.15 writes every weight twice; this does not.

    Args:
        model: `keras.Model` on the TensorFlow backend, with one input and
            one output. The batch may have any size.
        path: path of the folder to write, which must not exist.
        packed: bool, whether to entropy-code the weights, without loss, as
            `packed_saved_model.save` does. The folder of a pruned model with
            shared weights is much smaller then, and TensorFlow alone decodes
            it when it is loaded. Defaults to `False`.
        raw_images: bool, whether to add a second signature, `raw_images`,
            whose `images` are unprocessed photographs: uint8 RGB of shape
            `(batch, height, width, 3)`, of any height and width. They are
            resized, cropped to the center and preprocessed as
            `data.image_ops.square` and `preprocess_input` do it. Defaults to
            `False`.
        shorter_side: int, the length that the shorter side of raw images is
            resized to, in pixels. Defaults to the side of the network's
            images, as in `data`; the networks for ImageNet are tested with
            256 for 227.

    Raises:
        RuntimeError: on a backend other than TensorFlow.
        ValueError: with `packed`, if the model is not as `graph.describe`
            takes it; with `raw_images`, if the network does not take square
            images of one size.
    """
    backend.require_tensorflow()
    if packed:
        content = codec.dump(model)
        packed_saved_model.save(content, path, raw_images, shorter_side)
    else:
        signatures.write(servable(model), path, raw_images, shorter_side)


def save_quantized(quantized: Any, path: str | os.PathLike) -> None:
    """Write a SavedModel folder of a quantization-aware model.

    The folder has TensorFlow's fake quantization around the float32 kernels
    and activations, so it computes what the int8 file was trained to compute,
    and needs neither TF-MOT nor this package.

    Args:
        quantized: `tf_keras.Model` with TF-MOT's quantization wrappers, with
            one input and one output. The batch may have any size.
        path: path of the folder to write, which must not exist.
    """
    signatures.write(servable(quantized), path)


def servable(model: Any) -> tf.Module:
    """Return a module whose `serve` runs a model of Keras 2 or 3.

    Args:
        model: `keras.Model` on the TensorFlow backend or `tf_keras.Model`,
            with one input and one output.

    Returns:
        A `tf.Module`. Its `serve` is a `tf.function` of `images`, a float32
        batch of any size; its variables are those that the outputs depend on.
    """
    signature = tf.TensorSpec(model.input_shape, tf.float32, name="images")
    module = tf.Module()
    module.serve = tf.function(
        lambda images: model(images, training=False),
        input_signature=[signature],
    )
    # The function alone does not keep its variables alive.
    module.weights = module.serve.get_concrete_function().variables
    return module


def load(path: str | os.PathLike) -> Callable[[np.ndarray], np.ndarray]:
    """Load a SavedModel that this package wrote.

    Returns:
        A function from a batch of images to outputs, both NumPy.
    """
    loaded = tf.saved_model.load(str(path))

    def predict(images):
        # The reference to `loaded` keeps its variables alive. A packed model
        # names its output.
        (output,) = tf.nest.flatten(loaded.serve(images))
        return output.numpy()

    return predict


def load_signature(
    path: str | os.PathLike,
) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[int | None, ...]]:
    """Load any SavedModel with one input and one output.

    Args:
        path: path of the folder; it must have a signature `serving_default`.

    Returns:
        `(function, shape)`: from a batch of images to outputs, both NumPy,
        and the shape of the input, with `None` for any size.

    Raises:
        ValueError: if it has no such signature. TensorFlow raises other
            exceptions for a damaged folder.
    """
    loaded = tf.saved_model.load(str(path))
    if signatures.SERVING not in loaded.signatures:
        raise ValueError(
            f"a SavedModel must have a signature {signatures.SERVING!r}. "
            f"Received: {', '.join(loaded.signatures) or 'none'}"
        )
    signature = loaded.signatures[signatures.SERVING]
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            "a SavedModel must have one input and one output. Received: "
            f"{', '.join(sorted(inputs))} and {', '.join(sorted(outputs))}"
        )
    ((name, spec),) = inputs.items()

    def predict(images):
        # The reference to `loaded` keeps its variables alive.
        outputs = loaded.signatures[signatures.SERVING](
            **{name: tf.constant(images)}
        )
        (output,) = outputs.values()
        return output.numpy()

    return predict, tuple(spec.shape)


def read_kernels(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the kernels of a SavedModel by layer.

    Layers are found by the names that Keras gives to their variables, such as
    `conv1/kernel`.
    """
    loaded = tf.saved_model.load(str(path))
    kernels = {}
    for variable in loaded.signatures[signatures.SERVING].variables:
        *_, layer, weight = f"/{variable.name}".split("/")
        if weight.partition(":")[0] == "kernel":
            kernels[layer] = variable.numpy()
    return kernels
