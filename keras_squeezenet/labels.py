"""The classes of ImageNet-1k, and the best of a network's outputs."""

import functools
import importlib.resources

FILE = "imagenet_classes.tsv"


@functools.cache
def imagenet_classes():
    """Returns the 1,000 classes in the order of the networks' outputs.

    Returns:
        A tuple of `(WordNet id, name)`, such as `("n01440764", "tench")`.
        Two pairs of classes share a name: crane (the bird, the machine) and
        maillot.
    """
    file = importlib.resources.files("keras_squeezenet") / FILE
    lines = file.read_text(encoding="utf-8").splitlines()
    return tuple(tuple(line.split("\t")) for line in lines)


def best(probabilities, top):
    """Returns the indices of the largest values, the largest first.

    Of equal values the one that comes first is the better one.

    Args:
        probabilities: array of shape `(classes,)`.
        top: int, how many to return at most.
    """
    return (-probabilities).argsort(kind="stable")[:top]
