"""Class activation maps: which parts of an image speak for a class.

References:
- [Learning Deep Features for Discriminative Localization](
  https://arxiv.org/abs/1512.04150) (Zhou et al., 2016), section 2: CAM
- [Grad-CAM](https://arxiv.org/abs/1610.02391) (Selvaraju et al., 2017),
  section 3
"""

import functools
import os
from collections.abc import Sequence

import keras
import numpy as np

from keras_squeezenet import feature_extraction
from keras_squeezenet import flattening
from keras_squeezenet import graph
from keras_squeezenet import models
from keras_squeezenet.utils import backend

BATCH_SIZE = 32
POOLING = "GlobalAveragePooling2D"
# Layers of a head that is linear, but for what turns logits into probabilities.
LINEAR_HEAD = ("Activation", "Dense", "Dropout", "Softmax")
FINAL = ("Activation", "Softmax")
TO_PROBABILITIES = ("linear", "sigmoid", "softmax", "log_softmax")
# Matplotlib's "inferno", for color-blind readers too, at equal distances.
COLORS = np.array(
    [
        *([0, 0, 4], [33, 12, 74], [87, 16, 110], [138, 34, 106]),
        *([188, 55, 84], [228, 90, 49], [249, 142, 9], [249, 203, 53]),
        [252, 255, 164],
    ]
)
# The red, green and blue in the brightness of a pixel.
BRIGHTNESS = (0.299, 0.587, 0.114)
# The opacity of the heat map at its lowest and at its highest value.
OPACITY = (0.1, 0.7)


def activation_maps(
    model: "keras.Model | str | os.PathLike",
    images: np.ndarray,
    classes: Sequence[int] | np.ndarray | None = None,
    *,
    upsample: bool = False,
) -> np.ndarray:
    """Return class activation maps: which parts of images speak for a class.

    Where the head is linear on average-pooled features (`conv10` and pooling,
    or pooling and one dense layer), they are those of CAM, and the mean of a
    map is exactly the logit of its class. They are taken after the activation
    of `conv10`, if it has one: what the pooling averages. With other heads they
    are those of Grad-CAM, which needs the TensorFlow backend.

    Args:
        model: a `keras.Model` of layers that `compression.compress` takes, or
            what `models.load` takes.
        images: normalized images of shape `(batch, height, width, channels)`.
        classes: the indices of the classes: of shape `(k,)`, the same for all
            images, or of shape `(batch, k)`. Defaults to all classes.
        upsample: whether to interpolate the maps to the size of the images.
            Defaults to `False`.

    Returns:
        A float32 array of shape `(batch, rows, columns, classes)`.

    Raises:
        ValueError: if no output inside the model has rows and columns, it has
            layers that are not known, or a class is not one of its outputs.
        RuntimeError: if Grad-CAM is needed, on another backend.

    Example:

    >>> images = np.zeros((2, 32, 32, 3), "float32")
    >>> evaluation.activation_maps("cifar10", images, [3, 5]).shape
    (2, 8, 8, 2)
    """
    return Explainer(models.load(model)).maps(images, classes, upsample)


class Explainer:
    """Computes the class activation maps of one network.

    Attributes:
        method: `"CAM"` or `"Grad-CAM"`.
        info: the `FeatureInfo` of the maps.
    """

    @backend.channels_last()
    def __init__(self, model: keras.Model) -> None:
        flat = _without_identities(flattening.flatten(model))
        layers = {each["name"]: each for each in graph.describe(flat)["layers"]}
        if len(flat.output_shape) != 2:
            raise ValueError(
                "`model` must be a classifier, with outputs of shape (batch, "
                f"classes). Received: outputs of shape {flat.output_shape}"
            )
        pooling, head = _head(flat, layers)
        (source,) = layers[pooling]["inputs"]
        features = flat.get_layer(source).output
        self.classes = flat.output_shape[-1]
        self.info = feature_extraction.features(flat, [source]).feature_info[
            source
        ]
        self._backbone = keras.Model(flat.input, features)
        is_average = layers[pooling]["type"] == POOLING
        if is_average and _is_linear([layers[name] for name in head]):
            self.method, self._compute = "CAM", self._cam
            weights = [flat.get_layer(name).get_weights() for name in head]
            self._weights = next(filter(None, weights), None)
        else:
            self.method, self._compute = "Grad-CAM", self._grad_cam
            backend.require_tensorflow(
                "Grad-CAM, which this network needs because its head is not "
                "one dense layer on average-pooled features,"
            )
            self._logits = _logits_of(flat, layers, features)

    def maps(
        self,
        images: np.ndarray,
        classes: Sequence[int] | np.ndarray | None = None,
        upsample: bool = False,
    ) -> np.ndarray:
        """Return maps; see `activation_maps`."""
        images = np.asarray(images, "float32")
        expected = self._backbone.input_shape
        fits = len(images) and images.ndim == len(expected)
        if not fits or any(
            side not in (None, received)
            for side, received in zip(expected, images.shape)
        ):
            raise ValueError(
                f"`images` must have the shape {expected}, with at least one "
                f"image. Received: images of shape {images.shape}"
            )
        if classes is None:
            classes = np.arange(self.classes)
        classes = np.asarray(classes)
        if (
            classes.dtype.kind not in "iu"
            or classes.ndim not in (1, 2)
            or np.any((classes < 0) | (classes >= self.classes))
        ):
            raise ValueError(
                f"`classes` must be integers from 0 to {self.classes - 1}, of "
                "shape (k,) or (batch, k). Received: "
                f"classes={classes.tolist()!r:.80}"
            )
        classes = np.broadcast_to(classes, (len(images), classes.shape[-1]))
        batches = range(0, len(images), BATCH_SIZE)
        found = [
            self._compute(
                self._backbone.predict_on_batch(images[i : i + BATCH_SIZE]),
                classes[i : i + BATCH_SIZE],
            )
            for i in batches
        ]
        maps = np.concatenate(found)
        if upsample:
            maps = resize(maps, images.shape[1:3], self.info)
        return maps.astype("float32")

    def _cam(self, features, classes):
        if self._weights is None:
            return np.take_along_axis(features, classes[:, None, None], -1)
        kernel, *bias = self._weights
        maps = np.einsum("bijc,cbk->bijk", features, kernel[:, classes])
        return maps + bias[0][classes][:, None, None] if bias else maps

    def _grad_cam(self, features, classes):
        import tensorflow as tf

        features = tf.convert_to_tensor(features)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(features)
            logits = self._logits(features, training=False)
            chosen = [
                tf.gather(logits, indices, batch_dims=1)
                for indices in classes.T
            ]
        maps = []
        for logit in chosen:
            gradient = tape.gradient(logit, features)
            weights = tf.reduce_mean(gradient, (1, 2), keepdims=True)
            maps.append(tf.nn.relu(tf.reduce_sum(weights * features, -1)))
        return np.stack(maps, axis=-1)


def _without_identities(flat):
    """Return a model without the linear activations at its end."""
    last = flat.operations[-1]
    linear = keras.activations.linear
    if type(last).__name__ == "Activation" and last.activation is linear:
        return _without_identities(keras.Model(flat.input, last.input))
    return flat


def _head(flat, layers):
    """Return the name of the last layer from maps to vectors, and the rest."""
    name, head = flat.operations[-1].name, []
    while layers[name].get("inputs"):
        source = layers[name]["inputs"][0]
        if len(flat.get_layer(source).output.shape) == 4:
            return name, head[::-1]
        head.append(name)
        name = source
    raise ValueError(
        "the model must have a layer whose output has rows and columns. "
        f"Received: {flat.name!r}"
    )


def _is_linear(head):
    """Return whether the logits are a linear function of pooled features."""
    kinds = [layer["type"] for layer in head]
    activations = [each.get("activation", "linear") for each in head]
    return (
        set(kinds) <= set(LINEAR_HEAD)
        and kinds.count("Dense") <= 1
        and "Softmax" not in kinds[:-1]
        and set(activations[:-1]) <= {"linear"}
        and set(activations[-1:]) <= set(TO_PROBABILITIES)
    )


def _logits_of(flat, layers, features):
    """Return the model from feature maps to logits."""
    try:
        return keras.Model(features, _logits(flat, layers))
    except ValueError as error:
        raise ValueError(
            "the head of the model must take the feature maps of one layer. "
            f"Received: {flat.name!r}, whose head takes those of others too"
        ) from error


def _logits(flat, layers):
    """Return the tensor of the logits of a model."""
    last = flat.operations[-1]
    source = flat.get_layer(layers[last.name]["inputs"][0]).output
    if type(last).__name__ in FINAL:
        return source
    config = {**last.get_config(), "activation": "linear"}
    linear = type(last).from_config(config)
    logits = linear(source)
    linear.set_weights(last.get_weights())
    return logits


def resize(
    maps: np.ndarray,
    size: Sequence[int],
    info: "feature_extraction.FeatureInfo | None" = None,
) -> np.ndarray:
    """Interpolate maps to the size of their images, bilinearly.

    Args:
        maps: of shape `(batch, rows, columns, classes)`.
        size: the height and the width in pixels.
        info: where the centers of the cells are in the images. Defaults to
            cells that fill the images.
    """
    rows, columns = (
        _interpolation(cells, pixels, info)
        for cells, pixels in zip(maps.shape[1:3], size)
    )
    return np.einsum("yi,bijk,xj->byxk", rows, maps, columns, optimize=True)


def _interpolation(cells, pixels, info):
    """Return the share of each cell in each pixel."""
    stride = info.stride if info else pixels / cells
    offset = info.offset if info else (stride - 1) / 2
    places = (np.arange(pixels) - offset) / stride
    identity = np.eye(cells)
    each = functools.partial(np.interp, places, np.arange(cells))
    return np.stack([each(row) for row in identity], axis=1)


def overlay(image: np.ndarray, activation_map: np.ndarray) -> np.ndarray:
    """Return an image in gray, with an activation map over it in color.

    The image stays gray where the map is 0 or less: nothing there speaks for
    the class. The colors go over red to bright yellow, at the highest value of
    this map. They can be told apart by color-blind readers.

    Args:
        image: uint8 RGB, of shape `(height, width, 3)`.
        activation_map: one of `activation_maps(..., upsample=True)`, of shape
            `(height, width)`; a smaller one is interpolated.

    Returns:
        A uint8 array of shape `(height, width, 3)`.
    """
    if activation_map.shape != image.shape[:2]:
        maps = np.asarray(activation_map, "float64")[None, ..., None]
        activation_map = resize(maps, image.shape[:2])[0, ..., 0]
    heat = scaled(activation_map)[..., np.newaxis]
    gray = (image @ np.array(BRIGHTNESS))[..., np.newaxis]
    low, high = OPACITY
    opacity = low + (high - low) * heat
    mixed = (1 - opacity) * gray + opacity * colored(heat[..., 0])
    return mixed.round().clip(0, 255).astype("uint8")


def scaled(values: np.ndarray) -> np.ndarray:
    """Return values divided by the highest one; zeros for those below 0.

    The gradients of a softmax leave the mean over the classes as it is, so that
    0 is the evidence for an average class.
    """
    values = np.asarray(values, "float64")
    high = values.max()
    if not np.isfinite(high) or high <= 0:
        return np.zeros_like(values)
    return np.maximum(values, 0) / high


def colored(heat: np.ndarray) -> np.ndarray:
    """Return the colors of values from 0 to 1, as floats up to 255."""
    places = np.linspace(0, 1, len(COLORS))
    return np.stack(
        [np.interp(heat, places, channel) for channel in COLORS.T], axis=-1
    )
