"""How long the files of a network take for an image, and how much memory."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from keras_squeezenet.utils.progress import Progress

WORKER = "keras_squeezenet.evaluation.latency_worker"
# Calls of one file before the next one has its turn.
CALLS = 5
WARMUP_CALLS = 3


@dataclasses.dataclass(frozen=True)
class Latency:
    """What was measured of one file with batches of one size.

    Attributes:
        name: that of the file.
        batch_size: the number of images in a call.
        calls: the number of calls that were timed.
        median: the median of their times, in milliseconds.
        low, high: the 10th and the 90th percentile, in milliseconds.
        memory: the peak resident memory of the process so far, in MiB, with
            Python and the runtime; `None` on systems other than Linux.
    """

    name: str
    batch_size: int
    calls: int
    median: float
    low: float
    high: float
    memory: float | None


def measure(
    paths: Mapping[str, str | os.PathLike],
    batch_sizes: Sequence[int] = (1, 32),
    *,
    threads: int = 1,
    calls: int = 100,
    seconds: float = 10.0,
    progress: Progress | None = None,
) -> list[Latency]:
    """Measure the latency of several files, each in a process of its own.

    The files take turns, a few calls each, so that a slow moment of the machine
    affects all of them alike: compare the ratios of one run.

    Args:
        paths: the files by their names: whatever `classifier.load` takes.
        batch_sizes: the numbers of images in a call.
        threads: the number of threads that each runtime computes with.
        calls: how often each file is called with each size.
        seconds: after so many seconds of calls a file has no more turns for a
            size.
        progress: what shows the progress. Defaults to `None`: nothing does.

    Returns:
        A `Latency` of each file for each size, by size.

    Raises:
        RuntimeError: if a file cannot be run; with the last line of its error.
    """
    progress = progress or Progress()
    found = []
    with contextlib.ExitStack() as stack:
        workers = {
            name: stack.enter_context(_started(name, path, threads))
            for name, path in paths.items()
        }
        for size in batch_sizes:
            timed: dict[str, list[float]] = {name: [] for name in workers}
            memory = {}
            with progress.task(f"warm up, batches of {size}", None):
                for worker in workers.values():
                    worker.ask(size, WARMUP_CALLS)
            rounds = -(-calls // CALLS)
            with progress.task(f"time batches of {size}", rounds) as advance:
                for _ in range(rounds):
                    for name, worker in workers.items():
                        if sum(timed[name]) < seconds:
                            answer = worker.ask(size, CALLS)
                            timed[name] += answer["seconds"]
                            memory[name] = answer["memory"]
                    advance()
            found += [
                summarize(name, size, timed[name], memory[name])
                for name in workers
            ]
    return found


def summarize(
    name: str,
    batch_size: int,
    seconds: Sequence[float],
    memory: float | None = None,
) -> Latency:
    """Return the `Latency` of calls that took so many seconds each."""
    low, median, high = 1000 * np.percentile(seconds, (10, 50, 90))
    return Latency(
        name,
        batch_size,
        len(seconds),
        float(median),
        float(low),
        float(high),
        memory,
    )


class _Worker:
    """A process that times a file; see `latency_worker`."""

    def __init__(self, name, process, errors):
        self.name = name
        self.process = process
        self.errors = errors

    def ask(self, batch_size, calls):
        """Return the seconds of some calls, and the memory after them."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{json.dumps([batch_size, calls])}\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            lines = self.errors.read().strip().splitlines() or ["it crashed"]
            raise RuntimeError(f"{self.name} cannot be timed: {lines[-1]}")
        return json.loads(line)


@contextlib.contextmanager
def _started(
    name: str, path: str | os.PathLike, threads: int
) -> Iterator[_Worker]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
    }
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", WORKER, os.fspath(path), str(threads)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield _Worker(name, process, errors)
        finally:
            process.kill()
            # It closes the pipes.
            with contextlib.suppress(BrokenPipeError):
                process.communicate()
