"""The state of a model within an epoch, beside its weights."""

from typing import Any

import numpy as np


class Running:
    """The metrics and the dropout of a model within an epoch.

    Args:
        model: a compiled model, of Keras 3 or tf_keras.
        dropout: the variables that choose the masks of its dropout, as they are
            at the start of the epoch.
    """

    def __init__(self, model: Any, dropout: list[Any]):
        self._model = model
        self._dropout = dropout
        self._first = _copy(dropout)

    def read(self) -> list[np.ndarray]:
        """Return what the dropout has drawn, and the sums of the metrics.

        The draws are relative to the start of the epoch, because each worker of
        a run has its own masks.
        """
        found = zip(_copy(self._dropout), self._first)
        return [*(now - first for now, first in found), *_copy(self._sums())]

    def restore_dropout(self, arrays: list[np.ndarray]) -> None:
        """Let the dropout continue from where `read` found it."""
        for variable, first, drawn in zip(self._dropout, self._first, arrays):
            variable.assign(first + drawn)

    def add_metrics(self, arrays: list[np.ndarray]) -> None:
        """Add the sums that `read` found.

        The model must have made its first step, which makes the metrics.
        """
        sums = arrays[len(self._first) :]
        for variable, array in zip(self._sums(), sums, strict=True):
            variable.assign_add(array)

    def _sums(self):
        return [
            variable
            for metric in self._model.metrics
            for variable in metric.variables
        ]


def _copy(variables):
    return [np.array(variable.numpy()) for variable in variables]
