"""Features of images: the outputs of modules and layers inside a network."""

import os
import re
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras

from keras_squeezenet import graph
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet.utils import suggestions

POOLINGS = {
    "avg": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}
# The last layers of a Fire module: the bypass comes after the concatenation.
FIRE_OUTPUT = re.compile(r"(fire\d+)_(?:concat|bypass)")
STEM = "conv1"


class FeatureInfo(NamedTuple):
    """The geometry of a feature map.

    The cell in row `i` and column `j` has its center at the row `offset +
    stride * i` and the column `offset + stride * j` of the image, in pixels.

    Args:
        channels: the number of channels.
        stride: the pixels of the image between two cells; `None` for an output
            without rows and columns.
        offset: the pixels of the image before the center of the first cell.
    """

    channels: int
    stride: int | None
    offset: float = 0.0


def features(
    model: "keras.Model | str | os.PathLike",
    layers: Sequence[str] | None = None,
    *,
    pooling: str | None = None,
) -> keras.Model:
    """Return a model with the outputs of several modules of a network.

    Args:
        model: a Functional or Sequential `keras.Model`, which is copied; it may
            have a nested backbone, any head, or none. Or what `models.load`
            takes: the path of a `.keras`, `.sqz` or weights file, or the name
            of pretrained weights.
        layers: the names of Fire modules, such as `"fire4"` (their outputs,
            with the bypass added), and of layers, such as `"conv1"`, `"pool1"`
            or `"conv10"`. Defaults to the last of `conv1` and the Fire modules
            at each stride, a feature pyramid.
        pooling: `"avg"` or `"max"`, to pool each output over its rows and
            columns. Defaults to `None`.

    Returns:
        A `keras.Model` from the images that `model` takes to a dict of outputs
        by the names in `layers`. An output has the shape `(batch, rows,
        columns, channels)`, or `(batch, channels)` in float32 after pooling.
        Its attribute `feature_info` is a dict of the `FeatureInfo` of each
        output, and `metadata` is that of `model`.

    Raises:
        ValueError: if a name or the pooling is unknown, or the model is neither
            Functional nor Sequential.
        OSError: if a file is missing or cannot be downloaded.

    Example:

    >>> pyramid = features("cifar10")
    >>> {name: info.stride for name, info in pyramid.feature_info.items()}
    {'conv1': 1, 'fire5': 2, 'fire9': 4}
    >>> features("cifar10", ["fire9"]).output_shape
    {'fire9': (None, 8, 8, 512)}
    """
    if pooling not in (None, *POOLINGS):
        raise ValueError(
            "`pooling` must be None, 'avg' or 'max'. Received: "
            f"pooling={pooling!r}"
        )
    is_model = isinstance(model, keras.Model)
    walk = _Walk(models.copy(model) if is_model else models.load(model))
    names = walk.pyramid() if layers is None else _names(layers)
    outputs = {name: walk.find(name) for name in names}
    infos = {name: walk.info(tensor) for name, tensor in outputs.items()}
    if pooling:
        outputs = {
            name: _pool(tensor, pooling, walk.data_format)
            for name, tensor in outputs.items()
        }
    source = walk.model
    found = keras.Model(source.input, outputs, name=f"{source.name}_features")
    found.feature_info = infos
    known = metadata.of(walk.given)
    if known:
        metadata.attach(found, known)
    return found


def _names(layers):
    if isinstance(layers, str) or not layers:
        raise ValueError(
            "`layers` must be names, such as ['fire4', 'fire9']. Received: "
            f"layers={layers!r}"
        )
    return list(layers)


def _pool(tensor, pooling, data_format):
    if len(tensor.shape) != 4:
        return tensor
    # In float32 whatever the policy of the network, for exact means.
    return POOLINGS[pooling](data_format=data_format, dtype="float32")(tensor)


class _Walk:
    """The tensors of a model and of those nested in it, by layer."""

    def __init__(self, given):
        if not getattr(given, "inputs", None):
            raise ValueError(
                "`model` must be a Functional or Sequential `keras.Model`, "
                f"whose layers are known. Received: model={given!r}"
            )
        self.given = given
        self.data_format = "channels_last"
        self.tensors: dict[str, Any] = {}
        # The stride and the offset of each tensor, by its id.
        self.grids: dict[int, tuple[int, float]] = {}
        self.model, _ = self._open(given, None)
        self.modules = {
            match[1]: name
            for name in self.tensors
            if (match := FIRE_OUTPUT.fullmatch(name))
        }

    def _open(self, model, inputs):
        """Call the layers of a model; return a copy of it, and the output."""
        # A Sequential model becomes a Functional one.
        model = keras.Model(
            graph.only(model.inputs), graph.only(model.outputs), name=model.name
        )
        opened = keras.models.clone_model(
            model,
            inputs,
            clone_function=lambda layer: layer,
            call_function=self._call,
        )
        return opened, self.tensors[model.operations[-1].name]

    def _call(self, layer, *args, **kwargs):
        received = keras.tree.flatten(args)
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            # The outputs of what is opened here are copies.
            _, result = self._open(layer, graph.only(received))
        else:
            result = layer(*args, **kwargs)
            self._measure(layer, received, result)
        if hasattr(result, "shape"):
            self.tensors[layer.name] = result
        return result

    def _measure(self, layer, received, result):
        """Note the grid of a layer's output."""
        self.data_format = getattr(layer, "data_format", self.data_format)
        grids = [self.grids.get(id(each), (1, 0.0)) for each in received]
        stride, offset = max(grids, default=(1, 0.0))
        step, shift = _step(layer, self._side(received[0]))
        self.grids[id(result)] = (stride * step, offset + stride * shift)

    def _side(self, tensor):
        axis = 2 if self.data_format == "channels_first" else 1
        return tensor.shape[axis] if len(tensor.shape) == 4 else None

    def find(self, name):
        """Return the output of a module or a layer."""
        found = self.modules.get(name, name)
        if found not in self.tensors:
            known = [*self.modules, *self.tensors]
            raise ValueError(
                "`layers` must be names of modules or layers. Received: "
                f"{name!r}.{suggestions.did_you_mean(name, known)} Known "
                f"modules: {', '.join(self.modules) or 'none'}; layers: "
                f"{', '.join(self.tensors)}"
            )
        return self.tensors[found]

    def info(self, tensor):
        """Return the `FeatureInfo` of an output."""
        if len(tensor.shape) != 4:
            return FeatureInfo(tensor.shape[-1], None)
        axis = 1 if self.data_format == "channels_first" else -1
        return FeatureInfo(tensor.shape[axis], *self.grids[id(tensor)])

    def pyramid(self):
        """Return the names of the last modules at each stride."""
        names = [STEM] * (STEM in self.tensors) + list(self.modules)
        strides = {self.info(self.find(name)).stride: name for name in names}
        if not strides:
            raise ValueError(
                "`layers` must be given for a network without Fire modules. "
                f"Received: layers=None; layers: {', '.join(self.tensors)}"
            )
        return list(strides.values())


def _step(layer, side):
    """Return the stride of a layer, and how far its first window is moved.

    Both are in cells of its input, as is its `side`, if that is known.
    """
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return 1, -layer.padding[0][0]
    if isinstance(layer, keras.layers.Cropping2D):
        return 1, layer.cropping[0][0]
    size = getattr(layer, "kernel_size", getattr(layer, "pool_size", None))
    if size is None:
        return 1, 0.0
    dilation = getattr(layer, "dilation_rate", (1, 1))
    size, step = (size[0] - 1) * dilation[0] + 1, layer.strides[0]
    padded = 0
    if layer.padding == "same":
        # The stride divides a side that is not known.
        padded = max(size - ((side or 0) % step or step), 0)
    return step, (size - 1) / 2 - padded // 2
