"""Batches from Python: `keras.utils.PyDataset`, and others of known length."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf


def is_batches(data: Any) -> bool:
    """Return whether data are batches of this kind: they have a length."""
    return (
        not isinstance(data, tuple | list | dict | str | np.ndarray)
        and hasattr(data, "__len__")
        and (hasattr(data, "__getitem__") or hasattr(data, "__iter__"))
    )


class BatchSource:
    """Batches that a Python object makes, as `tf.data.Dataset`s.

    Args:
        batches: a `keras.utils.PyDataset`, or any object with `len()` whose
            items, or whose iterator, are `(images, labels)` or `(images,
            labels, weights)`.
        name: the name of the set, for errors.

    Raises:
        ValueError: if they are not such batches.
    """

    def __init__(self, batches: Any, name: str):
        self.batches = batches
        self._epoch = 0
        if not len(batches):
            raise ValueError(f"`{name}` must have images. Received: no batches")
        first = next(self._arrays(), None)
        if not isinstance(first, tuple) or len(first) not in (2, 3):
            raise ValueError(
                f"the batches of `{name}` must be (images, labels) or (images, "
                f"labels, weights). Received: {type(first).__name__}"
            )
        self._signature = tuple(
            tf.TensorSpec((None, *array.shape[1:]), array.dtype)
            for array in first
        )

    def dataset(self, epoch: int = 0) -> tf.data.Dataset:
        """Return the batches of an epoch.

        Before every epoch but the first, `on_epoch_end` is called, if there is
        such a method: a resumed run has the order of one that was not stopped.
        """
        end = getattr(self.batches, "on_epoch_end", None)
        while end and self._epoch < epoch:
            end()
            self._epoch += 1
        found = tf.data.Dataset.from_generator(
            self._arrays, output_signature=self._signature
        )
        size = tf.data.experimental.assert_cardinality(len(self.batches))
        return found.apply(size)

    def _arrays(self) -> Iterator[Any]:
        for batch in itertools.islice(self._iterate(), len(self.batches)):
            if isinstance(batch, tuple | list):
                batch = tuple(map(np.asarray, batch))
            yield batch

    def _iterate(self):
        if hasattr(self.batches, "__getitem__"):
            return map(self.batches.__getitem__, range(len(self.batches)))
        return iter(self.batches)
