"""The paths of a million images."""

import os
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np


class PathArray(Sequence[str]):
    """Paths in one array, in less memory than as strings."""

    def __init__(self, paths: Iterable[str]):
        self._encoded = np.array([os.fsencode(path) for path in paths])

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, index):
        return os.fsdecode(self._encoded[index])

    def select(self, mask: np.ndarray) -> "PathArray":
        """Return the paths where a Boolean array is true."""
        selected = PathArray([])
        selected._encoded = self._encoded[mask]
        return selected
