"""Suggestions for misspelled names in error messages."""

import difflib
from collections.abc import Iterable


def did_you_mean(received: object, names: Iterable[str]) -> str:
    """Return the suggestion to append to an error message.

    Args:
        received: what was given instead of one of `names`.
        names: the names that exist.

    Returns:
        A str such as `" Did you mean 'imagenet'?"`, or `""` where no name is
        similar.

    Example:

    >>> did_you_mean("imagnet", ["cifar10", "imagenet"])
    " Did you mean 'imagenet'?"
    """
    similar = difflib.get_close_matches(str(received), list(names), n=1)
    return f" Did you mean {similar[0]!r}?" if similar else ""
