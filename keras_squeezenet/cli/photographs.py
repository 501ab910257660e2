"""Photographs as the arguments of a command: found, read, or named as bad."""

import glob
import itertools
import os
import sys

from keras_squeezenet.cli import image_streams
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.utils.text import one_line


def find(arguments):
    """Return the paths of the files that the arguments name, in order.

    Among them are `-` and addresses, as `image_streams` reads them.
    """
    if not arguments:
        raise ValueError(
            "an image must be given: a file, a folder, a pattern such as "
            "'photos/*.jpg', an address, or - for the standard input. "
            "Received: none"
        )
    for argument in arguments:
        if argument.endswith(network_flags.NETWORK_SUFFIXES):
            raise ValueError(
                "an image must be given, and the model with --model. "
                f"Received: {one_line(argument)}"
            )
    found = itertools.chain.from_iterable(map(_files_of, arguments))
    return list(dict.fromkeys(found))


def _files_of(argument):
    from keras_squeezenet.data import image_files

    if image_streams.is_stream(argument):
        return [argument]
    if os.path.isdir(argument):
        found, left_out = image_files.find(argument)
        if left_out:
            line = image_files.describe(one_line(argument), left_out)
            print(line, file=sys.stderr)
    elif glob.has_magic(argument) and not os.path.exists(argument):
        matches = glob.glob(argument, recursive=True)
        found = sorted(filter(os.path.isfile, matches))
    else:
        return [argument]
    if not found:
        raise ValueError(
            "a folder or a pattern must contain images. Received: "
            f"{one_line(argument)}, which contains none"
        )
    return found


def batches(network, paths, batch_size, unreadable):
    """Yield `{path: square}` for each batch; add the reasons to `unreadable`.

    A file that is not an image must not lose the results of the others.
    """
    for start in range(0, len(paths), batch_size):
        squares = {}
        for path in paths[start : start + batch_size]:
            try:
                is_stream = image_streams.is_stream(path)
                source = image_streams.read(path) if is_stream else path
                squares[path] = network.read(source)
            except MemoryError:
                raise
            # Pillow has many exceptions for what is wrong with a file.
            except Exception as error:
                # An `OSError` of the system names the file once more.
                reason = getattr(error, "strerror", None) or str(error)
                unreadable[path] = reason or repr(error)
        if squares:
            yield squares


def require_all_read(command, unreadable):
    """Name the files that could not be read, and exit with status 1."""
    for path, reason in unreadable.items():
        print(
            f"keras-squeezenet {command}: skipped, cannot be read: "
            f"{one_line(path)}: {one_line(reason)}",
            file=sys.stderr,
        )
    if unreadable:
        sys.exit(1)
