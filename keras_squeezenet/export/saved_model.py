"""Write and read SavedModel folders, plain or packed."""

import math
import os
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import codec
from keras_squeezenet import flattening
from keras_squeezenet import metadata
from keras_squeezenet.export import packed_saved_model
from keras_squeezenet.export import saved_model_check
from keras_squeezenet.export import signatures
from keras_squeezenet.utils import backend


def save(
    model: keras.Model,
    path: str | os.PathLike,
    packed: bool = False,
    raw_images: bool = False,
    shorter_side: int | None = None,
) -> None:
    """Write a SavedModel folder.

    Its signature `serving_default` maps `images`, a float32 batch of normalized
    images, to `probabilities`, packed or not. Unlike `Model.export` of Keras
    3.15, it writes every weight only once.

    Args:
        model: on the TensorFlow backend, with one input and one output. The
            batch may have any size.
        path: the folder to write, which must not exist.
        packed: whether to entropy-code the weights without loss. The folder of
            a pruned and clustered model is then much smaller, and TensorFlow
            alone decodes it at loading.
        raw_images: whether to add two signatures that resize, crop and
            preprocess photographs as `predict` does: `raw_images` takes uint8
            RGB of shape `(batch, height, width, 3)`, and `encoded_images` the
            bytes of JPEG or PNG files, strings of shape `(batch,)`.
        shorter_side: the length that the shorter side of photographs is
            resized to, in pixels. Defaults to that of `predict`: 256 for
            images of 227 and ImageNet's 1,000 classes, otherwise the side of
            the network's images.

    Raises:
        RuntimeError: on a backend other than TensorFlow.
        ValueError: with `packed`, if the model is not flat and Functional;
            with `raw_images`, if the network does not take square images of
            one size, or they are larger than `shorter_side`.
    """
    backend.require_tensorflow()
    if packed:
        content = codec.dump(model)
        packed_saved_model.save(content, path, raw_images, shorter_side)
    else:
        signatures.write(
            servable(model, has_names=True),
            path,
            raw_images,
            shorter_side,
            found=metadata.of(model),
        )


def write_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    calibration: np.ndarray | None = None,
) -> None:
    """Write a SavedModel with all signatures; see `formats.Format`."""
    del calibration
    save(model, path, raw_images=True)


def write_packed_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    calibration: np.ndarray | None = None,
) -> None:
    """Write the same with entropy-coded weights."""
    del calibration
    save(model, path, packed=True, raw_images=True)


def save_quantized(quantized: Any, path: str | os.PathLike) -> None:
    """Write a SavedModel folder of a quantization-aware model.

    The folder computes what the int8 file computes, with TensorFlow's fake
    quantization of float32 kernels and activations. Neither TF-MOT nor this
    package is needed to run it.

    Args:
        quantized: `tf_keras.Model` with TF-MOT's quantization wrappers, with
            one input and one output. The batch may have any size.
        path: the folder to write, which must not exist.
    """
    module = servable(quantized, has_names=True)
    signatures.write(module, path, found=metadata.of(quantized))


def servable(model: Any, has_names: bool = False) -> tf.Module:
    """Return a module whose `serve` runs a `keras.Model` or `tf_keras.Model`.

    `serve` is a `tf.function` of `images`, a float32 batch of any size. A model
    that computes in another type, such as bfloat16, runs as a float32 copy.
    With `has_names` the output is a dict, as that of a signature.
    """
    if isinstance(model, keras.Model) and any(
        layer.weights and layer.compute_dtype != "float32"
        for layer in model.layers
    ):
        model = flattening.flatten(model)
    module = tf.Module()

    def serve(images):
        outputs = model(images, training=False)
        return {signatures.OUTPUT: outputs} if has_names else outputs

    module.serve = tf.function(
        serve,
        input_signature=[
            tf.TensorSpec(model.input_shape, tf.float32, name="images")
        ],
    )
    # The function alone does not keep its variables alive.
    module.weights = module.serve.get_concrete_function().variables
    return module


def load(path: str | os.PathLike) -> Callable[[np.ndarray], np.ndarray]:
    """Load a SavedModel as a function of a batch; see `load_signature`."""
    return load_signature(path)[0]


def load_signature(
    path: str | os.PathLike,
) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[int | None, ...]]:
    """Load a SavedModel with one input and one output.

    Args:
        path: a folder with a signature `serving_default`, and only with
            operations of networks.

    Returns:
        A function from a batch of images to outputs, and the shape of its
        input, with `None` for any size. Photographs may be uint8 where it takes
        floats.

    Raises:
        OSError: if there is no SavedModel.
        ValueError: if the folder has no such signature, or other operations.
            TensorFlow raises other exceptions if it is damaged.
    """
    saved_model_check.require_computation(path)
    loaded = tf.saved_model.load(str(path))
    if signatures.SERVING not in loaded.signatures:
        raise ValueError(
            f"a SavedModel must have a signature {signatures.SERVING!r}. "
            f"Received: {', '.join(loaded.signatures) or 'none'}; export it "
            "again with one"
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
        serve = loaded.signatures[signatures.SERVING]
        if spec.dtype.is_floating:
            images = tf.cast(images, spec.dtype)
        # A signature does not check the size of images.
        images = tf.ensure_shape(images, spec.shape)
        (output,) = serve(**{name: images}).values()
        return output.numpy()

    return predict, tuple(spec.shape)


def read_kernels(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the kernels of a SavedModel by layer; nothing in it is run.

    Layers are found by the names of their variables, such as `conv1/kernel`.
    A packed SavedModel has none.

    Raises:
        ValueError: if the variables are larger than their files. TensorFlow
            raises other exceptions if they are damaged.
    """
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    folder = pathlib.Path(path, "variables")
    reader = tf.train.load_checkpoint(str(folder / "variables"))
    sizes = map(math.prod, reader.get_variable_to_shape_map().values())
    size = sum(file.stat().st_size for file in folder.glob("variables.data-*"))
    if sum(sizes) > size:
        raise ValueError("its variables must be as large as their files")
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    )
    kernels = {}
    for node in graph.nodes:
        for variable in node.attributes:
            *_, layer, weight = f"/{variable.full_name}".split("/")
            if weight == "kernel":
                kernels[layer] = reader.get_tensor(variable.checkpoint_key)
    return kernels
