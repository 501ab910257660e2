"""The files of `embed`, written a batch at a time."""

import contextlib
import csv

from keras_squeezenet.utils import files

SUFFIXES = (".npz", ".csv")
# Bytes of file names that are not Unicode stay as they are.
TEXT = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


@contextlib.contextmanager
def written(path):
    """Yield a function that writes names and their vectors.

    It does nothing if there is no path.

    The file is written whole or not at all.
    """
    if not path:
        yield lambda names, vectors: None
        return
    write = _csv if path.endswith(".csv") else _npz
    with files.new_file(path) as temporary, write(temporary) as add:
        yield add


@contextlib.contextmanager
def _csv(path):
    with open(path, "w", **TEXT) as file:
        writer = csv.writer(file)

        def add(names, vectors):
            if not file.tell():
                writer.writerow(["file", *range(vectors.shape[1])])
            for name, vector in zip(names, vectors):
                # The shortest text that is this float32.
                writer.writerow([name, *map(str, vector)])

        yield add


@contextlib.contextmanager
def _npz(path):
    import numpy as np

    names, channels = [], 0
    numbers = path.with_name("numbers")
    with open(numbers, "wb") as file:

        def add(more, vectors):
            nonlocal channels
            names.extend(more)
            channels = vectors.shape[1]
            file.write(vectors.astype("<f4").tobytes())

        yield add
    embeddings = np.zeros((0, 0), "<f4")
    if names:
        # The vectors need not fit into memory.
        shape = (len(names), channels)
        embeddings = np.memmap(numbers, "<f4", "r", shape=shape)
    with open(path, "wb") as file:
        np.savez(file, names=np.array(names, "str"), embeddings=embeddings)
