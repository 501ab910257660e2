"""Signatures of the SavedModels that this package writes."""

import os

import tensorflow as tf

from keras_squeezenet import metadata
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import image_squares
from keras_squeezenet.export import encoded_images

SERVING = "serving_default"
RAW_IMAGES = "raw_images"
ENCODED_IMAGES = "encoded_images"
# The name of the output in every signature; that of the input is "images".
OUTPUT = "probabilities"


def write(
    module: tf.Module,
    path: str | os.PathLike,
    raw_images: bool = False,
    shorter_side: int | None = None,
    options: tf.saved_model.SaveOptions | None = None,
    found: metadata.Metadata | None = None,
) -> None:
    """Write a SavedModel folder as `saved_model.save` does.

    The signature `serving_default` is `module.serve`, a `tf.function` with an
    input signature. The metadata in `found` are written too.
    """
    signatures = {SERVING: module.serve}
    if raw_images:
        known = found or metadata.Metadata()
        signatures.update(_photographs(module.serve, shorter_side, known))
    tf.saved_model.save(
        module, str(path), signatures=signatures, options=options
    )
    metadata.write(path, found)


def _photographs(serve, shorter_side, found):
    """Return the signatures that prepare photographs for `serve`."""
    (spec,) = serve.input_signature
    _, side, width, channels = spec.shape
    if side is None or side != width or channels != 3:
        raise ValueError(
            "with raw_images=True the network must take RGB images of one "
            "square size. Received: a network that takes the shape "
            f"{tuple(spec.shape)}"
        )
    shorter_side = shorter_side or _shorter_side(serve, side, found)
    if shorter_side < side:
        raise ValueError(
            f"`shorter_side` must be at least {side}, the side of the "
            f"network's images. Received: shorter_side={shorter_side}"
        )

    def serve_squares(squares):
        return serve(image_ops.normalize(squares, found.normalization))

    def serve_raw(images):
        return serve_squares(image_ops.squares(images, side, shorter_side))

    def serve_encoded(images):
        squares = tf.map_fn(
            lambda content: image_ops.square(
                encoded_images.decode(content), side, shorter_side
            ),
            images,
            fn_output_signature=tf.TensorSpec((side, side, 3), tf.uint8),
        )
        return serve_squares(squares)

    return {
        name: tf.function(
            function, input_signature=[tf.TensorSpec(shape, dtype, "images")]
        )
        for name, function, shape, dtype in (
            (RAW_IMAGES, serve_raw, (None, None, None, 3), tf.uint8),
            (ENCODED_IMAGES, serve_encoded, (None,), tf.string),
        )
    }


def _shorter_side(serve, side, found):
    """Return the `shorter_side` of `Classifier` for the same network."""
    (outputs,) = serve.get_concrete_function().structured_outputs.values()
    is_imagenet = metadata.is_imagenet(found, outputs.shape[-1])
    return image_squares.shorter_side(side, is_imagenet)
