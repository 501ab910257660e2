"""Suggestions for misspelled names in error messages."""

import difflib
from collections.abc import Iterable


def did_you_mean(received: object, names: Iterable[str]) -> str:
    """Return the suggestion to append to an error message.

    It is empty where no name is similar to what was received.

    Example:

    >>> did_you_mean("imagnet", ["cifar10", "imagenet"])
    " Did you mean 'imagenet'?"
    """
    similar = difflib.get_close_matches(str(received), list(names), n=1)
    return f" Did you mean {similar[0]!r}?" if similar else ""
