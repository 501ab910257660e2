"""Any form of a network, as one thing that classifies image files."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable

import keras
import numpy as np

from keras_squeezenet import codec
from keras_squeezenet import imagenet
from keras_squeezenet import pretrained
from keras_squeezenet import report
from keras_squeezenet import squeezenet
from keras_squeezenet.data import image_ops
from keras_squeezenet.pretrained import packaged
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained import sources


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A network with what is needed to ask it about photographs.

    Args:
        name: str, what was loaded.
        function: from preprocessed images, float32 of shape `(batch,
            image_size, image_size, 3)`, to outputs of shape `(batch,
            classes)`, both NumPy.
        image_size: int, the side of the images in pixels.
        classes: tuple of `(id, name)`; the id is a WordNet id for ImageNet,
            otherwise `None`. Empty where the names are not known.
    """

    name: str
    function: Callable
    image_size: int
    classes: tuple[tuple[str | None, str], ...] = ()

    @property
    def shorter_side(self):
        """What the shorter side of an image is resized to, in pixels.

        The centre of the result is what the network looks at; of ImageNet's
        classes as the authors tested it, otherwise as `data` cuts the images
        to train on.
        """
        if self.classes == imagenet.imagenet_classes():
            return round(self.image_size * image_ops.IMAGENET_SCALE)
        return self.image_size

    def read(self, path):
        """Returns the part of an image file that the network looks at.

        Args:
            path: path of an image in any format that Pillow reads.

        Returns:
            A uint8 array of shape `(image_size, image_size, 3)`, RGB.

        Raises:
            OSError: if it is no image. Pillow raises others for some damages.
        """
        return image_ops.square(
            image_ops.read_image(path), self.image_size, self.shorter_side
        ).numpy()

    def predict(self, squares):
        """Returns the probabilities of the classes.

        Outputs that are not between 0 and 1 are taken for logits.

        Args:
            squares: array of shape `(batch, image_size, image_size, 3)` that
                `read` gave.

        Returns:
            A float32 array of shape `(batch, classes)`.
        """
        return self.probabilities(
            squeezenet.preprocess_input(
                np.array(squares, "float32"), data_format="channels_last"
            )
        )

    def probabilities(self, x):
        """Return the probabilities of the classes for preprocessed images.

        Args:
            x: float32 array of shape `(batch, image_size, image_size, 3)`, as
                `preprocess_input` returns it.

        Returns:
            A float32 array of shape `(batch, classes)`, as `predict` returns.
        """
        outputs = np.asarray(self.function(x), "float32")
        low = outputs.min(axis=1, keepdims=True)
        high = outputs.max(axis=1, keepdims=True)
        exp = np.exp(outputs - high)
        # What is dequantized may be a step below 0 or above 1. Each image is
        # looked at by itself, so that the batch changes nothing.
        return np.where(
            (low < -0.01) | (high > 1.01),
            exp / exp.sum(axis=1, keepdims=True),
            outputs,
        )

    def class_of(self, index):
        """Returns the `(id, name)` of an output."""
        if self.classes:
            return self.classes[index]
        return None, f"class {index}"


def load(path, config=None, image_size=None, class_names=None):
    """Loads a network from any of its forms.

    Args:
        path: the name of a public source such as `"imagenet"`, or of weights
            that come with the package, such as `"cifar10"`, or the path of a
            weights file, a `.keras` model, a `.sqz` or `.tflite` file or a
            SavedModel folder. All of them take what `preprocess_input` gives.
        config: `SqueezeNetConfig` or a variant's name, for weights. Defaults
            to the variant that they fit.
        image_size: int, where the network takes images of any size. Defaults
            to `227`.
        class_names: names of the classes. Defaults to those in a `.sqz` file
            or in the `report.json` beside the file, or to ImageNet's for
            1,000 outputs.

    Returns:
        A `Classifier`.

    Raises:
        OSError: if there is no such file, or it cannot be downloaded.
        ValueError: if it is no image classifier, or damaged.
    """
    path = packaged.locate(path)
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        function, shape = _load_saved_model(path)
    elif path.endswith(".tflite"):
        function, shape = _load_litert(path)
    else:
        model = load_model(path, config, image_size)
        return of_model(path, model, image_size, class_names)
    return _make(path, function, shape, image_size, class_names)


def of_model(path, model, image_size=None, class_names=None):
    """Returns the `Classifier` of a model that `load_model` loaded.

    Args:
        path: where from.
        model: `keras.Model`.
        image_size, class_names: as `load` takes them.

    Raises:
        ValueError: if it is no image classifier.
    """
    path = packaged.locate(path)
    return _make(
        path,
        model.predict_on_batch,
        model.input_shape,
        image_size,
        class_names,
    )


def _make(path, function, shape, image_size, class_names):
    side = _side(path, shape, image_size)
    count = _count_outputs(path, function, side)
    found = class_names or _saved_names(path)
    classes = tuple((None, name) for name in found)
    if not classes and count == len(imagenet.imagenet_classes()):
        classes = imagenet.imagenet_classes()
    if classes and len(classes) != count:
        raise ValueError(
            f"{path} should have one output for each of the {len(classes)} "
            f"names of classes. It has {count} outputs."
        )
    return Classifier(path, function, side, classes)


def load_model(path, config=None, image_size=None):
    """Loads a network as a Keras model, from any form that keeps one.

    Args:
        path: as `load` takes it, but no SavedModel and no `.tflite` file.
        config, image_size: as `load` takes them.

    Returns:
        A `keras.Model`.

    Raises:
        OSError: if there is no such file, or it cannot be downloaded.
        ValueError: if it is damaged, or weights without a classifier.
    """
    path = packaged.locate(path)
    if path.endswith(".keras"):
        return _load_keras(path)
    if path.endswith(".sqz"):
        _require_file(path)
        return codec.load(path)
    return _load_weights(path, config, image_size)


def _load_weights(path, config, image_size):
    if path in sources.NAMES:
        config, classes = config or sources.named(path).variant, 1000
    else:
        _require_file(path)
        arrays = readers.read(path)
        config = config or pretrained.identify_network(path, arrays)[0]
        classes = arrays["conv10"][-1].size if "conv10" in arrays else None
    if classes is None:
        raise ValueError(
            f"{path} should have the weights of a classifier. It has those of "
            "the features only."
        )
    side = image_size or squeezenet.DEFAULT_SIDE
    return squeezenet.SqueezeNet(
        weights=path,
        config=config,
        classes=classes,
        input_shape=(side, side, 3),
    )


def _load_keras(path):
    _require_file(path)
    try:
        model = keras.models.load_model(path, compile=False)
        # It is an error where the model was never built.
        _ = model.input_shape
        return model
    # Keras has many exceptions for a damaged file.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be loaded as a Keras model: {error}"
        ) from error


def _load_saved_model(path):
    from keras_squeezenet.export import saved_model

    try:
        return saved_model.load_signature(path)
    # TensorFlow has many exceptions for a damaged folder.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be loaded as a SavedModel of an image classifier: "
            f"{error}"
        ) from error


def _load_litert(path):
    from keras_squeezenet.export import litert

    _require_file(path)
    try:
        model = litert.LiteRTModel(pathlib.Path(path).read_bytes())
        return model, tuple(model.input["shape_signature"].tolist())
    # The interpreter has several exceptions for a file that is none.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be loaded as a LiteRT file: {error}"
        ) from error


def _require_file(path):
    if not os.path.isfile(path):
        raise FileNotFoundError(
            "the weights should be the name of a public source "
            f"({', '.join(sources.NAMES)}) or an existing file or SavedModel "
            f"folder. Received: {path}"
        )


def _side(path, shape, image_size):
    """The side of the images; `None` and -1 in a shape mean any."""
    sides = {None if side == -1 else side for side in shape[1:3]}
    if len(shape) != 4 or shape[3] != 3 or len(sides) != 1:
        raise ValueError(
            f"{path} should take images of shape (batch, side, side, 3). "
            f"Received: {tuple(shape)}"
        )
    (side,) = sides
    if side and image_size and side != image_size:
        raise ValueError(
            f"{path} takes images of {side}x{side}. "
            f"Received: image_size={image_size}"
        )
    return side or image_size or squeezenet.DEFAULT_SIDE


def _count_outputs(path, function, side):
    """Asks a network about a black image, to see that it is a classifier."""
    try:
        outputs = function(np.zeros((1, side, side, 3), "float32"))
    # Every form of a network has exceptions of its own.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be run on an image of {side}x{side}: {error}"
        ) from error
    if getattr(outputs, "ndim", 0) != 2:
        raise ValueError(
            f"{path} should be a classifier, with one output of shape (batch, "
            "classes). Received: outputs of shape "
            f"{keras.tree.map_structure(np.shape, outputs)}"
        )
    return outputs.shape[1]


def _saved_names(path):
    """The names of the classes, in the file or as `compress` wrote them."""
    if path in sources.NAMES:
        return ()
    if path.endswith(".sqz"):
        found = codec.read_labels(path)
        return found if isinstance(found, list) else ()
    beside = pathlib.Path(path).absolute().with_name(report.JSON_FILE)
    try:
        return json.loads(beside.read_text("utf-8"))["dataset"]["classes"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
