"""Progress of long work, silent by default."""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator


class Progress:
    """Reports nothing; a subclass may show bars."""

    @contextlib.contextmanager
    def task(
        self, name: str, steps: int | None
    ) -> Iterator[Callable[..., None]]:
        """Yield a function to call after each step of the work.

        Its arguments are the metrics to show, such as `advance(loss=0.1)`.
        `steps` is `None` if the number is not known.
        """
        del name, steps
        yield lambda **metrics: None
