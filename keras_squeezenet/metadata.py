"""What a network takes and returns, kept with every file of it.

A `.keras` file is a zip archive, and one can be appended to a `.tflite` file:
the JSON is a member of it. In an ONNX file it is a property. A folder of a
SavedModel or for OpenVINO has it in `assets.extra`, which TensorFlow leaves to
others. A .sqz file has the same values in its header.
"""

import dataclasses
import functools
import io
import json
import logging
import os
import pathlib
import zipfile
from collections.abc import Sequence
from typing import Any

from keras_squeezenet import imagenet
from keras_squeezenet import normalizations
from keras_squeezenet.utils import archive
from keras_squeezenet.utils import files
from keras_squeezenet.utils import strict_json
from keras_squeezenet.utils import text

MEMBER = "keras_squeezenet.json"
SAVED_MODEL_ASSETS = "assets.extra"
MAX_BYTES = 1 << 20
# All names together, as JSON; a .sqz file has them in the header of a network.
MAX_NAMES_BYTES = 1 << 19
MAX_SIDE = 1 << 16
ZIP_SUFFIXES = (".keras", ".tflite")
# The threshold of a network of several labels until its own are chosen.
THRESHOLD = 0.5
# Layers whose outputs are probabilities, or logits, if their inputs are.
PASSING = (
    *("AveragePooling2D", "Dropout", "Flatten", "GlobalAveragePooling2D"),
    *("GlobalMaxPooling2D", "MaxPooling2D", "Reshape"),
)
# Layers and operations that are activations themselves.
ACTIVATIONS = ("Sigmoid", "Softmax")

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What a network takes and returns.

    Args:
        normalization: the normalization of the images, a key of
            `normalizations.NORMALIZATIONS`.
        image_size: the side in pixels of the images that the network was
            trained on; `None` if it is unknown.
        channels: the number of channels of an image.
        class_names: the names in the order of the outputs; empty if they are
            unknown, or ImageNet's.
        thresholds: of a network of several labels: the probability from which
            an image has the label, for each output. Empty for a network of one
            label.

    Raises:
        ValueError: if a value is of another type or out of range.
    """

    normalization: str = normalizations.CAFFE
    image_size: int | None = None
    channels: int = 3
    class_names: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()

    def __post_init__(self):
        normalizations.get(self.normalization)
        for name in ("image_size", "channels"):
            value = getattr(self, name)
            is_side = type(value) is int and 0 < value <= MAX_SIDE
            if not is_side and (name, value) != ("image_size", None):
                raise ValueError(
                    f"`{name}` must be an integer from 1 to {MAX_SIDE}. "
                    f"Received: {name}={value!r:.60}"
                )
        names = self.class_names
        if not isinstance(names, tuple) or not all(
            isinstance(name, str) for name in names
        ):
            raise ValueError(
                "`class_names` must be strings. Received: "
                f"class_names={names!r:.60}"
            )
        size = len(json.dumps(names))
        if size > MAX_NAMES_BYTES:
            raise ValueError(
                f"`class_names` must have at most {MAX_NAMES_BYTES:,} bytes "
                f"as JSON. Received: {size:,}. Give the classes shorter names."
            )
        self._require_thresholds()

    def _require_thresholds(self):
        found, names = self.thresholds, self.class_names
        if not isinstance(found, tuple) or not all(
            isinstance(value, float) and 0 < value < 1 for value in found
        ):
            raise ValueError(
                "`thresholds` must be numbers greater than 0 and below 1. "
                f"Received: thresholds={found!r:.60}"
            )
        if found and (len(found) < 2 or names and len(names) != len(found)):
            raise ValueError(
                "`thresholds` must be one for each of at least two classes. "
                f"Received: {len(found)} thresholds for {len(names)} classes"
            )

    def __str__(self):
        side, names = self.image_size, self.class_names
        size = f" of {side}x{side}" if side else ""
        classes = f"; classes: {listed(names)}" if names else ""
        return (
            f"images{size} with {self.channels} channels and normalization="
            f"{self.normalization!r}{classes}"
        )


def describe(
    model: Any,
    normalization: str = normalizations.CAFFE,
    class_names: Sequence[str] | None = None,
) -> Metadata:
    """Return the metadata of a `keras.Model` that takes images."""
    side, channels = None, 3
    if len(model.input_shape) == 4:
        _, side, _, channels = model.input_shape
    return Metadata(
        normalization,
        side,
        channels,
        tuple(class_names or ()),
        (THRESHOLD,) * (has_sigmoid(model) and model.output_shape[-1]),
    )


def thresholds_of(found: Metadata | None, model: Any) -> tuple[float, ...]:
    """Return the thresholds of a network: the known ones, or its default.

    Args:
        found: what is known of the network, if anything is.
        model: the `keras.Model`; `None` if only its metadata can be had.
    """
    if found and found.thresholds:
        return found.thresholds
    return () if model is None else describe(model).thresholds


def is_imagenet(found: Metadata | None, outputs: int) -> bool:
    """Return whether outputs are ImageNet's classes: 1,000 without names."""
    is_named = found is not None and found.class_names
    return not is_named and outputs == len(imagenet.imagenet_classes())


def labels(found: Metadata | None, outputs: int) -> tuple[str, ...]:
    """Return the names of the classes as other runtimes show them.

    They are the known ones or ImageNet's, each on one line; empty if they are
    unknown.
    """
    names = found.class_names if found else ()
    if is_imagenet(found, outputs):
        names = tuple(name for _, name in imagenet.imagenet_classes())
    return tuple(map(text.one_line, names))


def last_activation(model: Any) -> str | None:
    """Return the activation that computes a model's outputs, `None` if unknown.

    It may be before layers that pass probabilities and logits on. Networks of
    mixed precision end with a linear activation, in float32, which after the
    ReLU of v1.0 says that the outputs are logits.
    """
    relu = "relu"
    for layer in _from_last(model):
        kind = type(layer).__name__
        name = getattr(getattr(layer, "activation", None), "__name__", None)
        if (kind, name) == ("Activation", "linear"):
            relu = "linear"
        elif kind in ACTIVATIONS:
            return kind.lower()
        elif kind not in PASSING:
            return relu if name == "relu" else name
    return None


def _from_last(model):
    """Yield the layers and operations of a model, the last one first."""
    for layer in reversed(getattr(model, "operations", model.layers)):
        if hasattr(layer, "layers"):
            yield from _from_last(layer)
        else:
            yield layer


def has_sigmoid(model: Any) -> bool:
    """Return whether a model ends with a sigmoid for each of its classes."""
    if last_activation(model) != "sigmoid":
        return False
    shape = model.output_shape
    is_one_output = isinstance(shape, tuple) and len(shape) == 2
    return is_one_output and (shape[-1] or 0) > 1


def attach(model: Any, found: Metadata) -> None:
    """Attach metadata to a `keras.Model` or `tf_keras.Model`."""
    model.metadata = found


def of(model: Any) -> Metadata | None:
    """Return the metadata attached to a model, or `None`."""
    found = getattr(model, "metadata", None)
    return found if isinstance(found, Metadata) else None


def read(path: str | os.PathLike) -> Metadata | None:
    """Return the metadata in a `.keras`, `.tflite` or `.onnx` file or a folder.

    Raises:
        ValueError: if they are damaged.
    """
    path = pathlib.Path(path)
    with files.as_value_error(f"the metadata of {path} cannot be read"):
        if path.is_dir():
            content = _read_file(path / SAVED_MODEL_ASSETS / MEMBER)
        elif path.suffix in ZIP_SUFFIXES and zipfile.is_zipfile(path):
            content = _read_member(archive.read_file(path))
        elif path.suffix == ".onnx" and path.is_file():
            content = _read_property(path)
        else:
            content = None
        return None if content is None else _parse(content)


def parse_archive(content: bytes) -> Metadata | None:
    """Return the metadata in the content of a `.keras` file, if it has any."""
    member = _read_member(content)
    return None if member is None else _parse(member)


def write(path: str | os.PathLike, found: Metadata | None) -> None:
    """Add metadata, if any, to a `.keras` file or a SavedModel folder."""
    if found is None:
        return
    path = pathlib.Path(path)
    if path.is_dir():
        folder = path / SAVED_MODEL_ASSETS
        folder.mkdir(exist_ok=True)
        (folder / MEMBER).write_bytes(_dump(found))
    else:
        _add_member(path, found)


def append(content: bytes, found: Metadata | None) -> bytes:
    """Return the content of a `.tflite` file with metadata, if any."""
    if found is None:
        return content
    file = io.BytesIO(content)
    _add_member(file, found)
    return file.getvalue()


def properties(found: Metadata | None) -> dict[str, str]:
    """Return metadata, if any, as properties of an ONNX file."""
    return {MEMBER: _dump(found).decode()} if found else {}


def resolve(
    found: Metadata | None, stated: str | None, name: str = "the model"
) -> str:
    """Return the normalization that a network was trained with.

    Raises:
        ValueError: if `stated` differs from the normalization in its file.
    """
    if stated is None:
        return found.normalization if found else normalizations.CAFFE
    normalizations.get(stated)
    if found and stated != found.normalization:
        raise ValueError(
            f"{name} was trained on images with normalization="
            f"{found.normalization!r}, as its file says. Received: "
            f"normalization={stated!r}. Leave it out, and give images with "
            f"normalization={found.normalization!r}"
        )
    return stated


@functools.cache
def say_assumed(path: str) -> None:
    """Warn once per file that the normalization of its network is assumed."""
    logger.warning(
        "%s does not say on which images it was trained: those of "
        "`preprocess_input` are assumed. State others with `normalization` "
        "(--normalization on the command line); `keras-squeezenet weights "
        "convert` writes a file that says so itself.",
        text.printable(path),
    )


def require_order(
    found: Metadata | None, names: Sequence[str], what: str
) -> None:
    """Compare the names of classes with those of a network.

    Raises:
        ValueError: if they are the same names in another order: labels would
            stand for other classes.
    """
    expected = found.class_names if found else ()
    if not expected or not names or tuple(names) == expected:
        return
    if sorted(names) == sorted(expected):
        raise ValueError(
            f"the classes of {what} must have the order of the network's: "
            f"{listed(expected)}. Received: {listed(names)}"
        )
    logger.warning(
        "The classes of %s, %s, are not those that the network was trained "
        "on: %s",
        what,
        listed(names),
        listed(expected),
    )


def listed(names: Sequence[str]) -> str:
    """Return the first names of classes as a text."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _dump(found):
    values = dataclasses.asdict(found)
    if not found.thresholds:
        # The files of networks of one label stay as they are.
        del values["thresholds"]
    return json.dumps(values).encode()


def _parse(content):
    values = strict_json.loads(content)
    if not isinstance(values, dict):
        raise ValueError(
            f"they must be a JSON object. Received: {type(values).__name__}"
        )
    fields = {field.name for field in dataclasses.fields(Metadata)}
    # Later versions may add fields.
    known = {key: values[key] for key in fields & set(values)}
    for key in ("class_names", "thresholds"):
        if isinstance(known.get(key), list):
            known[key] = tuple(known[key])
    return Metadata(**known)


def _add_member(file, found):
    with zipfile.ZipFile(file, "a") as opened:
        # Without the time, so that equal models make equal files.
        opened.writestr(zipfile.ZipInfo(MEMBER), _dump(found))


def _read_member(content):
    with archive.open_zip(content) as opened:
        if MEMBER not in opened.namelist():
            return None
        member = opened.getinfo(MEMBER)
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{MEMBER} must be stored, not compressed")
        _require_size(member.file_size)
        return opened.read(MEMBER)


def _read_property(path):
    import onnx

    loaded = onnx.load(path, load_external_data=False)
    for each in loaded.metadata_props:
        if each.key == MEMBER:
            _require_size(len(each.value))
            return each.value.encode()
    return None


def _read_file(path):
    if not path.is_file():
        return None
    _require_size(path.stat().st_size)
    return path.read_bytes()


def _require_size(size):
    if size > MAX_BYTES:
        raise ValueError(
            f"{MEMBER} must have at most {MAX_BYTES:,} bytes. Received: "
            f"{size:,} bytes"
        )
