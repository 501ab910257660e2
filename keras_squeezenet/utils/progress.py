"""How long work reports that it goes on; silent unless somebody listens."""

import contextlib


class Progress:
    """A listener that does nothing; a command line shows bars instead."""

    @contextlib.contextmanager
    def task(self, name, steps):
        """Yields a function to call after each of `steps` steps.

        Args:
            name: str, what is being done.
            steps: int, or `None` where the number is not known.

        Yields:
            A function of the metrics that matter, `advance(loss=0.1)`.
        """
        del name, steps
        yield lambda **metrics: None
