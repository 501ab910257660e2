"""Throughput of a network."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass
class Timed:
    """A function of batches that measures how long its calls take.

    Batches of another size than `batch_size` are not counted: a runtime may
    need time to prepare for a new size.
    """

    function: Callable[[np.ndarray], np.ndarray]
    batch_size: int
    images: int = 0
    seconds: float = 0.0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        started = time.perf_counter()
        outputs = self.function(images)
        seconds = time.perf_counter() - started
        if len(images) == self.batch_size:
            self.seconds += seconds
            self.images += len(images)
        return outputs

    @property
    def images_per_second(self) -> float:
        """The throughput of the counted calls, at least one."""
        return self.images / self.seconds
