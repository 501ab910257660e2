"""The classes of ImageNet-1k, and the ranking of a network's outputs."""

import functools
import importlib.resources
from collections.abc import Iterable
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

FILE = "imagenet_classes.tsv"
# The means of R, G and B over the training images, as Keras subtracts them.
IMAGENET_MEAN = (123.68, 116.779, 103.939)
NAMED_CLASSES = 5


@functools.cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """Return the `(WordNet id, name)` of the 1,000 classes, in output order.

    Two pairs of classes share a name: crane (the bird, the machine) and
    maillot.
    """
    file = importlib.resources.files("keras_squeezenet") / FILE
    lines = file.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines)
    return tuple((class_id, name) for class_id, name in pairs)


def best(probabilities: "np.ndarray", top: int) -> "np.ndarray":
    """Return the indices of the `top` largest values; ties keep their order."""
    return (-probabilities).argsort(kind="stable")[:top]


def match(names: Iterable[str], *keys: Sequence[str]) -> list[int]:
    """Return the index of each named class among the classes of a network.

    Args:
        names: names of some or all of the classes, in any order.
        *keys: alternative names or ids of the network's classes, in the order
            of its outputs. The first alternative with all the names is used.

    Raises:
        ValueError: if no alternative has all the names, or several classes
            share a name.
    """
    names = list(names)
    found = [list(key) for key in keys if set(names) <= set(key)]
    if not found:
        unknown = [name for name in names if name not in keys[0]]
        raise ValueError(
            "the classes of the images must be classes of the network, which "
            f"are {_list(keys[0])}. Received: {_list(unknown)}"
        )
    # Repeated names are unambiguous if the order is the network's.
    if names == found[0]:
        return list(range(len(names)))
    twice = [name for name in names if found[0].count(name) > 1]
    if twice:
        raise ValueError(
            "each name must identify one class of the network. Received: "
            f"{_list(twice)}, which several classes share. Use ids instead."
        )
    return [found[0].index(name) for name in names]


def _list(names):
    more = len(names) - NAMED_CLASSES
    listed = ", ".join(repr(name) for name in names[:NAMED_CLASSES])
    return f"{listed} and {more:,} more" if more > 0 else listed
