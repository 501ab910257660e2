"""The classes of ImageNet-1k, and the best of a network's outputs."""

import functools
import importlib.resources

FILE = "imagenet_classes.tsv"
# The mean of R, G and B over the training images, which Keras subtracts.
IMAGENET_MEAN = (123.68, 116.779, 103.939)
NAMED_CLASSES = 5


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


def match(names, *keys):
    """Returns the places of classes among those of a network.

    Args:
        names: names of classes, in any order, and not all of them need be
            there.
        *keys: sequences of what the network's classes are called, in its
            order: names, ids. The first one that has all the names counts.

    Returns:
        A list of int, one for each name.

    Raises:
        ValueError: if no sequence has all the names, or some are those of
            several classes.
    """
    names = list(names)
    found = [list(key) for key in keys if set(names) <= set(key)]
    if not found:
        unknown = [name for name in names if name not in keys[0]]
        raise ValueError(
            "the classes of the images should be among those of the network: "
            f"{_list(keys[0])}. Received: {_list(unknown)}, which it lacks"
        )
    # Where all is in the same order, names may even repeat.
    if names == found[0]:
        return list(range(len(names)))
    twice = [name for name in names if found[0].count(name) > 1]
    if twice:
        raise ValueError(
            "the classes of the images should have names that are those of "
            f"one class of the network. Received: {_list(twice)}, which "
            "several have"
        )
    return [found[0].index(name) for name in names]


def _list(names):
    more = len(names) - NAMED_CLASSES
    listed = ", ".join(repr(name) for name in names[:NAMED_CLASSES])
    return f"{listed} and {more:,} more" if more > 0 else listed
