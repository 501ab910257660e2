"""The state of a model within an epoch, beside its weights."""

from collections.abc import Iterable
from typing import Any

import numpy as np


class Running:
    """The metrics and the random draws of a model within an epoch.

    Args:
        model: a compiled model, of Keras 3 or tf_keras.
        draws: the variables that choose its random draws, such as the masks of
            dropout, as they are at the start of the epoch.
    """

    def __init__(self, model: Any, draws: list[Any]):
        self._model = model
        self._draws = draws
        self._first = arrays(draws)

    def read(self) -> list[np.ndarray]:
        """Return how much was drawn, and the sums of the metrics.

        The draws are relative to the start of the epoch, because each worker of
        a run has its own masks.
        """
        found = zip(arrays(self._draws), self._first)
        return [*(now - first for now, first in found), *arrays(self._sums())]

    def restore_draws(self, found: list[np.ndarray]) -> None:
        """Let the draws continue from where `read` found them."""
        for variable, first, drawn in zip(self._draws, self._first, found):
            variable.assign(first + drawn)

    def add_metrics(self, found: list[np.ndarray]) -> None:
        """Add the sums that `read` found.

        The model must have made its first step, which makes the metrics.
        """
        sums = found[len(self._first) :]
        for variable, array in zip(self._sums(), sums, strict=True):
            variable.assign_add(array)

    def _sums(self):
        return [
            variable
            for metric in self._model.metrics
            for variable in metric.variables
        ]


def arrays(variables: Iterable[Any]) -> list[np.ndarray]:
    """Return copies of the values of some variables."""
    return [np.array(variable.numpy()) for variable in variables]
