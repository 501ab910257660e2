"""Signatures of the SavedModels that this package writes."""

import os

import tensorflow as tf

from keras_squeezenet import metadata
from keras_squeezenet.data import image_ops

SERVING = "serving_default"
RAW_IMAGES = "raw_images"
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
        signatures[RAW_IMAGES] = _raw_images_function(
            module.serve, shorter_side, known.normalization
        )
    tf.saved_model.save(
        module, str(path), signatures=signatures, options=options
    )
    metadata.write(path, found)


def _raw_images_function(serve, shorter_side, normalization):
    """Return a function that preprocesses photographs for `serve`."""
    (spec,) = serve.input_signature
    _, side, width, channels = spec.shape
    if side is None or side != width or channels != 3:
        raise ValueError(
            "with raw_images=True the network must take RGB images of one "
            "square size. Received: a network that takes the shape "
            f"{tuple(spec.shape)}"
        )
    shorter_side = shorter_side or side
    if shorter_side < side:
        raise ValueError(
            f"`shorter_side` must be at least {side}, the side of the "
            f"network's images. Received: shorter_side={shorter_side}"
        )

    def serve_raw(images):
        squares = image_ops.squares(images, side, shorter_side)
        return serve(image_ops.normalize(squares, normalization))

    return tf.function(
        serve_raw,
        input_signature=[
            tf.TensorSpec((None, None, None, channels), tf.uint8, "images")
        ],
    )
