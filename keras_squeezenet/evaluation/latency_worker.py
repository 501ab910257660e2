"""The process of `latency` that times one file.

    python -m keras_squeezenet.evaluation.latency_worker PATH THREADS

Each line of its standard input asks for calls with a batch, `[images, calls]`;
the answer is a line with the seconds of each and the memory, until the input
ends.
"""

import json
import os
import pathlib
import re
import sys
import time

import numpy as np

from keras_squeezenet import classifier
from keras_squeezenet import normalizations

STATUS = "/proc/self/status"


def main(path: str, threads: str) -> None:
    # What the libraries print goes elsewhere.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    network = classifier.load(path, num_threads=int(threads))
    for line in sys.stdin:
        count, calls = json.loads(line)
        images = make_images(network, count)
        seconds = [time_call(network.function, images) for _ in range(calls)]
        answer = {"seconds": seconds, "memory": peak_memory()}
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


def make_images(network: classifier.Classifier, count: int) -> np.ndarray:
    """Return noise of the kind that a network takes."""
    rng = np.random.default_rng(0)
    shape = (count, network.image_size, network.image_size, 3)
    photographs = rng.integers(0, 256, shape, "uint8")
    if network.normalization == normalizations.RAW:
        return photographs
    return normalizations.get(network.normalization).apply(photographs)


def peak_memory() -> float | None:
    """Return the peak resident memory of this process in MiB, on Linux.

    That of `resource.getrusage` begins with the memory of the process that
    started this one.
    """
    try:
        status = pathlib.Path(STATUS).read_text()
    except OSError:
        return None
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found[1]) / 1024 if found else None


def time_call(function, images):
    started = time.perf_counter()
    function(images)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*sys.argv[1:])
