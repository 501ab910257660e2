"""Read pretrained weights by name or path, and assign them to a model."""

import dataclasses
import functools
import os
from typing import TYPE_CHECKING

import numpy as np

from keras_squeezenet import architecture
from keras_squeezenet import metadata
from keras_squeezenet import normalizations
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import hub
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import archive
from keras_squeezenet.utils import digests

if TYPE_CHECKING:
    import keras

FIRST_LAYER = "conv1"

# Kernel (HWIO) and bias of every layer, by the layer's name.
Arrays = dict[str, tuple[np.ndarray, ...]]


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights of a network, with what is known about their origin.

    Args:
        source: the name or path that was passed to `open_weights`, or the
            address on the hub of the file and the commit.
        file_name: a name whose suffix is that of the file's format.
        content: the content of the file.
        entry: their `registry.Entry`, or `None` for other files.
        stated: the normalization that the caller states, or `None`.
    """

    source: str
    file_name: str
    content: bytes = dataclasses.field(repr=False)
    entry: registry.Entry | None
    stated: str | None = None

    @functools.cached_property
    def normalization(self) -> str:
        """The normalization of the images that the weights were trained on.

        A key of `normalizations.NORMALIZATIONS`: that of the registry or of the
        file, or else the stated one, or the usual one of the file's format. For
        weights in the registry `"caffe"` may be stated too, the normalization
        of the images that they take once they are folded.
        """
        if self.entry:
            trained_on = self.entry.normalization
            if self.stated not in (None, trained_on, normalizations.CAFFE):
                raise ValueError(
                    f"the weights {self.source} were trained on images with "
                    f"normalization={trained_on!r}, and take the output of "
                    "`preprocess_input`. Received: normalization="
                    f"{self.stated!r}. Leave it out, and give such images"
                )
            return trained_on
        found = readers.parse_normalization(self.file_name, self.content)
        if found:
            known = metadata.Metadata(found)
            return metadata.resolve(known, self.stated, self.source)
        if self.stated:
            return self.stated
        known_format = readers.get_format(self.file_name)
        if known_format.read_normalization:
            metadata.say_assumed(self.source)
        return known_format.normalization

    @functools.cached_property
    def stored(self) -> Arrays:
        """The arrays of the file; a `ValueError` if it is damaged."""
        return readers.parse(self.file_name, self.content)

    @functools.cached_property
    def arrays(self) -> Arrays:
        """`stored`, folded for the output of `preprocess_input`."""
        return fold(self.stored, self.normalization)

    @property
    def classes(self) -> int | None:
        """The number of classes, or `None` without the classifier."""
        conv10 = self.stored.get("conv10")
        return conv10[-1].size if conv10 else None

    @property
    def image_size(self) -> int:
        """The side in pixels of the training images, or the default."""
        default = architecture.DEFAULT_SIDE
        return self.entry.image_size if self.entry else default

    @property
    def variant(self) -> str:
        """The variant that the weights fit; a `ValueError` if there is none."""
        if self.entry:
            return self.entry.variant
        return infer_network(self.stored)[0]

    def config(
        self, config: "architecture.SqueezeNetConfig | str | None" = None
    ) -> architecture.SqueezeNetConfig:
        """Return the configuration of the network to load the weights into.

        A `config` is adapted to the trained network. The default is the trained
        network, or `variant` as the file's format has it.
        """
        if config is None:
            return self.entry.config if self.entry else self._of_format()
        config = architecture.get_config(config)
        return self.entry.adapt(config) if self.entry else config

    def _of_format(self):
        config = architecture.VARIANTS[self.variant]
        padding = readers.get_format(self.file_name).conv10_padding
        if padding is None:
            return config
        return dataclasses.replace(config, conv10_padding=padding)

    def assign_to(self, model: "keras.Model") -> None:
        """Assign `arrays` to the layers of a model, as `assign` does."""
        assign(self.arrays, model, self.source)


def assign(arrays: Arrays, model: "keras.Model", source: str) -> None:
    """Assign arrays to the layers of a model, all of them or none.

    Weights with a classifier also serve a model without one. A `ValueError`
    is raised if a layer's arrays are missing, of other shapes, or not finite.
    """
    layers = [layer for layer in model.layers if layer.weights]
    # All are checked before the first is assigned.
    found = [_weights_of(layer, arrays, source) for layer in layers]
    for layer, weights in zip(layers, found):
        layer.set_weights(weights)


def open_weights(
    weights: "str | os.PathLike",
    config: "architecture.SqueezeNetConfig | str | None" = None,
    include_top: bool = True,
    normalization: str | None = None,
) -> Weights:
    """Open weights by the name or path that `weights=` of a builder takes.

    A file of the registry is recognized by its content, under any file name.
    The file is read once, and parsed on the first use of `Weights.stored`.

    Args:
        weights: one of `registry.NAMES`, the path of a file in a format of
            `readers.FORMATS`, or an address on the hub, as `hub.locate` takes
            it.
        config: `SqueezeNetConfig` or the name of a variant, for a name.
            Defaults to the variant with such weights, v1.1 if there are
            several.
        include_top: whether the classifier's weights are needed.
        normalization: the normalization of the images that the weights were
            trained on, a key of `normalizations.NORMALIZATIONS`. Defaults to
            that of the registry, of the file, or of its format.

    Raises:
        OSError: if the file is missing or cannot be downloaded.
        ValueError: if there are no such weights for the network, or the format
            is unknown.
    """
    entry: registry.Entry | None
    source = os.fspath(weights)
    if weights in registry.NAMES:
        entry = registry.find(str(weights), config, include_top)
        file = entry.file
        # A file without the classifier is smaller.
        if entry.no_top and not (include_top or download.is_available(file)):
            file = entry.no_top
        name, content = file.weights_name, download.read(file)
    else:
        located = hub.locate(weights)
        name, source = located.path, located.name
        content = archive.read_file(name)
        digests.require(name, content)
        entry = registry.identify(content)
    readers.get_format(name)
    return Weights(source, name, content, entry, normalization)


def fold(arrays: Arrays, normalization: str) -> Arrays:
    """Adapt weights to the output of `preprocess_input`.

    The input `normalization` that they were trained on, a key of
    `normalizations.NORMALIZATIONS`, is folded into the first layer.
    """
    trained_on = normalizations.get(normalization)
    if len(arrays.get(FIRST_LAYER, ())) != 2:
        return arrays
    kernel, bias = arrays[FIRST_LAYER]
    folded = normalizations.fold(kernel, bias, trained_on)
    return {**arrays, FIRST_LAYER: folded}


def infer_network(arrays: Arrays) -> tuple[str, int | None]:
    """Return the variant that weights fit, and its number of classes.

    A simple bypass adds no weights: v1.0 and v1.1 without it are returned. The
    number is `None` without the classifier. A `ValueError` is raised if they
    fit no variant.
    """
    received = {
        name: [array.shape for array in weights]
        for name, weights in arrays.items()
    }
    conv10 = received.get("conv10")
    classes = conv10[-1][-1] if conv10 and conv10[-1] else None
    for variant, config in architecture.VARIANTS.items():
        if received == {
            layer.name: [layer.kernel_shape, (layer.filters,)]
            for layer in architecture.convolutions(config, classes)
        }:
            return variant, classes
    raise ValueError(
        "The weights must fit one of the networks "
        f"{', '.join(architecture.VARIANTS)}. Received: "
        + ", ".join(f"{name} {shapes}" for name, shapes in received.items())
    )


def _weights_of(layer, arrays, source):
    if layer.name not in arrays:
        raise ValueError(
            f"{source} has no weights for layer {layer.name!r}. It has: "
            f"{', '.join(sorted(arrays))}"
        )
    weights = arrays[layer.name]
    expected = [tuple(weight.shape) for weight in layer.weights]
    received = [array.shape for array in weights]
    if expected != received:
        raise ValueError(
            f"Layer {layer.name!r} expects weights of shapes {expected}. "
            f"Received: {received} from {source}"
            f"{_way_out(layer.name, expected[0], received[0], arrays)}"
        )
    if not all(np.isfinite(array).all() for array in weights):
        raise ValueError(
            f"Layer {layer.name!r} expects finite weights. Received: NaN "
            f"or infinity from {source}"
        )
    return weights


def _way_out(name, expected, received, arrays):
    """Return what to do about a kernel of another shape, as a sentence."""
    if name == "conv10" and expected[:-1] == received[:-1]:
        return (
            f". They are weights for {received[-1]} classes: build the "
            "network with `include_top=False` and a head of your own, or with "
            f"`training.build(image_size, {expected[-1]}, weights=...)`"
        )
    if name == "conv1" and expected[-2] != received[-2]:
        return (
            f". They take images of {received[-2]} channels; repeat a gray "
            "channel with `np.repeat(images, 3, axis=-1)`"
        )
    try:
        variant, _ = infer_network(arrays)
    except ValueError:
        return ""
    return f". They are weights for `config={variant!r}`"
