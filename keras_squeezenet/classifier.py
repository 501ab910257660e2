"""Classify image files with a network in any format."""

import dataclasses
import logging
import os
import pathlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import BinaryIO

import numpy as np

from keras_squeezenet import architecture
from keras_squeezenet import imagenet
from keras_squeezenet import metadata
from keras_squeezenet import normalizations
from keras_squeezenet import runtimes
from keras_squeezenet.data import image_reader
from keras_squeezenet.data import image_squares
from keras_squeezenet.pretrained import hub
from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import files

if TYPE_CHECKING:
    import keras

# What `compress` writes beside its models.
REPORT_FILE = "report.json"

logger = logging.getLogger(__name__)
# How far probabilities may be outside of 0 to 1, and their sum from 1.
TOLERANCE = 0.01
# Rounding to 8 bits may add so much to the sum for each class.
ROUNDING = 1 / 512


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A network that classifies images of one size.

    Args:
        name: the path, name or address with a commit that it was loaded from.
        function: maps normalized float32 images of shape `(batch, image_size,
            image_size, 3)` to outputs of shape `(batch, classes)`.
        image_size: the side of the images in pixels.
        classes: the `(WordNet id, name)` of each class, without an id outside
            of ImageNet. Empty where the names are unknown.
        normalization: the normalization of the images that `function` takes, a
            key of `normalizations.NORMALIZATIONS`.
        model: the `keras.Model`, where the file has its layers.
        thresholds: of a network of several labels: the probability from which
            an image has the label, for each class. Empty for one label.
    """

    name: str
    function: Callable[[np.ndarray], np.ndarray]
    image_size: int
    classes: tuple[tuple[str | None, str], ...] = ()
    normalization: str = normalizations.CAFFE
    model: "keras.Model | None" = None
    thresholds: tuple[float, ...] = ()

    @property
    def shorter_side(self) -> int:
        """The size in pixels to which the shorter side of an image is resized.

        The network sees the central square of the result.
        """
        is_imagenet = self.classes == imagenet.imagenet_classes()
        return image_squares.shorter_side(self.image_size, is_imagenet)

    def read(self, source: "str | os.PathLike | BinaryIO") -> np.ndarray:
        """Read the central square of an image file, by path or opened.

        Returns:
            uint8 RGB, of shape `(image_size, image_size, 3)`.

        Raises:
            OSError: if it is not an image. Pillow raises other exceptions for
                some kinds of damage.
        """
        return image_squares.square(
            image_reader.read(source), self.image_size, self.shorter_side
        )

    def predict(self, squares: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes for squares that `read` read.

        Logits get a softmax. Outputs are logits if the last layer of the
        `model` has no activation; where the layers are unknown, if they are not
        between 0 and 1 or, of one label, their sum is not 1.
        """
        known = normalizations.get(self.normalization)
        return self.probabilities(known.apply(np.asarray(squares)))

    def probabilities(self, x):
        """Return the probabilities of the classes for normalized images."""
        outputs = np.asarray(self.function(x), "float32")
        exp = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.where(
            self._are_probabilities(outputs),
            outputs,
            exp / exp.sum(axis=1, keepdims=True),
        )

    def _are_probabilities(self, outputs):
        """Return whether outputs are probabilities: of all or each image.

        Each image is judged by itself, so that the batch changes nothing.
        """
        if self.model is not None:
            activation = metadata.last_activation(self.model)
            if activation in ("linear", "sigmoid", "softmax"):
                return activation != "linear"
        low = outputs.min(axis=1, keepdims=True)
        high = outputs.max(axis=1, keepdims=True)
        are_within = (low >= -TOLERANCE) & (high <= 1 + TOLERANCE)
        if self.thresholds:
            return are_within
        error = abs(outputs.sum(axis=1, keepdims=True) - 1)
        return are_within & (error <= TOLERANCE + ROUNDING * outputs.shape[1])

    def class_of(self, index: int) -> tuple[str | None, str]:
        """Return the `(WordNet id, name)` of an output."""
        if self.classes:
            return self.classes[index]
        return None, f"class {index}"


def load(
    model: "keras.Model | str | os.PathLike",
    config: "architecture.SqueezeNetConfig | str | None" = None,
    image_size: int | None = None,
    class_names: Sequence[str] | None = None,
    normalization: str | None = None,
    *,
    loaded: "keras.Model | None" = None,
    num_threads: int | None = None,
) -> Classifier:
    """Load a classifier from a model, a file or the name of weights.

    Args:
        model: a `keras.Model`; the name of pretrained weights, such as
            `"imagenet"`; the path of a weights file, a `.keras`, `.sqz`,
            `.tflite` or `.onnx` file or a folder of a SavedModel or for
            OpenVINO; or an address on the hub, as `models.load` takes it.
        config: `SqueezeNetConfig` or the name of a variant, for weights.
            Defaults to the variant that they fit.
        image_size: the side in pixels, where the network takes any size.
            Defaults to the size that it was trained for, or `227`.
        class_names: names of the classes. Defaults to those of the named
            weights, of the file or of the `report.json` beside it, or to
            ImageNet's for 1,000 outputs.
        normalization: as `models.load` takes it.
        loaded: the result of `models.load(model)`, to avoid a second load.
        num_threads: the number of threads of LiteRT, ONNX Runtime or OpenVINO.
            Defaults to `2` for LiteRT, and to what the others choose.

    Raises:
        OSError: if the file is missing or cannot be downloaded.
        ValueError: if it is damaged, is not an image classifier, or has another
            normalization or order of classes than the one given.
    """
    if isinstance(model, str | os.PathLike):
        located = hub.locate(model)
        model = name = located.path
        source = located.name
    else:
        import keras

        if not isinstance(model, keras.Model):
            registry.require_name(model)
        source = name = model.name
        loaded = model
    runtime = runtimes.find(name) if loaded is None else None
    if runtime:
        function, shape = runtime(name, num_threads)
        found = metadata.read(name)
    else:
        if loaded is None:
            from keras_squeezenet import models

            loaded = models.load(
                model,
                config=config,
                image_size=image_size,
                normalization=normalization,
            )
            # `models.load` has applied it.
            normalization = None
        function, shape = loaded.predict_on_batch, loaded.input_shape
        found = metadata.of(loaded)
    normalization = metadata.resolve(found, normalization, name)
    trained_on = found.image_size if found else None
    if image_size and trained_on and image_size != trained_on:
        logger.warning(
            "%s was trained on images of %dx%d. Received: image_size=%d",
            *(name, trained_on, trained_on, image_size),
        )
    side = _side(name, shape, image_size)
    side = side or trained_on or architecture.DEFAULT_SIDE
    count = _count_outputs(name, function, side)
    if class_names:
        metadata.require_order(found, class_names, "`class_names`")
    names = class_names or (found.class_names if found else ())
    classes: tuple[tuple[str | None, str], ...] = tuple(
        (None, label) for label in names
    )
    if not classes and loaded is not model:
        classes = _known_classes(name)
    if not classes and metadata.is_imagenet(found, count):
        classes = imagenet.imagenet_classes()
    if classes and len(classes) != count:
        raise ValueError(
            f"{name} must have one output for each of the {len(classes)} "
            f"names of classes. Received: {count} outputs. Name every class, "
            "in the order of the outputs"
        )
    return Classifier(
        source,
        function,
        side,
        classes,
        normalization,
        loaded,
        metadata.thresholds_of(found, loaded),
    )


def _known_classes(name):
    if name in registry.NAMES:
        return registry.find(name).labels
    path = pathlib.Path(name).absolute().with_name(REPORT_FILE)
    try:
        names = files.read_json(path)["dataset"]["classes"]
    except (OSError, ValueError, LookupError, TypeError):
        names = ()
    if not isinstance(names, list):
        names = ()
    return tuple((None, str(name)) for name in names)


def _side(path, shape, image_size):
    """Return the side of the images, `None` if it may be any.

    `None` and -1 in a shape mean any, too.
    """
    sides = {None if side == -1 else side for side in shape[1:3]}
    if len(shape) != 4 or shape[3] != 3 or len(sides) != 1:
        raise ValueError(
            f"{path} must take images of shape (batch, side, side, 3). "
            f"Received: {tuple(shape)}. Photographs are read as RGB squares; "
            "a network for other images is run in Keras, with `models.load`"
        )
    (side,) = sides
    if side and image_size and side != image_size:
        raise ValueError(
            f"{path} takes images of {side}x{side}. "
            f"Received: image_size={image_size}"
        )
    return side or image_size


def _count_outputs(path, function, side):
    """Return the number of classes, by classifying a black image."""
    with files.as_value_error(
        f"{path} cannot be run on an image of {side}x{side}"
    ):
        outputs = function(np.zeros((1, side, side, 3), "float32"))
    if getattr(outputs, "ndim", 0) != 2:
        import keras

        raise ValueError(
            f"{path} must be a classifier, with one output of shape (batch, "
            "classes). Received: outputs of shape "
            f"{keras.tree.map_structure(np.shape, outputs)}"
        )
    return outputs.shape[1]
