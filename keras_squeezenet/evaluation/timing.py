"""How fast a network is."""

import time


class Timed:
    """A function of batches, and how long its calls took.

    Args:
        function: from a batch of images.
        batch_size: int; other batches are not counted, since a network may
            have to prepare itself for a batch of another size.
    """

    def __init__(self, function, batch_size):
        self.function = function
        self.batch_size = batch_size
        self.images = 0
        self.seconds = 0.0

    def __call__(self, images):
        started = time.perf_counter()
        found = self.function(images)
        seconds = time.perf_counter() - started
        if len(images) == self.batch_size:
            self.seconds += seconds
            self.images += len(images)
        return found

    @property
    def images_per_second(self):
        """Of the calls that count; there must have been one."""
        return self.images / self.seconds
