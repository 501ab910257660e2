"""Read pretrained weights by name or path, and assign them to a model."""

import dataclasses
import functools
import os
from typing import TYPE_CHECKING

import numpy as np

from keras_squeezenet import architecture
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import normalizations
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained import registry
from keras_squeezenet.pretrained.readers import archive

if TYPE_CHECKING:
    import keras

FIRST_LAYER = "conv1"

# Kernel and bias of every layer, by the layer's name.
Arrays = dict[str, tuple[np.ndarray, ...]]


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights of a network, and what is known of them.

    Args:
        source: str, the name or path that they were opened by.
        file_name: str, whose suffix tells the format.
        content: bytes of the file.
        entry: their `registry.Entry`, or `None` for other files.
        normalization: a key of `normalizations.NORMALIZATIONS`, the input
            that they were trained on.
    """

    source: str
    file_name: str
    content: bytes = dataclasses.field(repr=False)
    entry: registry.Entry | None
    normalization: str

    @functools.cached_property
    def stored(self) -> Arrays:
        """`{layer name: (kernel, bias)}` of the file, kernels in HWIO.

        Raises:
            ValueError: if the file is damaged.
        """
        return readers.parse(self.file_name, self.content)

    @functools.cached_property
    def arrays(self) -> Arrays:
        """`stored`, folded for the input that `preprocess_input` makes."""
        return fold(self.stored, self.normalization)

    @property
    def classes(self) -> int | None:
        """The number of classes, or `None` without the classifier."""
        conv10 = self.stored.get("conv10")
        return conv10[-1].size if conv10 else None

    @property
    def image_size(self) -> int:
        """The side in pixels that they were trained for, or the default."""
        return (
            self.entry.image_size if self.entry else architecture.DEFAULT_SIDE
        )

    @property
    def variant(self) -> str:
        """The variant that the weights fit: the entry's, or the inferred one.

        Raises:
            ValueError: if they fit no variant.
        """
        if self.entry:
            return self.entry.variant
        return infer_network(self.stored)[0]

    def config(
        self, config: "architecture.SqueezeNetConfig | str | None" = None
    ) -> architecture.SqueezeNetConfig:
        """Return the configuration of the network to load the weights into.

        Args:
            config: `SqueezeNetConfig` or the name of a variant. Defaults to
                the network that was trained, or to `variant`.

        Returns:
            The `config`, adapted to the network that was trained.
        """
        if config is None and self.entry:
            return self.entry.config
        config = architecture.get_config(config or self.variant)
        return self.entry.adapt(config) if self.entry else config

    def assign_to(self, model: "keras.Model") -> None:
        """Assign `arrays` to the layers of a model, all or nothing.

        Weights with a classifier also serve a model without one.

        Args:
            model: `keras.Model` with the layers of this package's builders.

        Raises:
            ValueError: if the file is damaged, a layer of the model is not in
                it, or the layer's arrays have other shapes or values that are
                not finite.
        """
        found = {}
        for layer in model.layers:
            if layer.weights:
                found[layer] = self._weights_of(layer)
        for layer, weights in found.items():
            layer.set_weights(weights)

    def _weights_of(self, layer):
        if layer.name not in self.arrays:
            raise ValueError(
                f"{self.source} has no weights for layer {layer.name!r}. It "
                f"has: {', '.join(sorted(self.arrays))}"
            )
        weights = self.arrays[layer.name]
        expected = [tuple(weight.shape) for weight in layer.weights]
        received = [array.shape for array in weights]
        if expected != received:
            raise ValueError(
                f"Layer {layer.name!r} expects weights of shapes {expected}. "
                f"Received: {received} from {self.source}"
            )
        if not all(np.isfinite(array).all() for array in weights):
            raise ValueError(
                f"Layer {layer.name!r} expects finite weights. Received: NaN "
                f"or infinity from {self.source}"
            )
        return weights


def open_weights(
    weights: "str | os.PathLike",
    config: "architecture.SqueezeNetConfig | str | None" = None,
    include_top: bool = True,
    normalization: str | None = None,
) -> Weights:
    """Open weights by the name or path that `weights=` of a builder takes.

    A file of the registry is recognized by its content: its path means the
    same as its name. The file is read once, and parsed when `Weights.stored`
    is asked for.

    Args:
        weights: one of `registry.NAMES`, or the path of a file in a format of
            `readers.FORMATS`.
        config: `SqueezeNetConfig` or the name of a variant, for a name.
            Defaults to the variant that has such weights, v1.1 if several
            have.
        include_top: whether the classifier's weights are needed. Defaults to
            `True`.
        normalization: a key of `normalizations.NORMALIZATIONS`, the input
            that the weights were trained on. Defaults to that of the registry
            or of the file's format.

    Returns:
        A `Weights`.

    Raises:
        OSError: if there is no such file, or it cannot be downloaded.
        ValueError: if there are no such weights for the network, or the
            format is not known.
    """
    entry: registry.Entry | None
    if weights in registry.NAMES:
        entry = registry.find(str(weights), config)
        file = _choose(entry, include_top)
        name, content = file.name, download.read(file)
    else:
        name = os.fspath(weights)
        content = archive.read_file(name)
        entry = registry.identify(content)
    if normalization is None:
        usual = readers.get_format(name).normalization
        normalization = entry.normalization if entry else usual
    return Weights(os.fspath(weights), name, content, entry, normalization)


def fold(arrays: Arrays, normalization: str) -> Arrays:
    """Fold an input normalization into the first layer's weights.

    Args:
        arrays: `{layer name: (kernel, bias)}`.
        normalization: a key of `normalizations.NORMALIZATIONS`, the input
            that the weights were trained on.

    Returns:
        A dict like `arrays`, for the input that `preprocess_input` makes.
    """
    trained_on = normalizations.get(normalization)
    if len(arrays.get(FIRST_LAYER, ())) != 2:
        return arrays
    kernel, bias = arrays[FIRST_LAYER]
    folded = normalizations.fold(kernel, bias, trained_on)
    return {**arrays, FIRST_LAYER: folded}


def infer_network(arrays: Arrays) -> tuple[str, int | None]:
    """Return `(variant, classes)` of the network that weights fit.

    Args:
        arrays: `{layer name: (kernel, bias)}`.

    Returns:
        A key of `architecture.VARIANTS`, and the number of classes, or `None`
        without the classifier. The simple bypass has the weights of v1.0 and
        is taken for it.

    Raises:
        ValueError: if they fit no variant.
    """
    received = {
        name: [array.shape for array in weights]
        for name, weights in arrays.items()
    }
    conv10 = received.get("conv10")
    classes = conv10[-1][-1] if conv10 and conv10[-1] else None
    for variant, config in architecture.VARIANTS.items():
        convolutions = architecture.convolutions(
            config, classes=classes or 0, include_top=classes is not None
        )
        if received == {
            convolution.name: [convolution.kernel_shape, (convolution.filters,)]
            for convolution in convolutions
        }:
            return variant, classes
    raise ValueError(
        "The weights must fit one of the networks "
        f"{', '.join(architecture.VARIANTS)}. Received: "
        + ", ".join(f"{name} {shapes}" for name, shapes in received.items())
    )


def _choose(entry, include_top):
    """Return the smaller file without classifier, if the whole is not here."""
    if include_top or not entry.no_top or download.is_available(entry.file):
        return entry.file
    return entry.no_top
