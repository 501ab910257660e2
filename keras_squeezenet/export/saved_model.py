"""SavedModel folders: written, plain or packed, and read."""

import tensorflow as tf

from keras_squeezenet import codec
from keras_squeezenet.export import packed_saved_model
from keras_squeezenet.export import signatures
from keras_squeezenet.utils import backend


def save(model, path, packed=False, raw_images=False, shorter_side=None):
    """Writes a SavedModel folder with an endpoint named `serve`.

    `Model.export` of Keras 3.15 writes every weight twice; this does not.

    Args:
        model: `keras.Model` on the TensorFlow backend, with one input and
            one output. The batch may have any size.
        path: the folder to write, which should not exist.
        packed: whether the weights are entropy coded, without loss, as
            `packed.save` writes them: the folder of a pruned model with
            shared weights is a fraction as large, and stock TensorFlow
            decodes it when it is loaded. Defaults to `False`.
        raw_images: whether there is a second signature, `raw_images`. Its
            `images` are photographs as they are: uint8, RGB, of shape
            `(batch, height, width, 3)` and any height and width. They are
            resized, cut to their centre and preprocessed as
            `data.images.square` and `preprocess_input` do it. Defaults to
            `False`.
        shorter_side: int, what the shorter side of raw images is resized to.
            Defaults to the side of the network's images, which is what `data`
            does; the networks for ImageNet are tested with 256 for 227.

    Raises:
        RuntimeError: on another backend.
        ValueError: if it is to be packed and the model is not as
            `graph.describe` takes it, or to take raw images and the network
            does not take squares of one size.
    """
    backend.require_tensorflow()
    if packed:
        content = codec.dump(model)
        packed_saved_model.save(content, path, raw_images, shorter_side)
    else:
        signatures.write(servable(model), path, raw_images, shorter_side)


def save_quantized(quantized, path):
    """Writes a model trained quantization-aware as `save` writes a model.

    The folder has TensorFlow's own fake quantization around the float32
    kernels and activations, so it computes what the int8 file was trained to
    compute, and needs neither TF-MOT nor this package to do so.

    Args:
        quantized: `tf_keras.Model` with TF-MOT's quantization wrappers, with
            one input and one output. The batch may have any size.
        path: the folder to write, which should not exist.
    """
    signatures.write(servable(quantized), path)


def servable(model):
    """Returns a `tf.Module` whose `serve` runs a model of either Keras.

    Args:
        model: `keras.Model` on the TensorFlow backend or `tf_keras.Model`,
            with one input and one output.

    Returns:
        A `tf.Module`. Its `serve` is a `tf.function` of `images`, float32 and
        of any batch; its variables are those that the outputs depend on.
    """
    signature = tf.TensorSpec(model.input_shape, tf.float32, name="images")
    module = tf.Module()
    module.serve = tf.function(
        lambda images: model(images, training=False),
        input_signature=[signature],
    )
    # The function itself does not keep its variables.
    module.weights = module.serve.get_concrete_function().variables
    return module


def load(path):
    """Returns a function from a batch of images to outputs, both NumPy."""
    loaded = tf.saved_model.load(str(path))

    def predict(images):
        # `loaded` lives as long as this function: it owns the variables. A
        # packed one names its output.
        (output,) = tf.nest.flatten(loaded.serve(images))
        return output.numpy()

    return predict


def load_signature(path):
    """Loads a SavedModel of one input and one output, whoever wrote it.

    Args:
        path: path of the folder; it has a signature `serving_default`.

    Returns:
        `(function, shape)`: from a batch of images to outputs, both NumPy,
        and the input's shape, a tuple with `None` for any size.

    Raises:
        ValueError: if it has no such signature, or another one. TensorFlow
            raises others for a damaged folder.
    """
    loaded = tf.saved_model.load(str(path))
    if signatures.SERVING not in loaded.signatures:
        raise ValueError(
            f"a signature {signatures.SERVING!r} is expected. Found: "
            f"{', '.join(loaded.signatures) or 'none'}"
        )
    signature = loaded.signatures[signatures.SERVING]
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            "one input and one output are expected. Found: "
            f"{', '.join(sorted(inputs))} and {', '.join(sorted(outputs))}"
        )
    ((name, spec),) = inputs.items()

    def predict(images):
        # By way of `loaded`, which owns the variables, so that it lives on.
        outputs = loaded.signatures[signatures.SERVING](
            **{name: tf.constant(images)}
        )
        (output,) = outputs.values()
        return output.numpy()

    return predict, tuple(spec.shape)


def read_kernels(path):
    """Returns `{layer name: kernel}` of a SavedModel with `serving_default`.

    Layers are told by the names of their variables, as Keras gives them:
    `conv1/kernel`.
    """
    loaded = tf.saved_model.load(str(path))
    kernels = {}
    for variable in loaded.signatures[signatures.SERVING].variables:
        *_, layer, weight = f"/{variable.name}".split("/")
        if weight.partition(":")[0] == "kernel":
            kernels[layer] = variable.numpy()
    return kernels
