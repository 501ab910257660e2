"""What every SavedModel of this package has in common: how it is asked."""

import tensorflow as tf

from keras_squeezenet.data import image_ops

SERVING = "serving_default"
RAW_IMAGES = "raw_images"


def write(module, path, raw_images=False, shorter_side=None, options=None):
    """Writes a SavedModel folder with the signature `serving_default`.

    Args:
        module: `tf.Module`. Its `serve` is a `tf.function` of `images`, with
            an input signature.
        path: the folder to write, which should not exist.
        raw_images: whether there is a second signature, `raw_images`, of
            photographs as they are. Defaults to `False`.
        shorter_side: int, what the shorter side of raw images is resized to.
            Defaults to the side of those that `serve` takes.
        options: `tf.saved_model.SaveOptions`. Defaults to TensorFlow's own.

    Raises:
        ValueError: if it is to take raw images, and `serve` does not take
            squares of one size, or larger ones than `shorter_side`.
    """
    signatures = {SERVING: module.serve}
    if raw_images:
        signatures[RAW_IMAGES] = _of_raw_images(module.serve, shorter_side)
    tf.saved_model.save(
        module, str(path), signatures=signatures, options=options
    )


def _of_raw_images(serve, shorter_side):
    """Returns what reads photographs as they are, for `serve`."""
    (spec,) = serve.input_signature
    _, side, width, channels = spec.shape
    if side is None or side != width or channels != 3:
        raise ValueError(
            "raw images are cut to RGB squares of one size, which the network "
            f"should take. Received: one that takes {tuple(spec.shape)}"
        )
    shorter_side = shorter_side or side
    if shorter_side < side:
        raise ValueError(
            f"shorter_side should be at least the side of {side} pixels that "
            f"is cut out. Received: shorter_side={shorter_side}"
        )

    def serve_raw(images):
        squares = image_ops.squares(images, side, shorter_side)
        return serve(image_ops.preprocess(squares))

    return tf.function(
        serve_raw,
        input_signature=[
            tf.TensorSpec((None, None, None, channels), tf.uint8, "images")
        ],
    )
